"""Hold: a rollout that has to wait is stored, paused, and goes on by itself."""

from tests.controlplane.client import until
from tests.live.installation import Replica
from tests.live.world import NEW, NEWER, OLD, Manifest, World, skips
from webhook.policy.names import HELD

IMAGE = f"{NEW}-slow"


async def test_a_held_rollout_goes_on_when_its_migration_is_complete(world: World, controller: Replica) -> None:
    await world.operator_gateway()
    await world.write_record("ssg", mode="Hold")
    await world.reaches("Complete", image=OLD)

    held = await until(lambda: world.set_image("ssg", IMAGE), 5, "the webhook knows")
    assert any("held" in warning for warning in world.admin.warnings)
    assert held["spec"]["paused"]
    running = await world.reaches("Running", image=IMAGE)
    assert held["metadata"]["annotations"][HELD] == running["shortHash"]

    await world.patch("Deployment", "ssg", {"spec": {"replicas": 4}})

    async def scaled() -> bool:
        return [pod["status"].get("phase") for pod in await world.pods()] == ["Running"] * 4

    await until(scaled, what="a held Deployment is scaled")
    assert {pod["spec"]["containers"][0]["image"] for pod in await world.pods()} == {OLD}

    await world.finish()
    await world.reaches("Complete", image=IMAGE)
    free = await until(lambda: resumed(world), 5, "the Deployment goes on")
    assert free is not None
    assert HELD not in free["metadata"]["annotations"]
    await world.settled()
    pods = await world.pods()
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {IMAGE}
    assert [skips(pod) for pod in pods] == [True] * 4
    assert len(await world.jobs()) == 1


async def test_what_a_user_paused_stays_paused(world: World, controller: Replica) -> None:
    await world.operator_gateway()
    await world.write_record("ssg", mode="Hold")
    await world.reaches("Complete", image=OLD)
    await world.patch("Deployment", "ssg", {"spec": {"paused": True}})
    await world.wants(NEW)
    await world.set_image("ssg", NEW)
    await world.reaches("Complete", image=NEW)
    # What comes later is seen later.
    await world.wants(NEWER)
    await world.reaches("Complete", image=NEWER)
    assert (await world.get("Deployment", "ssg"))["spec"]["paused"]


async def resumed(world: World) -> Manifest | None:
    """Give the Deployment once it is paused no more."""
    found = await world.get("Deployment", "ssg")
    return None if found["spec"].get("paused") else found
