"""The page on operations: records from a backup, and a database from one, by its commands as they stand there."""

from pathlib import Path

import pytest

from tests.controlplane.client import until
from tests.controlplane.cluster import ControlPlane
from tests.live.pages import Page, Reader
from tests.live.standing import Standing
from tests.live.test_quickstart import plain_gateway
from tests.live.world import NEW, OLD, World
from webhook.policy.names import (
    CLEAR_LOCKS,
    ENFORCE,
    MIGRATION_JOB,
    MODE_LIQUIBASE_ONLY_WITH_UNLOCK,
    MODE_PROPERTY,
)

pytestmark = pytest.mark.timeout(300)
PAGE = Page("operations.md")


@pytest.fixture
async def here(site: Standing) -> World:
    """Give a namespace that asks for the guard, with a Gateway that runs."""
    world = await site.world()
    await plain_gateway(world)
    namespace = f"/api/v1/namespaces/{world.namespace}"
    await world.admin.patch(namespace, {"metadata": {"labels": {ENFORCE: "reject"}}})
    await until(lambda: world.admin.exists(world.path("GatewayMigration", "ssg")), what="the record")
    await world.reaches("Complete", image=OLD)
    return world


@pytest.fixture
def reader(plane: ControlPlane, here: World, tmp_path: Path) -> Reader:
    return Reader(PAGE, plane, tmp_path, {"NAMESPACE": here.namespace, "NAME": "ssg"})


def test_what_the_reader_sets_is_what_the_commands_use() -> None:
    assert PAGE.used() == PAGE.variables


async def test_records_come_back_with_all_that_was_known(site: Standing, here: World, reader: Reader) -> None:
    await here.patch("GatewayMigration", "ssg", {"spec": {"image": NEW}})
    before = await here.reaches("Complete", image=NEW)
    await here.denial("ssg", f"{NEW}-slow")

    async def told() -> bool:
        return bool((await here.record())["status"]["rejections"]["count"])

    await until(told, what="the rejection is on record")
    before = (await here.record())["status"]
    await reader.done("Back up the records")

    await site.end(site.controller)
    await here.admin.delete(here.path("GatewayMigration", "ssg"))
    await reader.done("Restore the records", 1)
    restored = (await here.record())["status"]
    assert restored["completedHashes"] == before["completedHashes"]
    await site.control()
    await here.reaches("Complete", image=NEW)
    after = (await here.record())["status"]
    assert (after["completedHashes"], after["specHash"]) == (before["completedHashes"], before["specHash"])
    # One that was on its way when the backup was taken may have come since.
    assert after["rejections"]["count"] >= before["rejections"]["count"] > 0
    assert after["rejections"]["first"] == before["rejections"]["first"]
    assert not [job for job in await here.jobs() if not job["status"].get("conditions")]


async def test_a_restored_database_is_migrated_again_with_its_lock_cleared(here: World, reader: Reader) -> None:
    first = await here.reaches("Complete", image=OLD)
    assert not await here.jobs()
    await reader.done("After a database was restored")

    async def again() -> bool:
        status = (await here.record())["status"]
        return bool(status["phase"] == "Complete" and status["specHash"] != first["specHash"])

    await until(again, what="the migration ran again")
    (job,) = await here.jobs()
    assert f"{MODE_PROPERTY}={MODE_LIQUIBASE_ONLY_WITH_UNLOCK}" in str(job["spec"])
    await reader.done("After a database was restored", 1)

    async def back() -> bool:
        status = (await here.record())["status"]
        return bool(status["phase"] == "Complete" and status["specHash"] == first["specHash"])

    await until(back, what="the first hash is wanted again")
    assert len(await here.jobs()) == 1

    await reader.done("After a database was restored", 2)
    notes = (await here.get("Deployment", "ssg"))["metadata"].get("annotations", {})
    assert not notes.keys() & {MIGRATION_JOB, CLEAR_LOCKS}
    assert await here.admin.exists(here.path("GatewayMigration", "ssg")), "the namespace asks still"
