"""A lock that was left behind: the migration names who holds it, and takes it away once somebody says so."""

import pytest

from tests.gateway.image import NAMES
from tests.gateway.schema import HOLDER
from tests.gateway.standin import NEW, OLD
from tests.live.world import Manifest
from tests.node.migrations.fleet import NAME, PATIENCE, Fleet
from webhook.policy.names import MODE_LIQUIBASE_ONLY, MODE_LIQUIBASE_ONLY_WITH_UNLOCK, MODE_PROPERTY

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("installed")]


async def test_a_held_lock_stops_the_migration_until_it_is_cleared_once(fleet: Fleet) -> None:
    world, schema = fleet.world, fleet.schema
    await fleet.deploy(OLD, replicas=1)
    # Of three minutes, Liquibase waits for one.
    await world.write_record(NAME, podAttempts=1, activeDeadlineSeconds=180)
    await world.reaches("Complete", NAME, NAMES[OLD], 60)
    schema.hold_lock()
    held, before = schema.lock(), schema.changesets()

    done = await fleet.migrates(NEW)
    assert done.code == 1, done
    failure = await fleet.failure()
    assert failure["class"] == "LockHeld"
    assert failure["message"].startswith(f"the schema lock is held by {HOLDER} since ")
    # Nothing proceeds, and nothing is tried again by itself.
    assert "LockHeld" in await world.denial(NAME, NAMES[NEW])
    assert (schema.lock(), schema.changesets()) == (held, before)
    assert len(await world.jobs()) == 1

    await world.patch("GatewayMigration", NAME, {"spec": {"clearLocks": True}})
    cleared = await world.reaches("Complete", NAME, NAMES[NEW], PATIENCE)
    assert (schema.version(), schema.lock()[0]) == (NEW, "0")
    await fleet.rolls_out(NEW)

    # Taken back it is another migration, which leaves a lock alone and finds nothing to run.
    migrated = schema.changesets()
    schema.hold_lock()
    held = schema.lock()
    await world.patch("GatewayMigration", NAME, {"spec": {"clearLocks": False}})
    done = await fleet.migrates(NEW)
    assert done.code == 0, done
    assert (await world.record(NAME))["status"]["specHash"] != cleared["specHash"]
    assert (schema.lock(), schema.changesets()) == (held, migrated)
    wanted = [MODE_LIQUIBASE_ONLY, MODE_LIQUIBASE_ONLY_WITH_UNLOCK, MODE_LIQUIBASE_ONLY]
    assert [_mode(job) for job in await world.jobs()] == wanted


def _mode(job: Manifest) -> str:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (arguments,) = [each["value"] for each in container["env"] if MODE_PROPERTY in each.get("value", "")]
    return str(arguments.rpartition(f"-D{MODE_PROPERTY}=")[2])
