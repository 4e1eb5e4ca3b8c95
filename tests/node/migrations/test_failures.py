"""Databases that are wrong, missing or locked: each failure has its class, and nothing is done that must wait."""

from datetime import datetime

import pytest

from tests.controlplane.client import until
from tests.gateway.image import NAMES
from tests.gateway.standin import NEW, OLD, POLLS, SLOW
from tests.live.world import Manifest
from tests.node.migrations.fleet import NAME, PATIENCE, Fleet
from tests.node.migrations.lock_log import LockUse, lock_log
from webhook.policy.names import (
    EXTRA_JAVA_ARGS,
    MODE_LIQUIBASE_ONLY,
    MODE_LIQUIBASE_ONLY_WITH_UNLOCK,
    MODE_PROPERTY,
    SSG_DATABASE_JDBC_URL,
)

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("installed")]
DEADLINE = 120
"""Seconds that the Job is given of a migration that does not end; it has begun by then."""
CHANGESET = f"ssg-{SLOW}.xml::1::layer7"


async def guarded(fleet: Fleet, **spec: object) -> None:
    """Have a Gateway run, its version the baseline."""
    await fleet.deploy(OLD, replicas=1, settings={EXTRA_JAVA_ARGS: POLLS})
    await fleet.world.write_record(NAME, podAttempts=1, **spec)
    await fleet.world.reaches("Complete", NAME, NAMES[OLD], PATIENCE)


async def announced(fleet: Fleet, phase: str, **spec: str) -> Manifest:
    """Have a Gateway that is scaled to nothing, announce a version, and give the status that comes of it."""
    await fleet.deploy(OLD, replicas=0)
    await fleet.world.write_record(NAME, image=NAMES[NEW], podAttempts=1, **spec)
    return await fleet.world.reaches(phase, NAME, NAMES[NEW], PATIENCE)


async def nothing_proceeds(fleet: Fleet, kind: str, message: str, version: str = NEW) -> None:
    """See that the failure is called so, and denies the rollout."""
    failure = await fleet.failure()
    assert failure["class"] == kind
    assert failure["message"].startswith(message)
    assert kind in await fleet.world.denial(NAME, NAMES[version])


async def looks_again(fleet: Fleet) -> None:
    """Have the controller look at a Gateway once more, by a setting that no Job depends on."""
    now = (await fleet.world.record(NAME))["spec"].get("firstInstall")
    other = {"firstInstall": "Gateway" if now == "Migrate" else "Migrate"}
    generation = (await fleet.world.patch("GatewayMigration", NAME, {"spec": other}))["metadata"]["generation"]

    async def looked() -> bool:
        return bool((await fleet.world.record(NAME))["status"]["observedGeneration"] == generation)

    await until(looked, what="the controller has looked again")


@pytest.mark.parametrize("mistake", ["host", "password"])
async def test_a_mistake_about_the_database_leaves_all_as_it_was(fleet: Fleet, mistake: str) -> None:
    world, schema = fleet.world, fleet.schema
    await guarded(fleet)
    core = f"/api/v1/namespaces/{world.namespace}"
    if mistake == "host":
        path, data = f"{core}/configmaps/settings", {SSG_DATABASE_JDBC_URL: "jdbc:mysql://db.invalid:3306/ssg"}
        wanted = ("DatabaseUnreachable", "the database could not be reached: UnknownHostException: db.invalid")
        await world.admin.patch(path, {"data": data})
    else:
        await world.admin.patch(
            f"{core}/secrets/credentials", {"stringData": {"SSG_DATABASE_PASSWORD": "s3cr3tWrong"}}
        )
        wanted = ("AuthFailed", "the database refused the credentials")
    running, changesets = await names(fleet), schema.changesets()
    with lock_log(schema) as log:
        done = await fleet.migrates(NEW)
        assert done.code == 1, done
        await nothing_proceeds(fleet, *wanted)
        assert log.used() == LockUse(taken=0, statements=0)
    assert await names(fleet) == running
    assert (schema.version(), schema.changesets()) == (OLD, changesets)


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
    assert fleet.schema.name not in fleet.schema.databases()

    fleet.schema.create()
    done = await fleet.runs("retry", "--wait")
    assert done.code == 0, done
    assert fleet.schema.version() == NEW
    await fleet.rolls_out(NEW)


async def test_a_migration_that_its_deadline_kills_leaves_the_lock_until_it_is_cleared_once(fleet: Fleet) -> None:
    world, schema = fleet.world, fleet.schema
    await guarded(fleet, activeDeadlineSeconds=DEADLINE)
    first, running = schema.changesets(), await names(fleet)
    with schema.shut_gate():
        # Kubernetes ends it, by its own clock; what it was doing is read before its pod is gone.
        done = await fleet.migrates(SLOW)
        assert done.code == 1, done
        told = f"the Job ran into its deadline while changeset {CHANGESET} ran"
        await nothing_proceeds(fleet, "DeadlineExceeded", told, SLOW)
    (job,) = await world.jobs()
    ends = [each["reason"] for each in job["status"]["conditions"] if each["type"] == "Failed"]
    assert ends == ["DeadlineExceeded"]
    held = schema.lock()
    assert held[0] == "1"
    assert held[1].startswith(f"{job['metadata']['name']}-")

    # More time does not help; of three minutes, Liquibase waits for one, and says who holds it since when.
    await world.patch("GatewayMigration", NAME, {"spec": {"activeDeadlineSeconds": DEADLINE + 60}})
    await lock_held(fleet, held)
    # Nothing proceeds, and nothing is tried again by itself.
    await looks_again(fleet)
    await nothing_proceeds(fleet, "LockHeld", "", SLOW)
    assert (schema.lock(), schema.changesets(), await names(fleet)) == (held, first, running)
    assert await modes(fleet) == [MODE_LIQUIBASE_ONLY] * 2

    await world.patch("GatewayMigration", NAME, {"spec": {"clearLocks": True}})
    cleared = await world.reaches("Complete", NAME, NAMES[SLOW], PATIENCE)
    assert (schema.version(), schema.lock()[0]) == (NEW, "0")
    await fleet.rolls_out(SLOW)

    # That was for this migration once: a lock that is taken later is somebody's.
    migrated = schema.changesets()
    schema.hold_lock()
    held = schema.lock()
    await looks_again(fleet)
    assert len(await world.jobs()) == 3
    # Taken back it is the migration that failed before: it runs once more when told to, finds nothing to run, and
    # leaves a lock alone.
    await world.patch("GatewayMigration", NAME, {"spec": {"clearLocks": False}})
    await world.reaches("Failed", NAME, NAMES[SLOW], PATIENCE)
    done = await fleet.runs("retry", "--wait")
    assert done.code == 0, done
    assert (await world.record(NAME))["status"]["specHash"] != cleared["specHash"]
    assert (schema.lock(), schema.changesets()) == (held, migrated)
    only, clearing = MODE_LIQUIBASE_ONLY, MODE_LIQUIBASE_ONLY_WITH_UNLOCK
    assert await modes(fleet) == [only, only, clearing, only]


async def lock_held(fleet: Fleet, held: tuple[str, ...]) -> None:
    """Wait for a failure that names who holds the lock, and since when, to the minute that Liquibase tells."""
    await fleet.world.reaches("Running", NAME, NAMES[SLOW], PATIENCE)
    await fleet.world.reaches("Failed", NAME, NAMES[SLOW], PATIENCE)
    since = f"{datetime.fromisoformat(held[2]):%-m/%-d/%y, %-I:%M %p}"
    message = f"the schema lock is held by {held[1]} since {since}"
    assert await fleet.failure() == {"class": "LockHeld", "message": message}


async def names(fleet: Fleet) -> list[str]:
    """Give the names of the Gateway's pods."""
    return sorted(pod["metadata"]["name"] for pod in await fleet.world.pods(NAME))


async def modes(fleet: Fleet) -> list[str]:
    """Give the modes of the Gateway's migrations, oldest first."""
    return [_mode(job) for job in await fleet.world.jobs()]


def _mode(job: Manifest) -> str:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (arguments,) = [each["value"] for each in container["env"] if MODE_PROPERTY in each.get("value", "")]
    return str(arguments.rpartition(f"-D{MODE_PROPERTY}=")[2])
