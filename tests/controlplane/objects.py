"""The Gateway's custom resource definition, and recorded objects made fit for being stored again."""

import copy
from pathlib import Path
from typing import Any, Final

import yaml

from tests.controlplane.client import Client, until

RECORDED: Final = Path(__file__).parents[1] / "testdata" / "cases" / "objects"
GATEWAYS: Final = "gateways.security.brcmlabs.com"

_STRING: Final = {"type": "string"}
_BOOLEAN: Final = {"type": "boolean"}
_INTEGER: Final = {"type": "integer", "format": "int32"}
_ANYTHING: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_LIST: Final = {"type": "array", "items": _ANYTHING}

# Shaped by hand after the operator's: open where nobody looks, but spelled out in the two places whose unknown
# fields the API server has to prune, as it does with the stock definition.
_DATABASE: Final = {
    "enabled": _BOOLEAN,
    "jdbcUrl": _STRING,
    "liquibaseLogLevel": _STRING,
    "password": _STRING,
    "username": _STRING,
}
_STATUS: Final = {
    "PortalSyncStatus": _ANYTHING,
    "conditions": _LIST,
    "gateway": _LIST,
    "host": _STRING,
    "image": _STRING,
    "labelSelectorPath": _STRING,
    "managementPod": _STRING,
    "phase": _STRING,
    "ready": _INTEGER,
    "replicas": _INTEGER,
    "repositoryStatus": _LIST,
    "state": _STRING,
    "version": _STRING,
}
_MIGRATION_JOB: Final = {
    "type": "object",
    "properties": {
        "enabled": _BOOLEAN,
        "activeDeadlineSeconds": {"type": "integer", "format": "int64"},
        "clearLocks": _BOOLEAN,
        "jdbcUrl": _STRING,
    },
}
_MIGRATION_STATUS: Final = {"type": "object", "properties": {"specHash": _STRING, "complete": _BOOLEAN}}


def stock() -> dict[str, Any]:
    """Give the definition as the stock operator brings it: fields of a migration are pruned."""
    return _definition(_DATABASE, _STATUS)


def with_migration_job() -> dict[str, Any]:
    """Give the definition of an operator with a migration Job of its own."""
    return _definition(
        {**_DATABASE, "migrationJob": _MIGRATION_JOB}, {**_STATUS, "migrationStatus": _MIGRATION_STATUS}
    )


def recorded(name: str, namespace: str) -> list[dict[str, Any]]:
    """Give the objects of a recording (`operator-gateway`, `helm-gateway`…), storable in a namespace."""
    documents = yaml.safe_load_all((RECORDED / f"{name}.yaml").read_text())
    return [storable(document, namespace) for document in documents]


def storable(document: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Take off what an API server sets by itself, and owners, which name objects that are no more.

    Give `owned` the stored owner afterwards to tie the objects together again.
    """
    fresh = copy.deepcopy(document)
    fresh.pop("status", None)
    metadata = fresh["metadata"]
    for name in (
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
        "selfLink",
        "ownerReferences",
    ):
        metadata.pop(name, None)
    metadata["namespace"] = namespace
    return fresh


def owned(document: dict[str, Any], owner: dict[str, Any]) -> dict[str, Any]:
    """Give the document with an owner, which has been stored, as its controller."""
    fresh = copy.deepcopy(document)
    fresh["metadata"]["ownerReferences"] = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    return fresh


async def install(client: Client, definition: dict[str, Any]) -> None:
    """Store a definition, in place of an older one if need be, and wait until its objects are served."""
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
    await client.patch(path, definition, "application/apply-patch+yaml", fieldManager="tests", force="true")

    async def established() -> bool:
        # Null until the API server has had a first look, and not merely missing.
        conditions = ((await client.get(path)).get("status") or {}).get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    await until(established, what=f"{definition['metadata']['name']} is established")


def _definition(database: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    management = {**_ANYTHING, "properties": {"database": {"type": "object", "properties": database}}}
    application = {**_ANYTHING, "properties": {"management": management}}
    schema = {
        "type": "object",
        "properties": {
            "apiVersion": _STRING,
            "kind": _STRING,
            "metadata": {"type": "object"},
            "spec": {**_ANYTHING, "properties": {"app": application}},
            "status": {"type": "object", "properties": status},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": GATEWAYS},
        "spec": {
            "group": "security.brcmlabs.com",
            "names": {"kind": "Gateway", "listKind": "GatewayList", "plural": "gateways", "singular": "gateway"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
