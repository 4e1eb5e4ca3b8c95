"""Forged rejections: a batch in a namespace of others, and reviews that no API server sent."""

import re
import ssl
from datetime import UTC, datetime

import aiohttp
import pytest

from tests.controlplane.client import ApiError, until
from tests.live.aftermath import calls, created_jobs, guarded, looked_again
from tests.live.installation import NAMESPACE, Installation, Replica
from tests.live.tenant import tenant
from tests.live.world import NEW, NEWER, OLD, Manifest, World
from webhook.audit.rejections.batch import encode
from webhook.audit.rejections.rejection import Rejected
from webhook.kube.outbox import COMPONENT_OF_A_BATCH
from webhook.policy.names import COMPONENT, MANAGED_BY, PRODUCT


async def test_rejections_in_a_namespace_of_others_are_nobodys(world: World, controller: Replica) -> None:
    await guarded(world)
    moment = datetime.now(UTC)
    made_up = Rejected(world.namespace, "ssg", "0" * 64, "MigrationPending", "admin", OLD, NEW, moment, moment, 99)
    invented = encode([made_up])
    labels = {MANAGED_BY: PRODUCT, COMPONENT: COMPONENT_OF_A_BATCH}
    async with tenant(world) as forger:
        body = {
            "metadata": {"name": "batch", "labels": labels},
            "data": {"batch": invented, "rejections": invented},
        }
        await forger.post(world.path("ConfigMap"), body)
        with pytest.raises(ApiError):
            await forger.post(f"/api/v1/namespaces/{NAMESPACE}/configmaps", body)
    await world.denial("ssg", NEWER)

    async def counted() -> Manifest | None:
        found: Manifest = (await world.record())["status"].get("rejections") or {}
        return found if found.get("count") else None

    rejections = await until(counted)
    assert rejections is not None
    assert (rejections["count"], [item["toImage"] for item in rejections["newest"]]) == (1, [NEWER])
    assert await world.admin.exists(world.path("ConfigMap", "batch"))


async def test_a_forged_review_starts_and_records_nothing(
    world: World, installation: Installation, controller: Replica
) -> None:
    await guarded(world)
    since, before = world.plane.audit_position(), left_out(controller)
    deployment = await world.get("Deployment", "ssg")
    trust = ssl.create_default_context(cadata=world.plane.ca_pem.decode())
    configuration = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/schemagate"
    url = (await world.admin.get(configuration))["webhooks"][0]["clientConfig"]["url"]
    async with aiohttp.ClientSession() as anyone:
        for name, image in (("ghost", OLD), ("ssg", "docker.io/caapim/gateway:11.2.9")):
            async with anyone.post(url, json=review(deployment, name, image), ssl=trust) as answer:
                said = await answer.json()
                assert said["response"]["allowed"] is False, said

    async def refused() -> bool:
        return left_out(controller) >= before + 2

    await until(refused, what="both are left out")
    status = await looked_again(world)
    assert status["phase"] == "Complete"
    assert not (status.get("rejections") or {}).get("count")
    assert [item["metadata"]["name"] for item in await world.admin.items(world.path("GatewayMigration"))] == [
        "ssg"
    ]
    assert created_jobs(world, since) == []
    by_webhook = calls(world, since, "system:serviceaccount:schemagate:schemagate-webhook")
    assert {event["verb"] for event in by_webhook} <= {"get", "list"}
    written = {(event["verb"], event["objectRef"]["resource"]) for event in calls(world, since)}
    assert ("create", "gatewaymigrations") not in written


def review(deployment: Manifest, name: str, from_image: str) -> Manifest:
    """Give a review of a rollout that nobody asked for, by somebody who was never asked who he is."""
    old, new = (forged_template(deployment, name, image) for image in (from_image, NEWER))
    request = {
        "uid": "0f1e2d3c-0000-4000-8000-000000000000",
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "name": name,
        "namespace": deployment["metadata"]["namespace"],
        "operation": "UPDATE",
        "userInfo": {"username": "system:admin", "groups": ["system:masters"]},
        "object": new,
        "oldObject": old,
        "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "UpdateOptions"},
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def forged_template(deployment: Manifest, name: str, image: str) -> Manifest:
    """Give the Deployment under another name, with another image, asking to be guarded."""
    spec = deployment["spec"]["template"]["spec"]
    containers = [{**spec["containers"][0], "image": image}]
    template = {**deployment["spec"]["template"], "spec": {**spec, "containers": containers}}
    annotations = {"schemagate.io/migration-job": "enabled"}
    metadata = {**deployment["metadata"], "name": name, "annotations": annotations}
    return {**deployment, "metadata": metadata, "spec": {**deployment["spec"], "template": template}}


def left_out(controller: Replica) -> float:
    """Give how many rejections fitted nothing that is stored."""
    found = re.search(r"^(?!#)\S*left_out\S* (\S+)$", controller.metrics(), re.MULTILINE)
    assert found, controller.metrics()
    return float(found[1])
