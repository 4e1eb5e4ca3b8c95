"""The migration Job: what it keeps of the Gateway's template, what it drops, and what it is called."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NEXT_IMAGE, URL, config_maps, container, merged, pod_spec
from webhook.policy.environment import ConfigMaps
from webhook.policy.inputs import MigrationInputs, migration_inputs
from webhook.policy.migration.job import CONTAINER, JobRequest, build_job, job_name
from webhook.policy.names import EXTRA_JAVA_ARGS, LICENSE_PATH, LOCK_WAIT_MINUTES, SSG_DATABASE_JDBC_URL
from webhook.policy.objects import ConfigMap, PodSpec, view
from webhook.policy.record import JobReference, LogLevel, Record, RecordSpec

DATA = Path(__file__).parents[2] / "testdata"
GOLDENS = DATA / "jobs"
HASH = "0123456789abcdef" * 4
REFERENCE = JobReference(name="ssg-db-migration-01234567", hash=HASH)
RECORD = Record(namespace="team-a", name="ssg", uid="m-1")
INPUTS = MigrationInputs(image=NEXT_IMAGE, jdbc_url=URL)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
CONF = "/opt/SecureSpan/Gateway/node/default/etc/conf"
BOOTSTRAP = "/opt/SecureSpan/Gateway/node/default/etc/bootstrap"
Manifest = dict[str, Any]


def build(
    spec: Mapping[str, Any] | None = None,
    settings: RecordSpec | None = None,
    *,
    wanted: MigrationInputs = INPUTS,
    maps: ConfigMaps | None = None,
) -> Manifest:
    request = JobRequest(
        template={"metadata": {"labels": {"app": "ssg"}}, "spec": spec or pod_spec()},
        container="gateway",
        inputs=wanted,
        config_maps=config_maps() if maps is None else maps,
    )
    return build_job(RECORD, settings or RecordSpec(), REFERENCE, request)


def pod(job: Mapping[str, Any]) -> Manifest:
    spec: Manifest = job["spec"]["template"]["spec"]
    return spec


def main(job: Mapping[str, Any]) -> Manifest:
    (only,) = pod(job)["containers"]
    found: Manifest = only
    return found


def mount(name: str, path: str) -> Manifest:
    return {"name": name, "mountPath": path}


def scratch(name: str) -> Manifest:
    return {"name": name, "emptyDir": {}}


def with_mounts(*extra: tuple[str, str], init: list[Manifest] | None = None, **tweak: Any) -> Manifest:
    """A pod spec whose gateway mounts more; every volume is an emptyDir."""
    base = pod_spec()
    gateway = base["containers"][0]
    gateway["volumeMounts"] += [mount(name, path) for name, path in extra]
    init = init or []
    names = {name for name, _ in extra} | {item["name"] for each in init for item in each.get("volumeMounts", [])}
    base["volumes"] += [scratch(name) for name in sorted(names)]
    return merged(base, {"initContainers": init, **tweak})


# Goldens: what becomes of real objects.


def _cases() -> dict[str, tuple[Path, RecordSpec]]:
    objects = DATA / "cases" / "objects"
    override = RecordSpec(jdbc_url="jdbc:mysql://primary:3306/ssg", clear_locks=True, active_deadline_seconds=900)
    return {
        "operator": (objects / "operator-gateway.yaml", RecordSpec()),
        "operator-settings": (objects / "operator-gateway.yaml", override),
        "operator-node-properties": (objects / "operator-gateway-node-properties.yaml", RecordSpec()),
        "helm": (objects / "helm-gateway.yaml", replace(RecordSpec(), liquibase_log_level=LogLevel.FINE)),
    }


def job_of(path: Path, settings: RecordSpec) -> tuple[Manifest, Manifest]:
    """Build the Job of a case's Deployment; give the Deployment too."""
    manifests = list(yaml.safe_load_all(path.read_text()))
    stored = next(item for item in manifests if item["kind"] == "Deployment")
    maps = [view(ConfigMap, item) for item in manifests if item["kind"] == "ConfigMap"]
    by_name = {item.metadata.name: item for item in maps}
    template, meta = stored["spec"]["template"], stored["metadata"]
    spec = view(PodSpec, template["spec"])
    gateway = next(item for item in spec.containers or () if item.name == "gateway")
    wanted = migration_inputs(spec, gateway, settings, by_name)
    assert wanted
    assert wanted.problem is None
    name = job_name(meta["namespace"], meta["name"], wanted.spec_hash, 1)
    record = Record(namespace=meta["namespace"], name=meta["name"], uid="m-1")
    request = JobRequest(template=template, container="gateway", inputs=wanted, config_maps=by_name)
    return build_job(record, settings, JobReference(name=name, hash=wanted.spec_hash), request), stored


@pytest.mark.parametrize("case", _cases())
def test_golden(case: str) -> None:
    job, stored = job_of(*_cases()[case])
    golden = GOLDENS / f"{case}.yaml"
    if os.environ.get("SCHEMAGATE_REWRITE_GOLDENS") == "1":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(yaml.safe_dump(json.loads(json.dumps(job)), sort_keys=False, width=110))
    assert golden.exists(), "missing; SCHEMAGATE_REWRITE_GOLDENS=1 writes it"
    assert job == yaml.safe_load(golden.read_text())
    assert job["metadata"]["namespace"] == stored["metadata"]["namespace"]


def test_no_golden_is_left_over() -> None:
    assert {path.name for path in GOLDENS.iterdir()} == {f"{case}.yaml" for case in _cases()}


@pytest.mark.parametrize("case", _cases())
def test_no_service_selects_the_pod(case: str) -> None:
    job, stored = job_of(*_cases()[case])
    theirs = stored["spec"]["selector"]["matchLabels"]
    ours = job["spec"]["template"]["metadata"]["labels"]
    assert not any(ours.get(key) == value for key, value in theirs.items())


# Around the pod.


def test_the_frame() -> None:
    job = build(settings=RecordSpec(active_deadline_seconds=77, pod_attempts=3))
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("GatewayMigration", "m-1", True)
    spec = job["spec"]
    assert (spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (77, 2)
    assert (spec["completions"], spec["parallelism"], spec["podReplacementPolicy"]) == (1, 1, "Failed")
    assert "activeDeadlineSeconds" not in pod(job), "a deadline on the pod would grant each attempt its own"
    (evictions,) = spec["podFailurePolicy"]["rules"]
    assert evictions["action"] == "Ignore"
    assert pod(job)["restartPolicy"] == "Never"
    assert pod(job)["enableServiceLinks"] is False
    assert pod(job)["automountServiceAccountToken"] is False
    assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "db-migration"
    assert all(len(value) <= 63 for value in job["metadata"]["labels"].values())


def test_injectors_and_evictions_are_told_to_keep_off() -> None:
    spec = pod_spec()
    request = JobRequest(
        template={"metadata": {"annotations": {"sidecar.istio.io/inject": "true", "x": "y"}}, "spec": spec},
        container="gateway",
        inputs=INPUTS,
        config_maps=config_maps(),
    )
    annotations = build_job(RECORD, RecordSpec(), REFERENCE, request)["spec"]["template"]["metadata"][
        "annotations"
    ]
    assert annotations["sidecar.istio.io/inject"] == "false"
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert "x" not in annotations


def test_the_stored_template_stays_as_it_was() -> None:
    spec = with_mounts(("tmp", "/tmp"), init=[{"name": "prep", "volumeMounts": [mount("tmp", "/tmp")]}])
    before = json.dumps(spec)
    build(spec, RecordSpec(jdbc_url="jdbc:mysql://h/d"), wanted=replace(INPUTS, jdbc_url="jdbc:mysql://h/d"))
    assert json.dumps(spec) == before


# Fields of pod and container.

KEPT_OF_POD: Manifest = {
    "imagePullSecrets": [{"name": "regcred"}],
    "securityContext": {"runAsNonRoot": True},
    "serviceAccountName": "ssg",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gw", "operator": "Exists"}],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.2"]},
    "hostNetwork": True,
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
    "terminationGracePeriodSeconds": 45,
}
DROPPED_OF_POD: Manifest = {
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1}],
    "readinessGates": [{"conditionType": "x"}],
    "shareProcessNamespace": True,
    "hostPID": True,
    "schedulingGates": [{"name": "x"}],
    "activeDeadlineSeconds": 5,
}
KEPT_OF_CONTAINER: Manifest = {
    "imagePullPolicy": "Always",
    "workingDir": "/opt",
    "resources": {"limits": {"memory": "4Gi"}},
    "securityContext": {"readOnlyRootFilesystem": True},
    "envFrom": [{"configMapRef": {"name": "ssg"}}, {"secretRef": {"name": "ssg"}}, {"secretRef": {"name": "tls"}}],
}
DROPPED_OF_CONTAINER: Manifest = {
    "command": ["/entrypoint.sh"],
    "args": ["-x"],
    "livenessProbe": {"exec": {"command": ["x"]}},
    "readinessProbe": {"exec": {"command": ["x"]}},
    "startupProbe": {"exec": {"command": ["x"]}},
    "ports": [{"containerPort": 8443, "hostPort": 8443}],
    "lifecycle": {"postStart": {"exec": {"command": ["curl", "-u", "admin:7layer"]}}},
    "stdin": True,
    "tty": True,
}


@pytest.mark.parametrize("field", KEPT_OF_POD)
def test_kept_of_the_pod(field: str) -> None:
    assert pod(build(pod_spec(**{field: KEPT_OF_POD[field]})))[field] == KEPT_OF_POD[field]


@pytest.mark.parametrize("field", DROPPED_OF_POD)
def test_dropped_of_the_pod(field: str) -> None:
    assert field not in pod(build(pod_spec(**{field: DROPPED_OF_POD[field]})))


@pytest.mark.parametrize("field", KEPT_OF_CONTAINER)
def test_kept_of_the_container(field: str) -> None:
    made = main(build(pod_spec(container(**{field: KEPT_OF_CONTAINER[field]}))))
    assert made[field] == KEPT_OF_CONTAINER[field]


@pytest.mark.parametrize("field", DROPPED_OF_CONTAINER)
def test_dropped_of_the_container(field: str) -> None:
    job = build(pod_spec(container(**{field: DROPPED_OF_CONTAINER[field]})))
    assert field not in main(job)
    assert "7layer" not in json.dumps(job)


def test_sidecars_are_dropped_wherever_the_gateway_stands() -> None:
    spec = pod_spec()
    spec["containers"] = [{"name": "fluentbit", "image": "fluent-bit"}, *spec["containers"]]
    made = main(build(spec))
    assert (made["name"], made["image"]) == (CONTAINER, NEXT_IMAGE)


# Mounts and volumes.


@pytest.mark.parametrize(
    ("case", "path", "kept"),
    [
        ("node.properties", f"{CONF}/node.properties", True),
        ("system.properties", f"{CONF}/system.properties", True),
        ("customised configuration", "/opt/docker/custom", True),
        ("keystore", "/opt/keystore/truststore.p12", True),
        ("somewhere to write, as a read-only root needs", "/tmp", True),
        ("bundles", f"{BOOTSTRAP}/bundle/graphman/0", False),
        ("restman service", f"{BOOTSTRAP}/services/restman", False),
        ("shared state of Redis", f"{BOOTSTRAP}/providers/sharedstate_client.yaml", False),
        ("hazelcast", f"{BOOTSTRAP}/assertions/ExternalHazelcast/hazelcast-client.xml", False),
        ("Graphman configuration", "/graphman/config.json", False),
        ("graceful shutdown", "/opt/docker/graceful-shutdown.sh", False),
        ("service account token", "/opt/docker/rc.d/load-service-account-token.sh", False),
        ("service account template", "/opt/docker/rc.d/base/update-service-account-token.xml", False),
    ],
)
def test_mounts(case: str, path: str, kept: bool) -> None:
    job = build(with_mounts(("extra", path)))
    assert (path in {item["mountPath"] for item in main(job)["volumeMounts"]}) is kept
    assert ("extra" in {item["name"] for item in pod(job)["volumes"]}) is kept


def test_the_license_stays() -> None:
    assert [item["mountPath"] for item in main(build())["volumeMounts"]] == [LICENSE_PATH]


def init(name: str, *volumes: str, **tweak: Any) -> Manifest:
    return {
        "name": name,
        "image": "busybox",
        "volumeMounts": [mount(item, f"/{item}") for item in volumes],
        **tweak,
    }


@pytest.mark.parametrize(
    ("case", "items", "kept"),
    [
        ("fills a kept mount", [init("prep", "shared-secret")], ["prep"]),
        ("fills nothing", [init("wait-for-db")], []),
        ("fills another's mount", [init("prep", "elsewhere")], []),
        (
            "feeds one that fills",
            [init("fetch", "raw"), init("render", "raw", "shared-secret")],
            ["fetch", "render"],
        ),
        ("comes after the one it would feed", [init("render", "shared-secret"), init("late", "raw")], ["render"]),
        ("graphman", [init("graphman-static-init", "shared-secret")], []),
        ("graphman, older operator", [init("graphman-static-init-5e6b4b0d32", "shared-secret")], []),
        ("portal", [init("portal-init", "shared-secret")], []),
        ("otk", [init("otk-install-init", "shared-secret"), init("otk-db-init", "shared-secret")], []),
        ("otk of the chart", [init("gateway-otk-install-container", "shared-secret")], []),
        ("sidecar", [init("vector", "shared-secret", restartPolicy="Always")], []),
        ("database proxy", [init("cloud-sql-proxy", restartPolicy="Always")], ["cloud-sql-proxy"]),
        ("database proxy as no sidecar", [init("cloud-sql-proxy")], []),
        (
            "database proxy and what feeds it",
            [init("key", "keys"), init("cloud-sql-proxy", "keys", restartPolicy="Always")],
            ["key", "cloud-sql-proxy"],
        ),
    ],
)
def test_init_containers(case: str, items: list[Manifest], kept: list[str]) -> None:
    job = build(with_mounts(("shared-secret", "/opt/docker/secrets"), init=items))
    assert [item["name"] for item in pod(job).get("initContainers", [])] == kept
    assert not dangling(job)


def dangling(job: Mapping[str, Any]) -> set[str]:
    """Volumes that are mounted and do not exist, or exist and are not mounted."""
    spec = pod(job)
    everyone = [*spec["containers"], *spec.get("initContainers", [])]
    mounted = {item["name"] for each in everyone for item in each.get("volumeMounts", [])}
    return mounted ^ {volume["name"] for volume in spec["volumes"]}


# What the fence around the controller lets no migration have.

TOKEN = {"projected": {"sources": [{"configMap": {"name": "m"}}, {"serviceAccountToken": {"path": "t"}}]}}


@pytest.mark.parametrize(
    ("case", "source", "kept"),
    [
        ("directory of the node", {"hostPath": {"path": "/etc"}}, False),
        ("token", TOKEN, False),
        ("projected without a token", {"projected": {"sources": [{"configMap": {"name": "m"}}]}}, True),
        ("projected of nothing", {"projected": {"sources": None}}, True),
        ("claim", {"persistentVolumeClaim": {"claimName": "c"}}, True),
    ],
)
def test_volumes_that_no_migration_may_have(case: str, source: Manifest, kept: bool) -> None:
    items = [
        init("prep", "shared-secret", "node"),
        init("cloud-sql-proxy", "node", restartPolicy="Always"),
        init("other", "shared-secret"),
    ]
    spec = with_mounts(("shared-secret", "/opt/secrets"), ("node", "/opt/node"), init=items)
    spec["volumes"] = [item for item in spec["volumes"] if item["name"] != "node"] + [{"name": "node", **source}]
    job = build(spec)
    assert ("node" in {volume["name"] for volume in pod(job)["volumes"]}) is kept
    assert ("/opt/node" in {item["mountPath"] for item in main(job)["volumeMounts"]}) is kept
    names = ["prep", "cloud-sql-proxy", "other"] if kept else ["other"]
    assert [item["name"] for item in pod(job)["initContainers"]] == names
    assert not dangling(job)


@pytest.mark.parametrize(
    ("context", "left"),
    [
        ({"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}, {"capabilities": {"drop": ["ALL"]}}),
        ({"capabilities": {"add": ["NET_ADMIN"]}, "runAsUser": 5}, {"capabilities": {}, "runAsUser": 5}),
        ({"privileged": True, "readOnlyRootFilesystem": True}, {"readOnlyRootFilesystem": True}),
        ({"capabilities": None, "runAsUser": 5}, {"capabilities": {}, "runAsUser": 5}),
        ({"privileged": True}, None),
    ],
)
def test_privileges_are_dropped(context: Manifest, left: Manifest | None) -> None:
    spec = with_mounts(("shared-secret", "/s"), init=[init("prep", "shared-secret", securityContext=context)])
    spec["containers"][0]["securityContext"] = context
    before = json.dumps(spec)
    job = build(spec)
    assert main(job).get("securityContext") == left
    assert pod(job)["initContainers"][0].get("securityContext") == left
    assert json.dumps(spec) == before


# P29: nothing that the stored template does not have.

names = st.sampled_from(["a", "b", "c", "gateway-license"])
mounts = st.lists(
    st.builds(
        mount, names, st.sampled_from([LICENSE_PATH, f"{BOOTSTRAP}/bundle/x", "/graphman/x", "/tmp", "/opt/x"])
    ),
    max_size=4,
)
kinds: list[Manifest] = [{"emptyDir": {}}, {"secret": {"secretName": "s"}}, {"configMap": {"name": "m"}}]
sources = st.sampled_from(kinds)
variables = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["X", "OTEL_X", EXTRA_JAVA_ARGS, SSG_DATABASE_JDBC_URL]),
            "value": st.sampled_from(["", "-Da=b", "$(X)"]),
        }
    ),
    max_size=3,
)
inits = st.lists(
    st.builds(
        lambda name, mounted, policy: {"name": name, "image": "i", "volumeMounts": mounted} | policy,
        st.sampled_from(["prep", "portal-init", "otk-db-init", "cloud-sql-proxy", "vector"]),
        mounts,
        st.sampled_from([{}, {"restartPolicy": "Always"}]),
    ),
    max_size=3,
)


@st.composite
def templates(draw: st.DrawFn) -> Manifest:
    volumes = [{"name": name, **draw(sources)} for name in ("a", "b", "c", "gateway-license")]
    gateway = container(volumeMounts=draw(mounts), env=draw(variables))
    return pod_spec(gateway, volumes=volumes, initContainers=draw(inits), serviceAccountName="sa")


@given(templates(), st.booleans())
def test_nothing_comes_from_elsewhere(template: Manifest, clear: bool) -> None:
    job = build(template, RecordSpec(clear_locks=clear))
    spec, made = pod(job), main(job)
    theirs = template["containers"][0]
    assert job["metadata"]["namespace"] == RECORD.namespace
    assert all(volume in template["volumes"] for volume in spec["volumes"])
    assert all(item in template["initContainers"] for item in spec.get("initContainers", []))
    assert all(item in theirs["volumeMounts"] for item in made["volumeMounts"])
    assert made["envFrom"] == theirs["envFrom"]
    assert spec["serviceAccountName"] == template["serviceAccountName"]
    assert not dangling(job)
    ours = {EXTRA_JAVA_ARGS, "LIQUIBASE_LOG_LEVEL", "SCHEMAGATE_EXTRA_JAVA_ARGS", SSG_DATABASE_JDBC_URL}
    for entry in made["env"]:
        assert entry["name"] in ours | {LOCK_WAIT_MINUTES} or entry in theirs["env"]
    frame = {"restartPolicy", "enableServiceLinks", "automountServiceAccountToken", "containers", "volumes"}
    assert set(spec) - frame <= set(template)
    assert set(made) - {"env"} <= set(theirs) | {"name"}


# P34: names.

parts = st.sampled_from(["a", "b", "-", ".", "db-migration", "0123456789abcdef", "a" * 20, "-2", "x" * 41, "2"])
deployments = (
    st.lists(parts, min_size=1, max_size=8)
    .map("".join)
    .filter(lambda name: re.fullmatch(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?", name))
)
tuples = st.tuples(
    st.sampled_from(["team-a", "team", "a"]),
    deployments,
    st.sampled_from(["0" * 64, HASH, "12345678" * 8]),
    st.integers(1, 120),
)


@given(st.lists(tuples, min_size=2, max_size=30, unique=True))
def test_names_are_labels_and_tell_attempts_apart(attempts: list[tuple[str, str, str, int]]) -> None:
    named = [(attempt[0], job_name(*attempt)) for attempt in attempts]
    for _, name in named:
        assert len(name) <= 63
        assert DNS_LABEL.fullmatch(name)
    assert len(set(named)) == len(attempts)


def test_names_of_many_deployments_that_differ_late() -> None:
    long = "gateway-" * 20
    names = {job_name("team-a", f"{long}{number}", HASH, 1) for number in range(100_000)}
    assert len(names) == 100_000


def test_a_name_cannot_be_chosen_to_meet_that_of_another() -> None:
    victim = job_name("team-a", "x" * 60, HASH, 1)
    chosen = victim.removesuffix("-db-migration-01234567")
    assert job_name("team-a", chosen, HASH, 1) != victim


@pytest.mark.parametrize(
    ("deployment", "attempt", "expected"),
    [
        ("ssg", 1, "ssg-db-migration-01234567"),
        ("ssg", 2, "ssg-db-migration-01234567-2"),
        ("a" * 40, 1, "a" * 40 + "-db-migration-01234567"),
    ],
)
def test_plain_names(deployment: str, attempt: int, expected: str) -> None:
    assert job_name("team-a", deployment, HASH, attempt) == expected
