"""Forged objects: Jobs, labels, annotations, statuses and reviews of a tenant with ``edit`` count for nothing."""

import re
import ssl
from datetime import UTC, datetime

import aiohttp
import pytest

from tests.controlplane.client import ApiError, until
from tests.live.aftermath import calls, created_jobs, guarded, looked_again, running, says, stays_shut, told
from tests.live.installation import NAMESPACE, Installation, Replica
from tests.live.tenant import forged_job, tenant
from tests.live.world import NEW, NEWER, OLD, Manifest, World, condition
from webhook.audit.batch import encode
from webhook.audit.rejection import Rejected
from webhook.kube.outbox import COMPONENT_OF_A_BATCH
from webhook.policy.names import COMPONENT, HASH, MANAGED_BY, MIGRATED, PRODUCT, RETRY

SLOW = f"{NEW}-slow"


async def done(world: World, job: str) -> None:
    """Wait until a Job is Complete, whoever made it."""

    async def there() -> bool:
        conditions = (await world.get("Job", job))["status"].get("conditions", [])
        return any(item["type"] == "Complete" and item["status"] == "True" for item in conditions)

    await until(there, what=f"Job {job} is Complete")


async def test_a_job_with_our_labels_is_told_and_counts_for_nothing(world: World, controller: Replica) -> None:
    status = await running(world, SLOW)
    async with tenant(world) as forger:
        await forger.post(world.path("Job"), forged_job("empty", status["shortHash"], SLOW, completions=0))
        await says(world, "Degraded", "ForeignJob", "empty")
        assert "empty" in await told(world, "ForeignJob")
        # With a pod of its own that ends well, and our record for an owner.
        owner = await world.record()
        await forger.post(world.path("Job"), forged_job("busy", status["shortHash"], NEW, owner))
        await done(world, "busy")
        await says(world, "Degraded", "ForeignJob", "busy", "empty")
    assert status["job"]["name"] in await stays_shut(world, SLOW)
    await world.finish()
    complete = await world.reaches("Complete", image=SLOW)
    assert complete["completedHashes"][0]["jobUID"] == status["job"]["uid"]
    assert condition(complete, "Degraded")["status"] == "False"


@pytest.mark.parametrize("owned", [False, True], ids=["no owner", "our record for an owner"])
async def test_a_squatted_name_is_neither_adopted_nor_freed(
    world: World, controller: Replica, owned: bool
) -> None:
    await guarded(world)
    short_hash = await hash_of(world, SLOW)
    name = f"ssg-db-migration-{short_hash[:8]}"
    async with tenant(world) as squatter:
        owner = await world.record() if owned else None
        squatting = await squatter.post(world.path("Job"), forged_job(name, short_hash, NEW, owner, completions=1))
    await done(world, name)
    await world.wants(SLOW)
    status = await world.reaches("Running", image=SLOW)
    assert (status["job"]["name"], status["job"]["attempts"]) == (f"{name}-2", 2)
    assert name in await told(world, "JobNameTaken")
    degraded = condition(status, "Degraded")
    assert (degraded["status"], name in degraded["message"]) == ("True", True)
    await stays_shut(world, SLOW)
    assert (await world.get("Job", name))["metadata"]["uid"] == squatting["metadata"]["uid"]

    await world.finish()
    complete = await world.reaches("Complete", image=SLOW)
    assert complete["completedHashes"][0]["jobUID"] == status["job"]["uid"] != squatting["metadata"]["uid"]
    assert (await world.get("Job", name))["metadata"]["uid"] == squatting["metadata"]["uid"]


async def test_a_squatting_copy_of_our_own_job_that_ran_nothing_is_tampering(
    world: World, controller: Replica
) -> None:
    await running(world, SLOW)
    await world.finish(1)
    failed = await world.reaches("Failed", image=SLOW)
    ours = await world.get("Job", failed["job"]["name"])
    async with tenant(world) as squatter:
        copied = forged_job(f"{failed['job']['name']}-2", failed["shortHash"], SLOW, await world.record())
        copied["spec"] |= {"completions": 0, "template": {"spec": ours["spec"]["template"]["spec"]}}
        await squatter.post(world.path("Job"), copied)
    await world.patch("GatewayMigration", "ssg", {"metadata": {"annotations": {RETRY: failed["shortHash"]}}})
    await says(world, "Degraded", "EvidenceTampered", "without exactly one succeeded pod")
    assert "EvidenceTampered" in await stays_shut(world, SLOW)


async def test_an_old_success_with_another_label_stays_what_it_is(world: World, controller: Replica) -> None:
    await guarded(world)
    await world.wants(NEW)
    old = await world.reaches("Complete", image=NEW)
    await world.wants(SLOW)
    status = await world.reaches("Running", image=SLOW)
    async with tenant(world) as forger:
        label = {"metadata": {"labels": {HASH: status["shortHash"]}}}
        await forger.patch(world.path("Job", old["job"]["name"]), label)
        await says(world, "Degraded", "ForeignJob", old["job"]["name"])
    await stays_shut(world, SLOW)


async def test_what_only_schemagate_may_write(world: World, controller: Replica) -> None:
    status = await running(world, SLOW)
    record, job = world.path("GatewayMigration", "ssg"), world.path("Job", status["job"]["name"])
    async with tenant(world) as forger:
        for path in (record, f"{record}/status", f"{job}/status"):
            with pytest.raises(ApiError) as caught:
                await forger.patch(path, {"status": {"complete": True}})
            assert caught.value.status == 403, path
        with pytest.raises(ApiError) as caught:
            await forger.delete(record)
        assert caught.value.status == 403
        # What he may write, and nobody reads.
        mark = {"metadata": {"annotations": {MIGRATED: status["shortHash"]}}}
        await forger.patch(world.path("Deployment", "ssg"), mark)
    await stays_shut(world, SLOW)


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


async def hash_of(world: World, image: str) -> str:
    """Give the hash of an image as a denial tells it, to who wants to be quicker than we are."""
    found = re.search(r"migration ([0-9a-f]{16}) has not run", await world.denial("ssg", image))
    assert found
    return found[1]
