"""Databases that are wrong or missing: each failure has its class, and no database is made that should not be."""

import pytest

from tests.gateway.database import PASSWORD
from tests.gateway.image import NAMES
from tests.gateway.standin import NEW, OLD
from tests.live.world import Manifest
from tests.node.migrations.fleet import NAME, PATIENCE, Fleet

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("installed")]


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
