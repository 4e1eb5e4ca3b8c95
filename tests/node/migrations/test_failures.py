"""Databases that are wrong, missing or locked: each failure has its class, and nothing is done that must wait."""

import pytest

from tests.gateway.database import PASSWORD
from tests.gateway.image import NAMES
from tests.gateway.schema import HOLDER
from tests.gateway.standin import NEW, OLD
from tests.live.world import Manifest
from tests.node.migrations.fleet import NAME, PATIENCE, Fleet
from webhook.policy.names import MODE_LIQUIBASE_ONLY, MODE_LIQUIBASE_ONLY_WITH_UNLOCK, MODE_PROPERTY

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("installed")]


async def announced(fleet: Fleet, phase: str, *, url: str = "", password: str = PASSWORD, **spec: str) -> Manifest:
    """Have a Gateway that is scaled to nothing, announce a version, and give the status that comes of it."""
    await fleet.deploy(OLD, replicas=0, url=url, password=password)
    await fleet.world.write_record(NAME, image=NAMES[NEW], podAttempts=1, **spec)
    return await fleet.world.reaches(phase, NAME, NAMES[NEW], PATIENCE)


async def nothing_proceeds(fleet: Fleet, kind: str, message: str) -> None:
    """See that the failure is called so, denies the rollout, and has made no database."""
    failure = await fleet.failure()
    assert failure["class"] == kind
    assert failure["message"].startswith(message)
    assert kind in await fleet.world.denial(NAME, NAMES[NEW])
    assert fleet.schema.name not in fleet.schema.databases()


async def test_a_host_that_is_not_there(fleet: Fleet) -> None:
    await announced(fleet, "Failed", url="jdbc:mysql://db.invalid:3306/ssg")
    told = "the database could not be reached: UnknownHostException: db.invalid"
    await nothing_proceeds(fleet, "DatabaseUnreachable", told)


async def test_a_wrong_password(fleet: Fleet) -> None:
    await announced(fleet, "Failed", password="s3cr3tWrong")
    await nothing_proceeds(fleet, "AuthFailed", "the database refused the credentials")


async def test_a_missing_database_is_made_where_no_override_says_otherwise(fleet: Fleet) -> None:
    await announced(fleet, "Complete")
    assert fleet.schema.version() == NEW
    await fleet.rolls_out(NEW)
    await fleet.world.patch("Deployment", NAME, {"spec": {"replicas": 1}})
    await fleet.skipped(NEW)


async def test_a_missing_database_that_an_override_names_fails_fast_until_somebody_makes_it(fleet: Fleet) -> None:
    status = await announced(fleet, "Failed", jdbcUrl=fleet.url)
    assert status["jdbcUrl"] == f"{fleet.url}?createDatabaseIfNotExist=false"
    told = f"the database could not be reached: Unknown database '{fleet.schema.name}'"
    await nothing_proceeds(fleet, "DatabaseUnreachable", told)

    fleet.schema.create()
    done = await fleet.runs("retry", "--wait")
    assert done.code == 0, done
    assert fleet.schema.version() == NEW
    await fleet.rolls_out(NEW)


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

    # Taken back it is the migration that failed before: it runs once more when told to, finds nothing to run, and
    # leaves a lock alone.
    migrated = schema.changesets()
    schema.hold_lock()
    held = schema.lock()
    await world.patch("GatewayMigration", NAME, {"spec": {"clearLocks": False}})
    await world.reaches("Failed", NAME, NAMES[NEW], PATIENCE)
    done = await fleet.runs("retry", "--wait")
    assert done.code == 0, done
    assert (await world.record(NAME))["status"]["specHash"] != cleared["specHash"]
    assert (schema.lock(), schema.changesets()) == (held, migrated)
    wanted = [MODE_LIQUIBASE_ONLY, MODE_LIQUIBASE_ONLY_WITH_UNLOCK, MODE_LIQUIBASE_ONLY]
    assert sorted(_mode(job) for job in await world.jobs()) == sorted(wanted)


def _mode(job: Manifest) -> str:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (arguments,) = [each["value"] for each in container["env"] if MODE_PROPERTY in each.get("value", "")]
    return str(arguments.rpartition(f"-D{MODE_PROPERTY}=")[2])
