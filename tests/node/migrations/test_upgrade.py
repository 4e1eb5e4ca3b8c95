"""Five pods under guard: an upgrade whose first image is broken, the way back, and the way up again."""

import pytest

from tests.gateway.image import NAMES
from tests.gateway.standin import BROKEN, NEW, OLD
from tests.node.migrations.fleet import NAME, Fleet
from webhook.policy.names import MIGRATION_JOB

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("installed")]


async def test_an_upgrade_by_way_of_a_broken_image_and_a_rollback(fleet: Fleet) -> None:
    world, schema = fleet.world, fleet.schema
    # The first pods migrate by themselves, and what they run is the baseline.
    await fleet.deploy(OLD, annotations={MIGRATION_JOB: "enabled"})
    await world.reaches("Complete", NAME, NAMES[OLD], 60)
    assert (schema.version(), schema.lock()[0]) == (OLD, "0")
    first = schema.changesets()

    # A broken changeset is named, and nothing is rolled out.
    assert (await fleet.migrates(BROKEN)).code == 1
    message = f"changeset ssg-{NEW}.xml::2::layer7 failed"
    assert await fleet.failure() == {"class": "ChangesetFailed", "message": message}
    assert "ChangesetFailed" in await world.denial(NAME, NAMES[BROKEN])
    assert (len(await fleet.of(OLD)), schema.version()) == (5, OLD)

    # The mended image migrates once, and goes on where the broken one stopped.
    done = await fleet.migrates(NEW)
    assert done.code == 0, done
    migrated = schema.changesets()
    assert migrated[: len(first)] == first
    assert [name for name, _ in migrated[len(first) :]] == [f"ssg-{NEW}.xml::{number}" for number in (1, 2, 3)]

    # Its pods start beside a lock that is held, and leave it alone; so do those of a rollback, and those after it.
    schema.hold_lock()
    held, jobs = schema.lock(), await world.jobs()
    for version in (NEW, OLD, NEW):
        await fleet.rolls_out(version)
        assert schema.version() == NEW
    assert (schema.lock(), schema.changesets()) == (held, migrated)
    assert [job["metadata"]["name"] for job in await world.jobs()] == [job["metadata"]["name"] for job in jobs]
