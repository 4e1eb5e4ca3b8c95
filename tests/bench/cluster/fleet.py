"""Fleets of Gateways on a real API server: many at rest to be known, some to be migrated."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.controlplane.client import Client, until
from tests.controlplane.objects import recorded
from webhook.policy.names import MIGRATION_JOB

Manifest = dict[str, Any]
AT_A_TIME = 16
ASKS = {MIGRATION_JOB: "enabled"}
AGED, OLD, NEW = (f"docker.io/caapim/gateway:{tag}" for tag in ("11.1.1", "11.2.5", "11.3.0"))
"""AGED knows no schema-update modes: its record is at rest without a migration."""


async def every(work: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Do all, some at a time."""
    slots = asyncio.Semaphore(AT_A_TIME)

    async def one(piece: Callable[[], Awaitable[object]]) -> None:
        async with slots:
            await piece()

    await asyncio.gather(*(one(piece) for piece in work))


def paths(namespace: str) -> dict[str, str]:
    """Give where the kinds of a fleet are stored."""
    return {
        "ConfigMap": f"/api/v1/namespaces/{namespace}/configmaps",
        "Deployment": f"/apis/apps/v1/namespaces/{namespace}/deployments",
        "Gateway": f"/apis/security.brcmlabs.com/v1/namespaces/{namespace}/gateways",
        "GatewayMigration": f"/apis/schemagate.io/v1alpha1/namespaces/{namespace}/gatewaymigrations",
    }


async def make_namespace(admin: Client, namespace: str) -> None:
    """Make a namespace in which pods can run."""
    await admin.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    await until(lambda: admin.exists(account), what="the default service account")


async def make_gateways(admin: Client, namespace: str, names: Sequence[str], *, replicas: int, image: str) -> None:
    """Store copies of a recorded Gateway with its ConfigMap and Deployment, each with a database of its own."""
    where = paths(namespace)

    async def make(name: str) -> None:
        for document in recorded("operator-gateway", namespace):
            fresh = _named(document, name)
            if fresh["kind"] == "Gateway":
                fresh["spec"]["app"]["image"] = image
            if fresh["kind"] == "Deployment":
                fresh["spec"]["replicas"] = replicas
                fresh["spec"]["template"]["spec"]["containers"][0]["image"] = image
            await admin.post(where[fresh["kind"]], fresh)

    await every([lambda name=name: make(name) for name in names])  # type: ignore[misc]


async def guard(admin: Client, namespace: str, names: Sequence[str]) -> None:
    """Put Gateways under guard."""
    where = paths(namespace)["Gateway"]
    annotate = {"metadata": {"annotations": ASKS}}
    await every([lambda name=name: admin.patch(f"{where}/{name}", annotate) for name in names])  # type: ignore[misc]


async def phases(admin: Client, namespace: str) -> dict[str, tuple[str, str]]:
    """Give phase and image of all records."""
    found = await admin.items(paths(namespace)["GatewayMigration"])
    return {
        item["metadata"]["name"]: (
            item.get("status", {}).get("phase", ""),
            item.get("status", {}).get("image", ""),
        )
        for item in found
    }


def _named(document: Manifest, name: str) -> Manifest:
    """Give a recorded document another name, its references to the ConfigMap too, and a schema of its own."""
    fresh = copy.deepcopy(document)
    fresh["metadata"]["name"] = name
    fresh["metadata"]["annotations"] = {}
    if fresh["kind"] == "ConfigMap":
        fresh["data"]["SSG_DATABASE_JDBC_URL"] = f"jdbc:mysql://mysql-primary:3306/{name.replace('-', '_')}"
    if fresh["kind"] == "Deployment":
        labels = {"app.kubernetes.io/name": name}
        fresh["spec"]["selector"] = {"matchLabels": labels}
        fresh["spec"]["template"]["metadata"]["labels"] = labels
        container = fresh["spec"]["template"]["spec"]["containers"][0]
        for source in container["envFrom"]:
            reference = source.get("configMapRef") or source["secretRef"]
            reference["name"] = name
    return fresh
