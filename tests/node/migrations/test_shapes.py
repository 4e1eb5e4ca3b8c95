"""Gateways of the operator, of the chart and with node.properties: each from its first install to an upgrade."""

import pytest

from tests.controlplane.objects import owned
from tests.gateway.image import NAMES
from tests.gateway.standin import NEW, OLD
from tests.node.migrations.fleet import PATIENCE, Fleet
from tests.node.migrations.shapes import runnable
from webhook.policy.names import JDBC_URL, MIGRATION_JOB

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("installed")]


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


async def test_a_gateway_that_has_its_database_from_node_properties(fleet: Fleet) -> None:
    world = fleet.world
    found = await runnable(fleet, "operator-gateway-node-properties")
    gateway = await world.create(found["Gateway"])
    await world.create(owned(found["ConfigMap"], gateway))
    await world.create(owned(found["Deployment"], gateway))
    await world.settled(fleet.name, PATIENCE)
    # An override is ignored there: were it not, the migration would find nobody.
    asks = {MIGRATION_JOB: "enabled", JDBC_URL: "jdbc:mysql://db.invalid:3306/edge"}
    await world.patch("Gateway", fleet.name, {"metadata": {"annotations": asks}})
    adopted = await world.reaches("Complete", fleet.name, NAMES[OLD], PATIENCE)
    assert adopted["jdbcUrl"] == "node.properties:edge-node-properties"

    await world.wants(NAMES[NEW], fleet.name)
    await world.reaches("Complete", fleet.name, NAMES[NEW], PATIENCE)
    await fleet.rolls_out(NEW)
    assert (fleet.schema.version(), len(await world.jobs())) == (NEW, 1)


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
