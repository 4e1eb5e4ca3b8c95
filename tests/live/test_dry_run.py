"""Dry runs: decided like the real thing, or only warned of, by a setting."""

import json
import re
from collections.abc import AsyncIterator

import pytest

from tests.controlplane.arguments import free_ports
from tests.controlplane.client import ApiError, Client, until
from tests.live.installation import Installation, Replica, manifests, path_of
from tests.live.world import NEW, OLD, World
from webhook.policy.names import HELD


@pytest.fixture
async def lenient(admin: Client, installation: Installation) -> AsyncIterator[None]:
    """Have the API server ask a webhook replica that only warns of dry runs, and the usual one afterwards."""
    (port,) = free_ports(1)
    # It goes on to the end: the API server may ask it for a while after it was told otherwise.
    installation.start("webhook", port=port, dry_run="warn")
    paths = [path_of(item) for item in manifests("90-webhooks.yaml")]
    before = {path: (await admin.get(path))["webhooks"] for path in paths}
    for path, webhooks in before.items():
        elsewhere = re.sub(r"https://127\.0\.0\.1:\d+", f"https://127.0.0.1:{port}", json.dumps(webhooks))
        await admin.patch(path, {"webhooks": json.loads(elsewhere)})
    yield
    for path, webhooks in before.items():
        await admin.patch(path, {"webhooks": webhooks})


async def guarded(world: World) -> None:
    await world.operator_gateway()
    await world.write_record("ssg")
    await world.reaches("Complete", image=OLD)


async def test_a_dry_run_is_decided_by_default(world: World, controller: Replica) -> None:
    await guarded(world)
    with pytest.raises(ApiError, match="is blocked: migration"):
        await world.set_image("ssg", NEW, dryRun="All")


async def test_a_dry_run_may_be_warned_so_that_a_diff_shows_what_would_change(
    world: World, controller: Replica, lenient: None
) -> None:
    await guarded(world)

    async def warned() -> bool:
        shown = await world.set_image("ssg", NEW, dryRun="All")
        assert shown["spec"]["template"]["spec"]["containers"][0]["image"] == NEW
        return any("is blocked: migration" in warning for warning in world.admin.warnings)

    await until(warned, what="the API server asks the lenient replica")
    await world.denial("ssg", NEW)

    # What would be paused is shown paused, or the diff would be wrong.
    await world.patch("GatewayMigration", "ssg", {"spec": {"mode": "Hold"}})

    async def held() -> bool:
        shown = await world.set_image("ssg", NEW, dryRun="All")
        return bool(shown["spec"].get("paused")) and HELD in shown["metadata"]["annotations"]

    await until(held, what="the webhook knows")
    stored = await world.get("Deployment", "ssg")
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == OLD
    assert not stored["spec"].get("paused")
