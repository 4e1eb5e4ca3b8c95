"""Minimal valid objects, to be tweaked: every test says only what it is about."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from webhook.policy.names import (
    EXTRA_JAVA_ARGS,
    LICENSE_PATH,
    MANAGED_BY,
    MIGRATION_JOB,
    MIGRATION_JOB_ENABLED,
    MODE_LIQUIBASE_ONLY,
    MODE_PROPERTY,
    PRODUCT,
)
from webhook.policy.objects import ConfigMap, view

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
IMAGE = "docker.io/caapim/gateway:11.2.2"
NEXT_IMAGE = "docker.io/caapim/gateway:11.3.0"
URL = "jdbc:mysql://mysql-primary:3306/ssg"
Manifest = dict[str, Any]


def merged(base: Mapping[str, Any], tweak: Mapping[str, Any]) -> Manifest:
    """Overlay mappings key by key; lists and scalars are replaced, a None takes the key away."""
    result = dict(copy.deepcopy(dict(base)))
    for key, value in tweak.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def container(**tweak: Any) -> Manifest:
    """A gateway container as both distributions write it."""
    return merged(
        {
            "name": "gateway",
            "image": IMAGE,
            "envFrom": [{"configMapRef": {"name": "ssg"}}],
            "volumeMounts": [{"name": "gateway-license", "mountPath": LICENSE_PATH, "subPath": "license.xml"}],
        },
        tweak,
    )


def pod_spec(gateway: Mapping[str, Any] | None = None, **tweak: Any) -> Manifest:
    """A pod spec around a gateway container."""
    license_volume = {"name": "gateway-license", "secret": {"secretName": "gateway-license"}}
    base = {"containers": [dict(gateway or container())], "volumes": [license_volume], "dnsPolicy": "ClusterFirst"}
    return merged(base, tweak)


def deployment(gateway: Mapping[str, Any] | None = None, **tweak: Any) -> Manifest:
    """A Deployment team-a/ssg with a gateway container, fully rolled out."""
    base = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "ssg", "namespace": "team-a", "uid": "d-1", "generation": 1},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "ssg"}},
            "template": {"metadata": {"labels": {"app": "ssg"}}, "spec": pod_spec(gateway)},
        },
        "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    }
    return merged(base, tweak)


def pod(gateway: Mapping[str, Any] | None = None, **tweak: Any) -> Manifest:
    """A pod of Deployment team-a/ssg, as its ReplicaSet creates it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "ssg-5d8f", "uid": "r-1", "controller": True}
    base = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "ssg-5d8f-",
            "namespace": "team-a",
            "labels": {"app": "ssg", "pod-template-hash": "5d8f"},
            "ownerReferences": [owner],
        },
        "spec": pod_spec(gateway),
    }
    return merged(base, tweak)


def config_map(name: str = "ssg", data: Mapping[str, str] | None = None, **extra: str) -> Manifest:
    """The ConfigMap that a diskless Gateway with a database reads its environment from."""
    base = {"ACCEPT_LICENSE": "true", "DISKLESS_CONFIG": "true", "SSG_DATABASE_JDBC_URL": URL}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "team-a"},
        "data": {**(base if data is None else data), **extra},
    }


def config_maps(*manifests: Mapping[str, Any]) -> dict[str, ConfigMap | None]:
    """ConfigMaps by name, as the rules take them."""
    maps = [view(ConfigMap, manifest) for manifest in (manifests or (config_map(),))]
    return {item.metadata.name: item for item in maps}


def namespace(name: str = "team-a", **labels: str) -> Manifest:
    """A namespace with labels."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def gateway(**tweak: Any) -> Manifest:
    """A Gateway resource team-a/ssg of the stock operator: its CRD has no migrationJob, so annotations ask."""
    base = {
        "apiVersion": "security.brcmlabs.com/v1",
        "kind": "Gateway",
        "metadata": {
            "name": "ssg",
            "namespace": "team-a",
            "uid": "g-1",
            "annotations": {MIGRATION_JOB: MIGRATION_JOB_ENABLED},
        },
        "spec": {"version": "11.2.2", "app": {"image": IMAGE}},
    }
    return merged(base, tweak)


def gateway_with_job(job: Mapping[str, Any] | None = None, **tweak: Any) -> Manifest:
    """A Gateway resource team-a/ssg of an operator with a migration Job of its own, as ``migrationJob`` tells."""
    fields = {"enabled": True} if job is None else dict(job)
    base = gateway(spec={"app": {"management": {"database": {"migrationJob": fields}}}})
    return merged(merged(base, {"metadata": {"annotations": None}}), tweak)


def operators_job(image: str = NEXT_IMAGE, **tweak: Any) -> Manifest:
    """The Job ssg-db-migration that an operator of this kind makes, recorded in shape, for Gateway team-a/ssg."""
    owner = {"apiVersion": "security.brcmlabs.com/v1", "kind": "Gateway", "name": "ssg", "uid": "g-1"}
    only = {"name": EXTRA_JAVA_ARGS, "value": f"-D{MODE_PROPERTY}={MODE_LIQUIBASE_ONLY}"}
    main = container(image=image, env=[only])
    base = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "ssg-db-migration",
            "namespace": "team-a",
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {"template": {"spec": pod_spec(main, restartPolicy="Never")}},
    }
    return merged(base, tweak)


def record(*, managed: bool = False, **tweak: Any) -> Manifest:
    """A GatewayMigration team-a/ssg."""
    base: Manifest = {
        "apiVersion": "schemagate.io/v1alpha1",
        "kind": "GatewayMigration",
        "metadata": {"name": "ssg", "namespace": "team-a", "uid": "m-1"},
        "spec": {},
    }
    if managed:
        base["metadata"]["labels"] = {MANAGED_BY: PRODUCT}
    return merged(base, tweak)
