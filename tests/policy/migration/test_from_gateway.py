"""The Deployment of a Gateway that has none yet: what comes of it equals what the real operator's gives."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.builders import IMAGE, gateway
from webhook.errors import InvalidObjectError
from webhook.policy.gateway import gateway_container, gateway_owner
from webhook.policy.inputs import MigrationInputs, migration_inputs
from webhook.policy.migration.from_gateway import deployment_of_gateway
from webhook.policy.migration.job import JobRequest, build_job
from webhook.policy.names import LICENSE_PATH, NODE_PROPERTIES_PATH
from webhook.policy.objects import ConfigMap, Deployment, view
from webhook.policy.record import JobReference, Record, RecordSpec

CASES = Path(__file__).parents[2] / "testdata" / "cases"
Manifest = dict[str, Any]
# What the API server adds to every container; the Job's own API server would add it as well.
DEFAULTS = ("imagePullPolicy", "resources", "terminationMessagePath", "terminationMessagePolicy")
OVERRIDE = RecordSpec(jdbc_url="jdbc:mysql://primary:3306/ssg", clear_locks=True, active_deadline_seconds=900)


def stored(file: str) -> tuple[Manifest, Manifest, dict[str, ConfigMap | None]]:
    """A recorded Gateway, the Deployment that the operator made of it, and its ConfigMaps."""
    manifests = list(yaml.safe_load_all((CASES / "objects" / f"{file}.yaml").read_text()))
    by_kind = {manifest["kind"]: manifest for manifest in manifests}
    maps = [view(ConfigMap, manifest) for manifest in manifests if manifest["kind"] == "ConfigMap"]
    return by_kind["Gateway"], by_kind["Deployment"], {item.metadata.name: item for item in maps}


def reviewed(case: str, part: str) -> Manifest:
    request = json.loads((CASES / "reviews" / f"{case}.json").read_text())["request"]
    found: Manifest = request[part]
    return found


def with_image(resource: Manifest, made: Manifest) -> Manifest:
    """The Gateway as it was when the operator wrote this Deployment: only its image has changed since."""
    older = copy.deepcopy(resource)
    containers = made["spec"]["template"]["spec"]["containers"]
    older["spec"]["app"]["image"] = next(item["image"] for item in containers if item["name"] == "gateway")
    return older


def recorded() -> dict[str, tuple[Manifest, Manifest, dict[str, ConfigMap | None]]]:
    plain, deployed, maps = stored("operator-gateway")
    in_file, deployed_in_file, maps_in_file = stored("operator-gateway-node-properties")
    created = reviewed("deployment-create-operator-node-properties-and-sidecar", "object")
    changes = {
        f"image change, {part}": reviewed("deployment-update-operator-image-change", part)
        for part in ("oldObject", "object")
    }
    return {
        "diskless": (plain, deployed, maps),
        "node.properties, digest, init container, sidecar": (in_file, deployed_in_file, maps_in_file),
        "node.properties, as created": (with_image(in_file, created), created, maps_in_file),
        **{case: (with_image(plain, made), made, maps) for case, made in changes.items()},
    }


RECORDED = recorded()


def inputs_of(deployment: Manifest, settings: RecordSpec, maps: dict[str, ConfigMap | None]) -> MigrationInputs:
    seen = view(Deployment, deployment)
    container = gateway_container(seen.template().spec, [seen.metadata])
    assert container
    found = migration_inputs(seen.template().spec, container, settings, maps)
    assert found
    assert found.problem is None
    return found


def job_of(deployment: Manifest, settings: RecordSpec, maps: dict[str, ConfigMap | None]) -> Manifest:
    wanted = inputs_of(deployment, settings, maps)
    request = JobRequest(deployment["spec"]["template"], "gateway", wanted, maps)
    reference = JobReference(name="a-db-migration-01234567", hash=wanted.spec_hash)
    job = build_job(Record(namespace="team-a", name="a", uid="m-1"), settings, reference, request)
    pod: Manifest = job["spec"]["template"]["spec"]
    for item in (*pod["containers"], *pod.get("initContainers", [])):
        for field in DEFAULTS:
            if field == "resources" and item.get(field):
                continue
            item.pop(field, None)
    assert pod.pop("terminationGracePeriodSeconds", 30) == 30
    assert pod.pop("dnsPolicy", "ClusterFirst") == "ClusterFirst"
    return job


@pytest.mark.parametrize("settings", [RecordSpec(), OVERRIDE], ids=["defaults", "override"])
@pytest.mark.parametrize("case", RECORDED)
def test_inputs_and_job_equal_those_of_the_operators_deployment(case: str, settings: RecordSpec) -> None:
    resource, made, maps = RECORDED[case]
    ours = deployment_of_gateway(resource)
    theirs = inputs_of(made, settings, maps)
    assert inputs_of(ours, settings, maps) == theirs
    assert inputs_of(ours, settings, maps).spec_hash == theirs.spec_hash
    assert job_of(ours, settings, maps) == job_of(made, settings, maps)


@pytest.mark.parametrize("case", RECORDED)
def test_metadata_equals_that_of_the_operators_deployment(case: str) -> None:
    resource, made, _ = RECORDED[case]
    ours, theirs = deployment_of_gateway(resource)["metadata"], made["metadata"]
    assert {key: ours[key] for key in ("name", "namespace", "ownerReferences")} == {
        key: theirs[key] for key in ("name", "namespace", "ownerReferences")
    }
    assert ours["labels"].items() <= theirs["labels"].items()
    assert gateway_owner(view(Deployment, {"metadata": ours}).metadata) == resource["metadata"]["name"]


def test_the_gateway_stays_as_it_was() -> None:
    resource = RECORDED["node.properties, digest, init container, sidecar"][0]
    before = json.dumps(resource)
    made = deployment_of_gateway(resource)
    made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].clear()
    assert json.dumps(resource) == before


# Fields that no recording has.


def pod_of(**app: Any) -> Manifest:
    tweak = {"app": app, "license": {"secretName": "the-license"}}
    pod: Manifest = deployment_of_gateway(gateway(spec=tweak))["spec"]["template"]["spec"]
    return pod


def volume(pod: Manifest, path: str) -> Manifest:
    """What is mounted into the gateway at a path, without its name."""
    (name,) = {item["name"] for item in pod["containers"][0]["volumeMounts"] if item["mountPath"] == path}
    (found,) = [item for item in pod["volumes"] if item["name"] == name]
    return {key: value for key, value in found.items() if key != "name"}


def test_a_bare_gateway() -> None:
    pod = pod_of()
    (only,) = pod["containers"]
    assert (only["name"], only["image"]) == ("gateway", IMAGE)
    assert only["envFrom"] == [{"configMapRef": {"name": "ssg"}}, {"secretRef": {"name": "ssg"}}]
    assert volume(pod, LICENSE_PATH)["secret"]["secretName"] == "the-license"
    assert set(pod) == {"containers", "volumes", "serviceAccountName"}


ENV_FROM: dict[str, tuple[Manifest, list[str]]] = {
    "its own Secret": ({}, ["ssg"]),
    "a Secret of the user": ({"secretName": "mine"}, ["mine"]),
    "diskless said so": ({"disklessConfig": {"disabled": False}}, ["ssg"]),
    "not diskless": ({"disklessConfig": {"disabled": True}}, []),
    "not diskless, a Secret of the user": ({"secretName": "mine", "disklessConfig": {"disabled": True}}, []),
}


@pytest.mark.parametrize(("management", "secrets"), ENV_FROM.values(), ids=ENV_FROM.keys())
def test_secrets_of_the_environment(management: Manifest, secrets: list[str]) -> None:
    sources = pod_of(management=management)["containers"][0]["envFrom"]
    assert [item["secretRef"]["name"] for item in sources if "secretRef" in item] == secrets
    assert sources[0] == {"configMapRef": {"name": "ssg"}}


CSI = {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "vault"}}
IN_FILE: dict[str, tuple[Manifest, str]] = {
    "the operator's Secret": ({}, "node.properties:ssg-node-properties"),
    "a Secret of the user": ({"secretName": "mine"}, "node.properties:mine"),
    "a CSI driver": (
        {"disklessConfig": {"csi": CSI}},
        "node.properties:csi:secrets-store.csi.k8s.io:vault",
    ),
}


@pytest.mark.parametrize(("management", "expected"), IN_FILE.values(), ids=IN_FILE.keys())
def test_where_node_properties_come_from(management: Manifest, expected: str) -> None:
    diskless = {"disabled": True, **management.get("disklessConfig", {})}
    made = deployment_of_gateway(gateway(spec={"app": {"management": {**management, "disklessConfig": diskless}}}))
    maps = {"ssg": view(ConfigMap, {"data": {"DISKLESS_CONFIG": "false"}})}
    assert inputs_of(made, RecordSpec(), dict(maps)).jdbc_url == expected
    mounted = made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert [item["subPath"] for item in mounted if item["mountPath"] == NODE_PROPERTIES_PATH] == [
        "node.properties"
    ]


OF_POD: Manifest = {
    "imagePullSecrets": [{"name": "regcred"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gw", "operator": "Exists"}],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.2"]},
    "hostNetwork": True,
}


@pytest.mark.parametrize("field", OF_POD)
def test_fields_of_the_pod(field: str) -> None:
    assert pod_of(**{field: OF_POD[field]})[field] == OF_POD[field]


RENAMED: dict[str, tuple[Manifest, str, Any]] = {
    "policy": ({"imagePullPolicy": "Always"}, "imagePullPolicy", "Always"),
    "resources": ({"resources": {"limits": {"cpu": 1}}}, "resources", {"limits": {"cpu": 1}}),
    "security": ({"containerSecurityContext": {"privileged": False}}, "securityContext", {"privileged": False}),
}


@pytest.mark.parametrize(("app", "field", "value"), RENAMED.values(), ids=RENAMED.keys())
def test_fields_of_the_container(app: Manifest, field: str, value: Any) -> None:
    assert pod_of(**app)["containers"][0][field] == value


def test_security_context_and_account_of_the_pod() -> None:
    pod = pod_of(podSecurityContext={"runAsUser": 1010}, serviceAccount={"name": "gw"})
    assert (pod["securityContext"], pod["serviceAccountName"]) == ({"runAsUser": 1010}, "gw")
    assert pod_of(serviceAccount={"create": True})["serviceAccountName"] == "default"


def test_what_other_containers_mount_is_mounted_once() -> None:
    def other(name: str, *paths: str) -> Manifest:
        return {"name": name, "volumeMounts": [{"name": path.strip("/"), "mountPath": path} for path in paths]}

    pod = pod_of(initContainers=[other("a", "/one", "/two"), other("b", "/two")], sidecars=[other("c", "/three")])
    assert [volume(pod, path) for path in ("/one", "/two", "/three")] == [{"emptyDir": {}}] * 3
    assert [item["name"] for item in pod["initContainers"]] == ["a", "b"]
    assert [item["name"] for item in pod["containers"]] == ["gateway"]


REFUSED: dict[str, tuple[Manifest, str]] = {
    "no image": ({"image": ""}, "spec.app.image is empty"),
    "an image that is none": ({"image": 7}, "spec.app.image is empty"),
    "node.properties from elsewhere": (
        {"management": {"disklessConfig": {"disabled": True, "vault": {"path": "x"}}}},
        "disklessConfig.vault",
    ),
    "a CSI driver without a name": (
        {"management": {"disklessConfig": {"disabled": True, "csi": {"readOnly": True}}}},
        "disklessConfig.csi",
    ),
    "a field of a wrong type": ({"hostAliases": "db"}, "cannot be told"),
}


@pytest.mark.parametrize(("app", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_told_is_refused(app: Manifest, text: str) -> None:
    with pytest.raises(InvalidObjectError, match=text):
        deployment_of_gateway(gateway(spec={"app": app}))


@pytest.mark.parametrize("rubbish", [None, "x", 7, [], [None], {"a": None}, [{"name": None}]])
def test_rubbish_in_parts_that_are_not_needed_is_passed_over(rubbish: Any) -> None:
    fields = ("initContainers", "sidecars", "serviceAccount", "labels")
    app = {field: rubbish for field in fields if field != "labels" or not isinstance(rubbish, dict)}
    pod = pod_of(**app, management=None if rubbish is None else {"secretName": rubbish})
    assert pod["containers"][0]["image"] == IMAGE
