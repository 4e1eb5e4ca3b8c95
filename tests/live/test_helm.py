"""A Gateway of the Helm chart: a record that its user wrote, and an image that is announced on it."""

from tests.controlplane.client import until
from tests.live.installation import Replica
from tests.live.world import NEW, OLD, Manifest, World, skips

NAME = "my-gateway"


async def release(world: World) -> Manifest:
    """Give what the chart applies, on a version that knows the modes; its Deployment is still to be created."""
    config_map, deployment = world.recorded("helm-gateway")
    await world.create({"kind": "ServiceAccount", "metadata": {"name": NAME}})
    await world.create(config_map)
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = OLD
    return deployment


async def test_an_upgrade_waits_until_its_image_was_announced_and_migrated(
    world: World, controller: Replica
) -> None:
    await world.create(await release(world))
    await world.settled(NAME)
    await world.write_record(NAME)
    await world.reaches("Complete", NAME, OLD)
    await world.shut(NAME)

    told = await world.denial(NAME, f"{NEW}-slow")
    assert "has not run" in told
    assert f"{NEW}-slow" in told.partition("; ")[2], "it names what announces the image"
    assert not await world.jobs(), "a denial starts nothing"

    await world.patch("GatewayMigration", NAME, {"spec": {"image": f"{NEW}-slow"}})
    await world.reaches("Running", NAME, f"{NEW}-slow")
    await world.denial(NAME, f"{NEW}-slow")
    await world.finish()
    await world.reaches("Complete", NAME, f"{NEW}-slow")

    await world.set_image(NAME, f"{NEW}-slow")
    await world.settled(NAME)
    assert [skips(pod) for pod in await world.pods(NAME)] == [True]
    assert len(await world.jobs()) == 1


async def test_a_first_install_passes_and_is_adopted_once_it_runs(world: World, controller: Replica) -> None:
    deployment = await release(world)
    await world.write_record(NAME)
    await world.create(deployment)
    await world.settled(NAME)
    assert [skips(pod) for pod in await world.pods(NAME)] == [False], "the first pods migrate by themselves"

    adopted = await world.reaches("Complete", NAME, OLD)
    assert [done["evidence"] for done in adopted["completedHashes"]] == ["Adopted"]
    assert not await world.jobs()

    # What starts from now on has nothing to migrate.
    await world.patch("Deployment", NAME, {"spec": {"replicas": 2}})
    await world.settled(NAME)

    async def one_more() -> bool:
        return sorted(skips(pod) for pod in await world.pods(NAME)) == [False, True]

    assert await until(one_more)
