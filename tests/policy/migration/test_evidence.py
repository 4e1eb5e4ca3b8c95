"""What counts as a migration that really ran. The tricks are those that worked on Kubernetes 1.36."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NEXT_IMAGE, URL, config_maps, container, merged, pod_spec
from webhook.policy.inputs import MigrationInputs
from webhook.policy.migration.evidence import is_made_by, tampering, witness
from webhook.policy.migration.job import JobRequest, build_job
from webhook.policy.record import JobReference, Record, RecordSpec

Manifest = dict[str, Any]
UID = "j-1"
HASH = "0123456789abcdef" * 4
RECORD = Record(namespace="team-a", name="ssg", uid="m-1")
REFERENCE = JobReference(name="ssg-db-migration-01234567", hash=HASH)


def built(image: str = NEXT_IMAGE) -> Manifest:
    """The Job as it is sent: with an init container, sources of every kind, a field reference, host aliases."""
    env = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        {"name": "EMPTY", "value": ""},
    ]
    gateway = container(env=env, envFrom=[{"configMapRef": {"name": "ssg"}}, {"secretRef": {"name": "ssg"}}])
    gateway["volumeMounts"].append({"name": "shared-secret", "mountPath": "/opt/docker/secrets"})
    spec = pod_spec(
        gateway,
        hostAliases=[{"ip": "10.0.0.1", "hostnames": ["db"]}],
        initContainers=[
            {
                "name": "prep",
                "image": "prep:1",
                "command": ["sh"],
                "volumeMounts": [{"name": "shared-secret", "mountPath": "/s"}],
            }
        ],
    )
    spec["volumes"].append({"name": "shared-secret", "emptyDir": {}})
    spec["volumes"][0]["secret"]["defaultMode"] = 420
    request = JobRequest({"spec": spec}, "gateway", MigrationInputs(image=image, jdbc_url=URL), config_maps())
    return build_job(RECORD, RecordSpec(), REFERENCE, request)


def defaulted(pod: Manifest) -> Manifest:
    """A pod spec as the API server stores it: defaults filled in, what is empty left out."""
    spec = copy.deepcopy(pod)
    for item in (*spec["containers"], *spec["initContainers"]):
        item |= {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
        item.setdefault("imagePullPolicy", "IfNotPresent")
        item.setdefault("resources", {})
        for entry in item.get("env", []):
            if entry.get("value") == "":
                del entry["value"]
    return spec | {"schedulerName": "default-scheduler", "securityContext": {}}


def stored_job(**tweak: Any) -> Manifest:
    """Our Job as an API server gives it back, complete."""
    sent = built()
    template = sent["spec"]["template"]
    job = merged(
        sent,
        {
            "metadata": {"uid": UID, "generation": 1, "resourceVersion": "9"},
            "spec": {
                "completionMode": "NonIndexed",
                "suspend": False,
                "manualSelector": False,
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}},
            },
            "status": {
                "succeeded": 1,
                "ready": 0,
                "conditions": [
                    {"type": "SuccessCriteriaMet", "status": "True"},
                    {"type": "Complete", "status": "True"},
                ],
            },
        },
    )
    job["spec"]["template"] = {**template, "spec": defaulted(template["spec"])}
    return merged(job, tweak)


def stored_pod(**tweak: Any) -> Manifest:
    """The pod of that Job after an honest run: scheduled, tolerations and limits filled in, succeeded."""
    spec = defaulted(stored_job()["spec"]["template"]["spec"])
    for item in spec["containers"]:
        item["resources"] = {"limits": {"memory": "1Gi"}}
    spec |= {
        "nodeName": "node-1",
        "serviceAccount": "default",
        "serviceAccountName": "default",
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
    }
    ended = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    pod = {
        "metadata": {
            "uid": "p-1",
            "name": "ssg-db-migration-01234567-x7k2p",
            "labels": {"batch.kubernetes.io/controller-uid": UID},
            "ownerReferences": [{"kind": "Job", "name": REFERENCE.name, "uid": UID, "controller": True}],
        },
        "spec": spec,
        "status": {
            "phase": "Succeeded",
            "initContainerStatuses": [{"name": "prep", "restartCount": 0, "state": ended}],
            "containerStatuses": [
                {"name": "db-migration", "restartCount": 0, "imageID": "docker.io/x@sha256:1", "state": ended}
            ],
        },
    }
    return merged(pod, tweak)


def in_main(**tweak: Any) -> Callable[[Manifest], None]:
    def apply(pod: Manifest) -> None:
        pod["spec"]["containers"][0] = merged(pod["spec"]["containers"][0], tweak)

    return apply


def in_spec(**tweak: Any) -> Callable[[Manifest], None]:
    def apply(pod: Manifest) -> None:
        pod["spec"] = merged(pod["spec"], tweak)

    return apply


def in_init(**tweak: Any) -> Callable[[Manifest], None]:
    def apply(pod: Manifest) -> None:
        pod["spec"]["initContainers"][0] = merged(pod["spec"]["initContainers"][0], tweak)

    return apply


def in_state(**tweak: Any) -> Callable[[Manifest], None]:
    def apply(pod: Manifest) -> None:
        state = pod["status"]["containerStatuses"][0]
        pod["status"]["containerStatuses"][0] = merged(state, tweak)

    return apply


def over_the_entrypoint(pod: Manifest) -> None:
    pod["spec"]["volumes"].append({"name": "mine", "configMap": {"name": "mine"}})
    mounts = pod["spec"]["containers"][0]["volumeMounts"]
    mounts.append({"name": "mine", "mountPath": "/opt/docker/entrypoint.sh", "subPath": "true"})


def remounted(pod: Manifest) -> None:
    pod["spec"]["containers"][0]["volumeMounts"][0]["subPath"] = "other"


def one_more(pod: Manifest) -> None:
    pod["spec"]["containers"].append({"name": "istio-proxy", "image": "proxy"})


def without_init(pod: Manifest) -> None:
    del pod["spec"]["initContainers"]


def without_states(pod: Manifest) -> None:
    del pod["status"]["containerStatuses"]


POD_TRICKS: dict[str, Callable[[Manifest], None]] = {
    "T3 image patched": in_main(image="busybox"),
    "T3 image patched and patched back": in_state(restartCount=1),
    "T3 image of an init container patched": in_init(image="busybox"),
    "T3 ephemeral container": in_spec(ephemeralContainers=[{"name": "debugger"}]),
    "T4 other command": in_main(command=["true"]),
    "T4 other arguments": in_main(args=["--help"]),
    "T4 other directory": in_main(workingDir="/tmp"),
    "T4 other variable": in_main(env=[{"name": "EXTRA_JAVA_ARGS", "value": "-version"}]),
    "T4 other source of variables": in_main(envFrom=[{"configMapRef": {"name": "mine"}}]),
    "T4 hook": in_main(lifecycle={"postStart": {"exec": {"command": ["kill", "1"]}}}),
    "T4 probe": in_main(livenessProbe={"exec": {"command": ["kill", "1"]}}),
    "T4 other volume": in_spec(volumes=[{"name": "gateway-license", "configMap": {"name": "mine"}}]),
    "T4 other mount": remounted,
    "T4 mounted over the entrypoint": over_the_entrypoint,
    "T4 host name": in_spec(hostAliases=[{"ip": "10.6.6.6", "hostnames": ["db"]}]),
    "T4 DNS policy": in_spec(dnsPolicy="Default"),
    "T4 DNS": in_spec(dnsConfig={"nameservers": ["10.6.6.6"]}),
    "T4 network": in_spec(hostNetwork=True),
    "T4 runtime": in_spec(runtimeClassName="mine"),
    "T4 one more container": one_more,
    "T4 no init container": without_init,
    "exit other than 0": in_state(state={"terminated": {"exitCode": 1}}),
    "no exit": in_state(state={"terminated": None, "running": {}}),
    "no state of containers": without_states,
}
JOB_TRICKS: dict[str, Manifest] = {
    "T1 no completion asked for": {"spec": {"completions": 0}},
    "T1 no pod succeeded": {"status": {"succeeded": 0}},
    "T1 nothing counted": {"status": {"succeeded": None}},
    "T1 more than one": {"status": {"succeeded": 2}},
    "T1 own selector": {"spec": {"manualSelector": True}},
    "T1 own controller": {"spec": {"managedBy": "example.com/mine"}},
}


def test_an_honest_run_passes() -> None:
    assert tampering(stored_job(), [stored_pod()]) is None
    assert witness(stored_job(), [stored_pod()]) == ("p-1", "docker.io/x@sha256:1")


def test_an_honest_run_in_a_cluster_that_fills_nothing_in() -> None:
    sent = built()
    job = merged(sent, {"metadata": {"uid": UID}, "status": {"succeeded": 1}})
    assert tampering(job, [stored_pod() | {"spec": sent["spec"]["template"]["spec"]}]) is None


def test_an_honest_second_attempt_passes() -> None:
    evicted = stored_pod(metadata={"uid": "p-0"}, status={"phase": "Failed", "containerStatuses": None})
    assert tampering(stored_job(), [evicted, stored_pod()]) is None
    assert witness(stored_job(), [evicted, stored_pod()])[0] == "p-1"


def test_a_pod_of_somebody_else_is_no_witness() -> None:
    forged = stored_pod(metadata={"uid": "p-9", "ownerReferences": None})
    foreign = stored_pod(metadata={"uid": "p-8", "ownerReferences": [{"uid": "j-2", "controller": True}]})
    assert witness(stored_job(), [forged, foreign, stored_pod()])[0] == "p-1"
    assert witness(stored_job(), [forged, foreign]) == ("", "")
    assert witness({}, [forged, stored_pod()]) == ("", "")


def with_token(**tweak: Any) -> Manifest:
    """A pod into which the API server mounted the account's token."""
    pod = stored_pod()
    mount = {
        "name": "kube-api-access-x7k2p",
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        "readOnly": True,
    }
    for item in (*pod["spec"]["containers"], *pod["spec"]["initContainers"]):
        item["volumeMounts"] = [*item.get("volumeMounts", []), mount | tweak]
    pod["spec"]["volumes"].append({"name": "kube-api-access-x7k2p", "projected": {"sources": []}})
    return pod


def silent_of_tokens() -> Manifest:
    """A Job as operators and charts make it: its template says nothing of a token."""
    job = stored_job()
    del job["spec"]["template"]["spec"]["automountServiceAccountToken"]
    return job


def test_a_token_that_the_template_did_not_refuse_is_no_difference() -> None:
    assert tampering(silent_of_tokens(), [with_token()]) is None


def test_a_token_that_the_template_refused_is() -> None:
    assert tampering(stored_job(), [with_token()])


@pytest.mark.parametrize(
    "tweak",
    [{"mountPath": "/opt/SecureSpan"}, {"subPath": "token"}, {"name": "shared-secret"}, {"readOnly": False}],
)
def test_a_mount_that_only_looks_like_a_token(tweak: dict[str, Any]) -> None:
    assert tampering(silent_of_tokens(), [with_token(**tweak)])


def test_a_volume_that_only_looks_like_a_token() -> None:
    pod = with_token()
    pod["spec"]["volumes"][-1] = {"name": "kube-api-access-x7k2p", "hostPath": {"path": "/"}}
    assert tampering(silent_of_tokens(), [pod])


@pytest.mark.parametrize("trick", POD_TRICKS)
def test_tricks_with_the_pod(trick: str) -> None:
    pod = stored_pod()
    POD_TRICKS[trick](pod)
    assert tampering(stored_job(), [pod])


@pytest.mark.parametrize("trick", [trick for trick in POD_TRICKS if trick.startswith("T")])
def test_tricks_with_a_pod_that_failed(trick: str) -> None:
    pod = stored_pod(metadata={"uid": "p-0"}, status={"phase": "Failed"})
    POD_TRICKS[trick](pod)
    told = tampering(stored_job(), [pod, stored_pod()])
    assert bool(told) is (trick != "T3 image patched and patched back")


@pytest.mark.parametrize("trick", JOB_TRICKS)
def test_tricks_with_the_job(trick: str) -> None:
    assert tampering(stored_job(**JOB_TRICKS[trick]), [stored_pod()])


@pytest.mark.parametrize(
    ("case", "pods"),
    [
        ("T4 the real pod deleted", []),
        ("T4 two succeeded", [stored_pod(), stored_pod(metadata={"uid": "p-2"})]),
        (
            "T4 the pod of another Job",
            [stored_pod(metadata={"ownerReferences": [{"uid": "j-2", "controller": True}]})],
        ),
        ("T4 owned but not controlled", [stored_pod(metadata={"ownerReferences": [{"uid": UID}]})]),
        ("T4 owned by nobody", [stored_pod(metadata={"ownerReferences": None})]),
    ],
)
def test_the_pod_that_succeeded_must_be_there(case: str, pods: list[Manifest]) -> None:
    assert tampering(stored_job(), pods) == "the pod that succeeded is not there to be checked"


def test_labels_and_annotations_tell_nothing() -> None:
    # T5: they can be written on any old success.
    relabelled = stored_job(metadata={"labels": {"schemagate.io/hash": "f" * 16}, "annotations": {"x": "y"}})
    assert tampering(relabelled, [stored_pod(metadata={"labels": {}})]) is None


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), st.none() | st.just({})))
def test_an_empty_object_is_no_evidence(part: Manifest) -> None:
    assert tampering(part, [])
    assert tampering(stored_job(), [part])
    assert witness(stored_job(), [part]) == ("", "")


@pytest.mark.parametrize(
    ("case", "job", "ours"),
    [
        ("what we sent, stored", stored_job(), True),
        ("what we sent", built(), True),
        ("T2 owned by nobody", stored_job(metadata={"ownerReferences": None}), False),
        (
            "T2 owned by another",
            stored_job(metadata={"ownerReferences": [{"uid": "x", "controller": True}]}),
            False,
        ),
        ("T2 our record named, other work", built("busybox"), False),
    ],
)
def test_a_job_of_our_name(case: str, job: Manifest, ours: bool) -> None:
    assert is_made_by(RECORD.uid, built(), job) is ours


def test_a_record_without_uid_made_nothing() -> None:
    orphan = replace(RECORD, uid="")
    assert not is_made_by(
        orphan.uid, built(), stored_job(metadata={"ownerReferences": [{"uid": "", "controller": True}]})
    )
