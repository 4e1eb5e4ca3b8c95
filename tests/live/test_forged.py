"""Forged objects: Jobs, labels, annotations, statuses and reviews of a tenant with ``edit`` count for nothing."""

import re

import pytest

from tests.controlplane.client import ApiError, until
from tests.live.aftermath import guarded, running, says, stays_shut, told
from tests.live.installation import Replica
from tests.live.tenant import forged_job, tenant
from tests.live.world import NEW, World, condition
from webhook.policy.names import HASH, MIGRATED, RETRY

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


async def hash_of(world: World, image: str) -> str:
    """Give the hash of an image as a denial tells it, to who wants to be quicker than we are."""
    found = re.search(r"migration ([0-9a-f]{16}) has not run", await world.denial("ssg", image))
    assert found
    return found[1]
