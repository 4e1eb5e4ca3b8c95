"""Migrations that fail: named in the record, an Event and the denial, tried again by nobody but a person."""

import json

from tests.controlplane.client import STRATEGIC, until
from tests.controlplane.kubelet import finish, pod_of
from tests.live.aftermath import (
    calls,
    created_jobs,
    looked_again,
    overdue,
    running,
    says,
    stays_shut,
    told,
)
from tests.live.installation import Replica
from tests.live.world import NEW, NEWER, OLD, Manifest, World, condition
from webhook.policy.names import MIGRATION_JOB, RETRY

BAD, SLOW = f"{NEW}-fail", f"{NEW}-slow"
CHANGESET = "Migration failed for changeset db/changelog-11.3.xml::42::l7: Table exists"
LOCK = """Waiting for changelog lock....
connecting with jdbc:mysql://gateway:hunter2@db:3306/ssg?password=hunter2&user=root
liquibase.exception.LockException: Could not acquire change log lock. Currently locked by ssg-7c5d8 (10.0.0.9)
"""


async def test_a_job_that_fails_twice_is_named_and_not_tried_again(world: World, controller: Replica) -> None:
    world.plane.write_log(CHANGESET)
    since = world.plane.audit_position()
    await world.operator_gateway(**{MIGRATION_JOB: "enabled"})
    await world.reaches("Complete", image=OLD)
    await world.wants(BAD)
    failed = await world.reaches("Failed", image=BAD)

    (job,) = await world.jobs()
    assert (job["status"]["failed"], job["spec"]["backoffLimit"]) == (2, 1)
    assert failed["failure"]["class"] == "ChangesetFailed"
    for kind in ("Ready", "Degraded"):
        assert condition(failed, kind)["reason"] == "ChangesetFailed"
        assert "db/changelog-11.3.xml::42::l7" in condition(failed, kind)["message"]
    for kind in ("GatewayMigration", "Deployment"):
        assert "ChangesetFailed" in await told(world, "MigrationFailed", kind)
    denial = await world.denial("ssg", BAD)
    assert failed["shortHash"] in denial
    assert f"schemagate retry ssg -n {world.namespace}" in denial
    assert "is Failed (ChangesetFailed: changeset db/changelog-11.3.xml::42::l7 failed" in denial

    # Whatever becomes of the Gateway besides, and however often it is looked at.
    for level in ("fine", "info", "severe"):
        await world.patch(
            "Gateway", "ssg", {"metadata": {"annotations": {"schemagate.io/liquibase-log-level": level}}}
        )

        async def observed(level: str = level) -> bool:
            record = await world.record()
            seen = record["status"]["observedGeneration"] == record["metadata"]["generation"]
            return bool(seen and record["spec"].get("liquibaseLogLevel") == level)

        await until(observed, what=f"log level {level} is taken over")
    assert (await world.record())["status"]["phase"] == "Failed"
    assert created_jobs(world, since) == [job["metadata"]["name"]]
    asked = calls(world, since)
    assert len(asked) < 60, [(event["verb"], event["requestURI"]) for event in asked]


async def test_deleting_a_failed_job_asks_for_another(world: World, controller: Replica) -> None:
    failed = await failed_once(world)
    await world.admin.delete(world.path("Job", failed["job"]["name"]), propagationPolicy="Background")
    again = await running_again(world, failed)
    assert again["name"] == f"{failed['job']['name']}-2"
    assert "attempt 2" in await told(world, "RetryAccepted")


async def test_a_retry_is_for_one_hash_and_one_attempt(world: World, controller: Replica) -> None:
    failed = await failed_once(world)
    await annotate(world, "0" * 16)
    await looked_again(world)
    assert len(await world.jobs()) == 1

    await annotate(world, failed["shortHash"])
    again = await running_again(world, failed)
    assert again["attempts"] == 2

    async def taken() -> bool:
        return RETRY not in (await world.record())["metadata"].get("annotations", {})

    await until(taken, what="the annotation is taken off")
    await world.finish()
    complete = await world.reaches("Complete", image=SLOW)
    assert complete["completedHashes"][0]["jobUID"] == again["uid"]
    await world.set_image("ssg", SLOW)


async def test_other_inputs_need_no_retry_and_a_job_that_is_done_may_go(world: World, controller: Replica) -> None:
    since = world.plane.audit_position()
    await failed_once(world)
    await world.wants(NEWER)
    complete = await world.reaches("Complete", image=NEWER)
    assert "failure" not in complete
    count = len(await world.jobs())
    job = complete["job"]["name"]
    await world.admin.delete(world.path("Job", job), propagationPolicy="Background")

    async def gone() -> bool:
        return not await world.admin.exists(world.path("Job", job))

    await until(gone)
    after = await looked_again(world)
    assert (after["phase"], after["complete"]) == ("Complete", True)
    assert len(created_jobs(world, since)) == count == 2
    await world.set_image("ssg", NEWER)
    await world.settled()


async def test_a_lock_that_is_held_to_the_deadline_is_named_without_secrets(
    world: World, controller: Replica
) -> None:
    world.plane.write_log(LOCK)
    status = await running(world, SLOW)
    job = status["job"]["name"]
    pod = world.path("Pod", (await pod_of(world.admin, world.namespace, job))["metadata"]["name"])
    # What it wrote can be read for as long as the controller takes; a kubelet may be quicker than that.
    kept = ["tests.schemagate.io/kept"]
    await world.admin.patch(pod, {"metadata": {"finalizers": kept}}, STRATEGIC)
    await overdue(world, job)
    try:
        failed = await world.reaches("Failed", image=SLOW)
    finally:
        await world.admin.patch(pod, {"metadata": {"$deleteFromPrimitiveList/finalizers": kept}}, STRATEGIC)
    assert failed["failure"]["class"] == "LockHeld"
    assert failed["failure"]["message"] == "the schema lock is held by ssg-7c5d8 (10.0.0.9)"
    assert "Currently locked by ssg-7c5d8" in failed["failure"]["logTail"]
    assert "jdbc:mysql://***@db:3306/ssg" in failed["failure"]["logTail"]
    assert "LockHeld" in await told(world, "MigrationFailed")
    assert "LockHeld" in await world.denial("ssg", SLOW)

    seen = json.dumps([await world.record(), await world.admin.items(world.path("Event"))])
    assert "hunter2" not in seen + controller.log


async def test_a_job_that_vanishes_while_it_runs_holds_the_gate(world: World, controller: Replica) -> None:
    since = world.plane.audit_position()
    status = await running(world, SLOW)
    job = status["job"]["name"]
    await pod_of(world.admin, world.namespace, job)
    await world.admin.delete(world.path("Job", job), propagationPolicy="Background")
    failed = await world.reaches("Failed", image=SLOW)
    assert failed["failure"]["class"] == "JobVanished"
    assert job in await says(world, "Degraded", "JobVanished", "not known")
    assert "JobVanished" in await stays_shut(world, SLOW)
    assert created_jobs(world, since) == [job]

    await annotate(world, failed["shortHash"])
    assert (await running_again(world, failed))["attempts"] == 2


async def test_an_eviction_uses_up_no_attempt(world: World, controller: Replica) -> None:
    status = await running(world, SLOW)
    pod = await pod_of(world.admin, world.namespace, status["job"]["name"])
    await finish(world.admin, pod, 137, disrupted=True)
    await world.finish()
    complete = await world.reaches("Complete", image=SLOW)
    assert complete["job"]["attempts"] == 1
    assert len(await world.jobs()) == 1


async def failed_once(world: World) -> Manifest:
    """Have the one pod of a migration fail, for a reason that its log does not tell."""
    world.plane.write_log("")
    await running(world, SLOW)
    await world.finish(1)
    failed = await world.reaches("Failed", image=SLOW)
    assert (failed["failure"]["class"], failed["job"]["attempts"]) == ("Unknown", 1)
    return failed


async def running_again(world: World, failed: Manifest) -> Manifest:
    """Wait until another Job than the failed one runs; gives its reference."""
    before = failed["job"]["uid"]

    async def there() -> Manifest | None:
        status = (await world.record())["status"]
        other = status["phase"] == "Running" and status["job"]["uid"] != before
        return status["job"] if other else None

    found = await until(there, what="another Job runs")
    assert found is not None
    return found


async def annotate(world: World, retry: str) -> None:
    """Ask for a retry of a hash."""
    await world.patch("GatewayMigration", "ssg", {"metadata": {"annotations": {RETRY: retry}}})
