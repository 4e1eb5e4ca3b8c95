"""The Gateway's definition and the recorded objects, against a real API server."""

from typing import Any

import pytest

from tests.controlplane import objects
from tests.controlplane.client import Client, until

RESOURCES = {
    "Gateway": "apis/security.brcmlabs.com/v1/namespaces/{}/gateways",
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
}
MIGRATION_JOB = {
    "enabled": True,
    "activeDeadlineSeconds": 600,
    "clearLocks": False,
    "jdbcUrl": "jdbc:mysql://db/ssg",
}
MIGRATION_STATUS = {"specHash": "abc", "complete": True}


async def store_gateway(admin: Client, namespace: str) -> dict[str, Any]:
    """Store a Gateway with everything that only the second definition knows, and give it as stored."""
    gateways = f"/apis/security.brcmlabs.com/v1/namespaces/{namespace}/gateways"
    gateway, *_ = objects.recorded("operator-gateway", namespace)
    gateway["spec"]["app"]["management"]["database"]["migrationJob"] = MIGRATION_JOB
    await admin.post(gateways, gateway)
    status = {"replicas": 3, "migrationStatus": MIGRATION_STATUS}
    return await admin.patch(f"{gateways}/ssg/status", {"status": status})


async def test_the_stock_definition_prunes_what_a_migration_would_say(admin: Client, namespace: str) -> None:
    await objects.install(admin, objects.with_migration_job())
    await objects.install(admin, objects.stock())

    async def pruned() -> bool:
        gateway = await store_gateway(admin, namespace)
        await admin.delete(f"/apis/security.brcmlabs.com/v1/namespaces/{namespace}/gateways/ssg")
        database = gateway["spec"]["app"]["management"]["database"]
        assert database["jdbcUrl"].startswith("jdbc:mysql:")
        assert gateway["spec"]["app"]["java"]["jvmHeap"]["default"] == "3g"
        assert gateway["status"]["replicas"] == 3
        return "migrationJob" not in database and "migrationStatus" not in gateway["status"]

    await until(pruned)


async def test_the_other_definition_keeps_it(admin: Client, namespace: str) -> None:
    await objects.install(admin, objects.with_migration_job())

    async def kept() -> bool:
        gateway = await store_gateway(admin, namespace)
        await admin.delete(f"/apis/security.brcmlabs.com/v1/namespaces/{namespace}/gateways/ssg")
        database = gateway["spec"]["app"]["management"]["database"]
        told = database.get("migrationJob"), gateway["status"].get("migrationStatus")
        return told == (MIGRATION_JOB, MIGRATION_STATUS)

    await until(kept)


@pytest.mark.parametrize("name", ["operator-gateway", "operator-gateway-node-properties", "helm-gateway"])
async def test_recorded_objects_are_storable_and_their_pods_run(admin: Client, namespace: str, name: str) -> None:
    await objects.install(admin, objects.stock())
    documents = objects.recorded(name, namespace)
    # The chart brings it; the recording holds what schemagate reads.
    await admin.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "my-gateway"}})
    stored: dict[str, dict[str, Any]] = {}
    for document in documents:
        owner = stored.get("Gateway")
        body = objects.owned(document, owner) if owner else document
        path = "/" + RESOURCES[document["kind"]].format(namespace)
        stored[document["kind"]] = await admin.post(path, body)

    deployment = stored["Deployment"]
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment['metadata']['name']}"

    async def available() -> bool:
        status = (await admin.get(path))["status"]
        return bool(status.get("availableReplicas") == deployment["spec"]["replicas"])

    await until(available)
