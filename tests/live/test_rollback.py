"""Going back to what was migrated before: at once, or never where the record says so."""

from tests.controlplane.client import until
from tests.live.installation import Replica
from tests.live.world import NEW, OLD, World, skips


async def migrated_twice(world: World, **spec: str) -> None:
    """Have a Gateway run its second image, both migrated, guarded by a record."""
    await world.operator_gateway()
    await world.write_record("ssg", **spec)
    await world.reaches("Complete", image=OLD)
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    await until(lambda: world.set_image("ssg", NEW), what="the webhook knows")
    await world.settled()


async def test_by_default_it_passes_at_once_with_a_warning(world: World, controller: Replica) -> None:
    for mode in ("Reject", "Hold"):
        if mode == "Reject":
            await migrated_twice(world, mode=mode)
        else:
            await world.set_image("ssg", NEW)
            await world.patch("GatewayMigration", "ssg", {"spec": {"mode": mode}})
        back = await world.set_image("ssg", OLD)
        assert any("the schema is at" in warning for warning in world.admin.warnings)
        assert not back["spec"].get("paused")
        await world.settled()
        assert all(skips(pod) for pod in await world.pods())
    assert len(await world.jobs()) == 1


async def test_a_record_may_deny_it_until_it_allows_it(world: World, controller: Replica) -> None:
    await migrated_twice(world, rollback="Deny")
    told = await world.denial("ssg", OLD)
    assert f"({NEW}), ahead of" in told
    # What it says to do next is what opens the way.
    assert told.endswith(
        f"kubectl patch gwm ssg -n {world.namespace} --type merge -p '" + '{"spec":{"rollback":"Allow"}}' + "'"
    )
    await world.patch("GatewayMigration", "ssg", {"spec": {"mode": "Hold"}})
    assert "denies rollbacks" in await until(lambda: world.refusal("ssg", OLD), what="the webhook knows")
    await world.patch("GatewayMigration", "ssg", {"spec": {"rollback": "Allow"}})
    await until(lambda: world.set_image("ssg", OLD), what="the webhook knows")
    await world.settled()
