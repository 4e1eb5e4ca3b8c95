"""The quick start: its commands as they stand there, for each of the four ways to run a Gateway."""

from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.objects import install, stock, with_migration_job
from tests.live.helm import CHART, RELEASE, Helm
from tests.live.installation import Installation, Replica
from tests.live.pages import Page, Reader
from tests.live.test_gateway_with_job import asks, job_of_operator
from tests.live.world import NEW, OLD, World, skips

pytestmark = pytest.mark.timeout(300)
PAGE = Page("quickstart.md")


@pytest.fixture
def reader(world: World, controller: Replica, control_plane: ControlPlane, tmp_path: Path) -> Reader:
    settings = {
        "NAMESPACE": world.namespace,
        "NAME": "ssg",
        "CONTAINER": "gateway",
        "IMAGE": NEW,
        "CHART": str(CHART),
    }
    return Reader(PAGE, control_plane, tmp_path, settings)


async def plain_gateway(world: World) -> None:
    """Have a Gateway run as a Deployment that nobody made but a person, and that nothing guards yet."""
    for item in world.recorded("operator-gateway"):
        if item["kind"] in {"ConfigMap", "Deployment"}:
            item["metadata"]["annotations"] = {}
            await world.create(item)
    await world.settled()


async def upgraded(world: World, name: str, evidence: str) -> None:
    """Check that a Gateway runs the new image in pods that skip, on this evidence."""
    await world.settled(name)
    assert {skips(pod) for pod in await world.pods(name)} == {True}
    (done, *_) = (await world.record(name))["status"]["completedHashes"]
    assert (done["image"], done["evidence"]) == (NEW, evidence)


def test_what_the_reader_sets_is_what_the_commands_use() -> None:
    assert PAGE.used() == PAGE.variables


async def test_the_stock_operator(world: World, reader: Reader) -> None:
    await world.operator_gateway()
    await reader.done("Stock Layer7 operator")
    await reader.done("Stock Layer7 operator", 1)
    await world.reaches("Complete", image=NEW)
    assert NEW in await reader.done("Stock Layer7 operator", 1)
    await world.set_image("ssg", NEW)  # as its operator does when it is woken
    await upgraded(world, "ssg", "Job")


async def test_an_operator_with_a_job_of_its_own(
    world: World, reader: Reader, admin: Client, installation: Installation
) -> None:
    await install(admin, with_migration_job())
    try:
        await world.operator_gateway()
        gateway = await asks(world)
        await reader.done("Operator with a migration Job of its own")
        await world.wants(NEW)
        await world.create(job_of_operator(gateway, NEW))
        await world.reaches("Complete", image=NEW)
        await world.set_image("ssg", NEW)
        await upgraded(world, "ssg", "External")
    finally:
        await install(admin, stock())


async def test_the_helm_chart(world: World, reader: Reader, tmp_path: Path) -> None:
    assert (await Helm(world, "helm", tmp_path).upgrade(OLD, "--wait")).code == 0
    (tmp_path / "programs" / "helm").symlink_to(binaries.paths()["helm"])
    await reader.done("Helm chart", NAME=RELEASE)
    await reader.done("Helm chart", 1, NAME=RELEASE)
    await upgraded(world, RELEASE, "Job")


async def test_a_plain_deployment_and_what_is_seen_of_it(world: World, reader: Reader) -> None:
    await plain_gateway(world)
    await reader.done("Plain Deployment")
    await world.denial("ssg", NEW)
    assert "successfully rolled out" in await reader.done("Plain Deployment", 1)
    await upgraded(world, "ssg", "Job")

    async def told() -> bool:
        return "MigrationPending" in await reader.done("See what it did")

    await until(told, what="the rejection is on record")
