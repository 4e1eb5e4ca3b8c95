"""Upgrades under guard: of the operator's Gateways, of the chart's, and of five pods by way of what goes wrong."""

import pytest

from tests.controlplane.objects import owned
from tests.gateway.image import NAMES
from tests.gateway.standin import BROKEN, NEW, OLD
from tests.node.migrations.fleet import NAME, PATIENCE, Fleet
from tests.node.migrations.lock_log import LockUse, lock_log
from tests.node.migrations.shapes import runnable
from webhook.policy.names import JDBC_URL, MIGRATION_JOB

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("installed")]


async def test_a_gateway_of_the_operator_whose_job_makes_the_database_first(fleet: Fleet) -> None:
    world = fleet.world
    found = await runnable(fleet, "operator-gateway")
    found["Gateway"]["metadata"]["annotations"] = {MIGRATION_JOB: "enabled"}
    gateway = await world.create(found["Gateway"])
    await world.create(owned(found["ConfigMap"], gateway))
    await world.reaches("Complete", fleet.name, NAMES[OLD], PATIENCE)
    assert (fleet.schema.version(), await world.pods(fleet.name)) == (OLD, [])
    await world.create(owned(found["Deployment"], gateway))
    await fleet.skipped(OLD)

    await world.wants(NAMES[NEW], fleet.name)
    await world.reaches("Complete", fleet.name, NAMES[NEW], PATIENCE)
    await fleet.rolls_out(NEW)
    assert (fleet.schema.version(), len(await world.jobs())) == (NEW, 2)
    await back_and_forth(fleet, wanted=True)


async def test_a_gateway_that_has_its_database_from_node_properties(fleet: Fleet) -> None:
    world = fleet.world
    found = await runnable(fleet, "operator-gateway-node-properties")
    gateway = await world.create(found["Gateway"])
    await world.create(owned(found["ConfigMap"], gateway))
    await world.create(owned(found["Deployment"], gateway))
    await world.settled(fleet.name, PATIENCE)
    assert fleet.schema.version() == OLD
    # An override is ignored there: were it not, the migration would find nobody.
    asks = {MIGRATION_JOB: "enabled", JDBC_URL: "jdbc:mysql://db.invalid:3306/edge"}
    await world.patch("Gateway", fleet.name, {"metadata": {"annotations": asks}})
    adopted = await world.reaches("Complete", fleet.name, NAMES[OLD], PATIENCE)
    assert adopted["jdbcUrl"] == "node.properties:edge-node-properties"

    await world.wants(NAMES[NEW], fleet.name)
    await world.reaches("Complete", fleet.name, NAMES[NEW], PATIENCE)
    await fleet.rolls_out(NEW)
    assert (fleet.schema.version(), len(await world.jobs())) == (NEW, 1)
    await back_and_forth(fleet, wanted=True)


async def test_a_gateway_of_the_chart_whose_record_its_user_wrote(fleet: Fleet) -> None:
    world = fleet.world
    found = await runnable(fleet, "helm-gateway")
    found["ConfigMap"]["data"] |= {"system-properties": "", "log-override-properties": ""}
    await world.create(found["ConfigMap"])
    await world.create({"kind": "ServiceAccount", "metadata": {"name": fleet.name}})
    await world.write_record(fleet.name)
    await world.create(found["Deployment"])
    await world.reaches("Complete", fleet.name, NAMES[OLD], PATIENCE)

    assert f"schemagate migrate {fleet.name}" in await world.denial(fleet.name, NAMES[NEW])
    done = await fleet.migrates(NEW)
    assert done.code == 0, done
    await fleet.rolls_out(NEW)
    assert (fleet.schema.version(), len(await world.jobs())) == (NEW, 1)
    await back_and_forth(fleet)


async def test_an_upgrade_by_way_of_a_broken_image_and_a_rollback(fleet: Fleet) -> None:
    world, schema = fleet.world, fleet.schema
    # What runs is the baseline.
    await fleet.stock(OLD)
    await fleet.deploy(OLD, annotations={MIGRATION_JOB: "enabled"})
    await world.reaches("Complete", NAME, NAMES[OLD], PATIENCE)
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
    held = schema.lock()
    with lock_log(schema) as log:
        await fleet.rolls_out(NEW)
        await back_and_forth(fleet)
        assert log.used() == LockUse(taken=0, statements=0)
    assert (schema.lock(), schema.changesets()) == (held, migrated)


async def back_and_forth(fleet: Fleet, *, wanted: bool = False) -> None:
    """Roll back and upgrade again, by the Gateway too where it is ``wanted`` there: neither waits or migrates."""
    jobs, migrated = await fleet.world.jobs(), fleet.schema.changesets()
    for version in (OLD, NEW):
        if wanted:
            await fleet.world.wants(NAMES[version], fleet.name)
        await fleet.rolls_out(version)
        assert (fleet.schema.version(), fleet.schema.changesets()) == (NEW, migrated)
    assert [job["metadata"]["uid"] for job in await fleet.world.jobs()] == [job["metadata"]["uid"] for job in jobs]
