"""What the manifests grant is what the processes do, no less and no more, by the API server's audit log.

This file comes last, so that the log tells of all live tests. Alone it does whatever takes a right.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.controlplane.client import Client, until
from tests.controlplane.objects import install, owned, stock, with_migration_job
from tests.live.installation import NAMESPACE, Installation
from tests.live.report_kinds import KINDS, served
from tests.live.rights import CERTIFICATES, fold, granted
from tests.live.world import NEW, NEWER, OLD, POD, Manifest, World
from webhook.kube.api.connection import connect
from webhook.kube.events.recorder import SPACING_SECONDS, EventRecorder
from webhook.kube.events.stored import Reference
from webhook.kube.reports import ReportWriter
from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL, HELD, MIGRATION_JOB, RETRY

ASKS = {MIGRATION_JOB: "enabled"}
FAILING = f"{NEW}-fail"


@pytest.fixture
async def mirroring(admin: Client, installation: Installation, no_controller: Installation) -> AsyncIterator[None]:
    """Have a controller where Gateways tell how their migration stands, and the stock definition afterwards."""
    await install(admin, with_migration_job())

    async def published() -> bool:
        found = await admin.get("/openapi/v3/apis/security.brcmlabs.com/v1")
        return "migrationStatus" in json.dumps(found)

    await until(published, what="the schema is published")
    replica = installation.start("controller", reports="off")
    yield
    replica.component.stop()
    await install(admin, stock())


async def test_granted_is_what_is_done(world: World, mirroring: None, installation: Installation) -> None:
    await world.operator_gateway(**ASKS)
    await world.reaches("Complete", image=OLD)
    await until(lambda: mirrored(world), what="the Gateway tells of its migration")

    await a_denial_is_handed_over(world)
    await a_failure_is_looked_into_tried_again_and_cleared_away(world)
    await a_held_rollout_is_resumed(world)
    await somebody_tries_to_break_glass(world)
    await an_event_is_counted_up(world, installation)
    await reports_are_written_and_taken_away(world, installation)
    await a_first_install_gets_no_pod(world)
    await the_source_goes(world)

    rights = granted()
    # Processes of this installation are given certificate files: test_certificates drives what keeps certificates.
    driven = {right for right in rights if right.resource not in CERTIFICATES}

    async def unused() -> bool:
        return not driven - fold(installation.plane.audit_events(), rights)[0]

    try:
        await until(unused, what="every right was used")
    finally:
        used, lacking = fold(installation.plane.audit_events(), rights)
    assert not lacking
    assert driven <= used


async def mirrored(world: World) -> bool:
    status = (await world.get("Gateway", "ssg")).get("status", {})
    return bool(status.get("migrationStatus", {}).get("complete"))


async def a_denial_is_handed_over(world: World) -> None:
    await world.denial("ssg", NEWER)

    async def counted() -> bool:
        return bool((await world.record())["status"].get("rejections", {}).get("count"))

    async def taken_in() -> bool:
        found = await world.admin.items(f"/api/v1/namespaces/{NAMESPACE}/configmaps")
        return not [item for item in found if "rejections" in item["metadata"]["name"]]

    await until(counted, what="the rejection is in the record")
    await until(taken_in, what="the batch is deleted")


async def a_failure_is_looked_into_tried_again_and_cleared_away(world: World) -> None:
    await world.patch("GatewayMigration", "ssg", {"spec": {"podAttempts": 1}})
    await world.wants(FAILING)
    failed = await world.reaches("Failed", image=FAILING)
    retry = {"metadata": {"annotations": {RETRY: failed["shortHash"]}}}
    await world.patch("GatewayMigration", "ssg", retry)

    async def again() -> bool:
        record = await world.record()
        cleared = RETRY not in record["metadata"].get("annotations", {})
        return cleared and record["status"]["job"]["attempts"] == 2 and record["status"]["phase"] == "Failed"

    await until(again, what="the second attempt has failed too")
    await world.patch("GatewayMigration", "ssg", {"spec": {"enabled": False}})
    second = f"ssg-db-migration-{failed['specHash'][:8]}-2"

    async def cleared_away() -> bool:
        return second not in [job["metadata"]["name"] for job in await world.jobs()]

    await until(cleared_away, what="the Job is deleted")


async def a_held_rollout_is_resumed(world: World) -> None:
    await world.wants(NEW)
    await world.patch("GatewayMigration", "ssg", {"spec": {"enabled": True, "mode": "Hold"}})

    async def held_or_complete() -> bool:
        changed = await world.set_image("ssg", f"{NEW}-held", dryRun="All")
        return HELD in changed["metadata"]["annotations"]

    await until(held_or_complete, what="the webhook knows the mode")
    await world.set_image("ssg", f"{NEW}-held")
    await world.wants(f"{NEW}-held")
    await world.reaches("Complete", image=f"{NEW}-held")

    async def resumed() -> bool:
        return not (await world.get("Deployment", "ssg"))["spec"].get("paused")

    await until(resumed, what="the Deployment goes on")


async def somebody_tries_to_break_glass(world: World) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
    told = {BYPASS_REASON: "emergency", BYPASS_UNTIL: soon, BYPASS_HASH: "0" * 16}
    await world.patch("GatewayMigration", "ssg", {"spec": {"mode": "Reject"}})
    await world.patch("Deployment", "ssg", {"metadata": {"annotations": told}})

    async def refused() -> bool:
        return "bypass not honoured" in await world.denial("ssg", NEWER)

    await until(refused, what="the webhook knows the mode")


async def an_event_is_counted_up(world: World, installation: Installation) -> None:
    """Tell the same again after five minutes, by a clock of ours, as the controller's account."""
    kubeconfig = installation.plane.kubeconfig_for("schemagate-controller", NAMESPACE)
    client = await connect(kubeconfig, user_agent="schemagate-controller/0 (tests)")
    now, lost = [0.0], list[int]()
    recorder = EventRecorder(client, "tests", lost.append, clock=lambda: now[0])
    meta = (await world.record())["metadata"]
    regarding = Reference("schemagate.io/v1alpha1", "GatewayMigration", world.namespace, "ssg", meta["uid"])
    try:
        for _ in range(2):
            recorder.record(regarding, "Normal", "Tested", "the same again", "Test")
            await recorder.flush()
            now[0] += SPACING_SECONDS + 1
    finally:
        await client.close()
    assert not lost


async def reports_are_written_and_taken_away(world: World, installation: Installation) -> None:
    """Do to both kinds of reports what the controller does, as its account."""
    kubeconfig = installation.plane.kubeconfig_for("schemagate-controller", NAMESPACE)
    client = await connect(kubeconfig, user_agent="schemagate-controller/0 (tests)")
    try:
        async with served(world.admin, *KINDS):
            for kind in KINDS.values():
                writer = ReportWriter(client, client, kind)
                await writer.look()
                assert writer.served
                for passed in (1, 2):
                    assert await writer.write(world.namespace, {"summary": {"pass": passed}, "results": []})
                await writer.delete(world.namespace)
    finally:
        await client.close()


async def a_first_install_gets_no_pod(world: World) -> None:
    """Have a further Gateway, without Deployment, whose Job gets no pod: an Event alone tells why."""
    await world.forbid("Pod", "pods", POD)
    documents = json.loads(json.dumps(world.recorded("operator-gateway")).replace('"ssg"', '"first"'))
    gateway, config_map = (item for item in documents if item["kind"] in {"Gateway", "ConfigMap"})
    gateway["metadata"]["annotations"] = ASKS
    stored = await world.create(gateway)
    await world.create(owned(config_map, stored))

    async def told() -> bool:
        record: Manifest = await world.record("first")
        conditions = record.get("status", {}).get("conditions", ())
        return any("quota" in item["message"] for item in conditions)

    await until(told, what="the record tells why its Job has no pod")


async def the_source_goes(world: World) -> None:
    await world.patch("Gateway", "ssg", {"metadata": {"annotations": dict.fromkeys(ASKS)}})

    async def gone() -> bool:
        return not await world.admin.exists(world.path("GatewayMigration", "ssg"))

    await until(gone, what="the record is gone with its source")
