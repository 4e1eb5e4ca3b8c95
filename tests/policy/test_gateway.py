"""Which container is the Gateway, and whose the pod is."""

from typing import Any

import pytest

from tests.support.builders import container, deployment, pod, pod_spec
from webhook.policy.gateway import (
    deployment_of,
    gateway_candidates,
    gateway_container,
    gateway_index,
    gateway_owner,
    named_container,
    node_properties_volume,
)
from webhook.policy.names import LICENSE_PATH, NODE_PROPERTIES_PATH
from webhook.policy.objects import ObjectMeta, OwnerReference, Pod, PodSpec, view

SIDECAR = {"name": "proxy", "image": "envoy:1"}
LICENSE_FOLDER = LICENSE_PATH.rpartition("/license/")[0]


def mounted(path: str) -> dict[str, Any]:
    return container(volumeMounts=[{"name": "l", "mountPath": path}])


def spelled(tail: str) -> dict[str, Any]:
    return mounted(LICENSE_FOLDER + tail)


OTHER_MOUNT = mounted(LICENSE_PATH + ".bak")
FOUND: dict[str, tuple[Any, str | None, int | None]] = {
    "the operator puts it first": ([container(), SIDECAR], None, 0),
    "the chart puts it last": ([SIDECAR, container()], None, 1),
    "whatever its name": ([SIDECAR, container(name="ssg")], None, 1),
    "an annotation overrides": ([container(), SIDECAR], "proxy", 1),
    "an annotation that names nothing": ([container(), SIDECAR], "gone", 0),
    "an annotation that names nothing, no license": ([SIDECAR], "gone", None),
    "the license path spelled otherwise": ([SIDECAR, spelled("/license//license.xml/")], None, 1),
    "the license path with dots": ([spelled("/./license/../license/license.xml")], None, 0),
    "the license path from a doubled root": ([mounted("/" + LICENSE_PATH)], None, 0),
    "the license path without a root": ([mounted(LICENSE_PATH.removeprefix("/"))], None, 0),
    "no license": ([SIDECAR], None, None),
    "a mount nearby": ([OTHER_MOUNT], None, None),
    "no containers": ([], None, None),
    "null containers": (None, None, None),
}


@pytest.mark.parametrize(("containers", "named", "index"), FOUND.values(), ids=FOUND.keys())
def test_the_gateway_container_is_found(containers: Any, named: str | None, index: int | None) -> None:
    spec = view(PodSpec, {"containers": containers})
    assert gateway_index(spec, named) == index
    notes = ObjectMeta(annotations={"schemagate.io/gateway-container": named} if named else None)
    found = gateway_container(spec, [ObjectMeta(), notes])
    assert (found.name if found else None) == (None if index is None else containers[index]["name"])


CANDIDATES: dict[str, tuple[Any, str | None, list[str]]] = {
    "all that mount the license": ([container(), SIDECAR, container(name="two")], None, ["gateway", "two"]),
    "beside them the one that is named": ([container(), SIDECAR], "proxy", ["gateway", "proxy"]),
    "a name that is not there": ([container(), SIDECAR], "gone", ["gateway"]),
    "an empty name names none": ([{"image": "x"}, SIDECAR], "", []),
    "null containers": (None, "proxy", []),
}


@pytest.mark.parametrize(("containers", "named", "names"), CANDIDATES.values(), ids=CANDIDATES.keys())
def test_all_that_may_be_the_gateway(containers: Any, named: str | None, names: list[str]) -> None:
    found = gateway_candidates(view(PodSpec, {"containers": containers}), named)
    assert [item.name for item in found] == names


def test_the_first_annotation_wins_and_an_empty_one_is_none() -> None:
    metas = [ObjectMeta(annotations={"schemagate.io/gateway-container": name}) for name in ("", "a", "b")]
    assert named_container(metas) == "a"
    assert named_container([]) is None


def test_the_volume_of_node_properties_is_found_by_its_mount() -> None:
    mounted = container(volumeMounts=[{"name": "np", "mountPath": NODE_PROPERTIES_PATH}])
    spec = view(PodSpec, pod_spec(mounted, volumes=[{"name": "x"}, {"name": "np", "secret": {"secretName": "s"}}]))
    found = node_properties_volume(spec, (spec.containers or ())[0])
    assert found is not None
    assert found.secret is not None
    bare = view(PodSpec, pod_spec())
    assert node_properties_volume(bare, (bare.containers or ())[0]) is None


def owned(kind: str = "ReplicaSet", name: str = "ssg-5d8f", controller: bool = True) -> list[dict[str, Any]]:
    return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": controller}]


PODS: dict[str, tuple[dict[str, Any], str | None]] = {
    "of a ReplicaSet": ({}, "ssg"),
    "of a Job": ({"ownerReferences": owned("Job")}, None),
    "of nobody": ({"ownerReferences": None}, None),
    "of a ReplicaSet that does not control it": ({"ownerReferences": owned(controller=False)}, None),
    "of a bare ReplicaSet": ({"labels": {"pod-template-hash": None}}, None),
    "of a ReplicaSet of another hash": ({"ownerReferences": owned(name="ssg-77")}, None),
    "of a ReplicaSet that is only a hash": ({"ownerReferences": owned(name="-5d8f")}, None),
    "of a Deployment with dashes": ({"ownerReferences": owned(name="a-5d8f-5d8f")}, "a-5d8f"),
}


@pytest.mark.parametrize(("meta", "name"), PODS.values(), ids=PODS.keys())
def test_a_pods_deployment_is_told_by_its_replica_set(meta: dict[str, Any], name: str | None) -> None:
    assert deployment_of(view(Pod, pod(metadata=meta))) == name


@pytest.mark.parametrize(
    ("kind", "api_version", "controller", "name"),
    [
        ("Gateway", "security.brcmlabs.com/v1", True, "ssg"),
        ("Gateway", "security.brcmlabs.com/v2", True, "ssg"),
        ("Gateway", "security.brcmlabs.com/v1", False, None),
        ("Gateway", "gateway.networking.k8s.io/v1", True, None),
        ("Rollout", "security.brcmlabs.com/v1", True, None),
    ],
)
def test_only_a_layer7_gateway_owns(kind: str, api_version: str, controller: bool, name: str | None) -> None:
    meta = ObjectMeta(owner_references=(OwnerReference(kind, "ssg", api_version, controller=controller),))
    assert gateway_owner(meta) == name


def test_the_builders_make_a_gateway() -> None:
    assert gateway_index(view(PodSpec, deployment()["spec"]["template"]["spec"])) == 0
