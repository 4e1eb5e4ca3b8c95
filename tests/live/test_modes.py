"""Modes: a change of one acts at once on what is pending, wherever it is written."""

import functools
import signal

import pytest

from tests.controlplane.client import ApiError, Client, until
from tests.live.installation import Installation, Replica
from tests.live.world import NEW, OLD, Manifest, World, skips
from webhook.policy.names import ENFORCE, HELD

IMAGE = f"{NEW}-slow"


async def label(world: World, mode: str | None) -> None:
    """Label the namespace, or take the label off."""
    labels = {"metadata": {"labels": {ENFORCE: mode}}}
    await world.admin.patch(f"/api/v1/namespaces/{world.namespace}", labels)


async def write(world: World, mode: str, *, label_it: bool) -> None:
    """Change the mode where it is written: on the namespace, or on the record."""
    if label_it:
        await label(world, mode.lower())
    else:
        await world.patch("GatewayMigration", "ssg", {"spec": {"mode": mode}})


async def guarded(world: World, mode: str, *, label_it: bool) -> None:
    """Have a Gateway run, guarded in a mode by its namespace or by a record."""
    await world.operator_gateway()
    if label_it:
        await label(world, mode.lower())
    else:
        await world.write_record("ssg", mode=mode)
    await world.reaches("Complete", image=OLD)


async def held(world: World, *, label_it: bool) -> Manifest:
    """Have a rollout held while its Job runs; gives the Deployment."""
    await guarded(world, "Hold", label_it=label_it)
    await world.wants(IMAGE)
    await until(functools.partial(answers_as, world, "Hold"), what="the webhook knows")
    await world.set_image("ssg", IMAGE)
    await world.reaches("Running", image=IMAGE)
    found = await world.get("Deployment", "ssg")
    assert found["spec"]["paused"]
    return found


async def resumed(world: World) -> Manifest | None:
    """Give the Deployment once it is paused no more."""
    found = await world.get("Deployment", "ssg")
    return None if found["spec"].get("paused") else found


@pytest.mark.parametrize("label_it", [False, True], ids=["by record", "by label"])
@pytest.mark.parametrize("mode", ["Warn", "Audit"])
async def test_a_mode_that_stops_nothing_releases_what_is_held(
    world: World, controller: Replica, mode: str, label_it: bool
) -> None:
    await held(world, label_it=label_it)
    await write(world, mode, label_it=label_it)
    free = await until(lambda: resumed(world), what="the Deployment goes on")
    assert free is not None
    assert HELD not in free["metadata"]["annotations"]
    await world.settled()
    assert not any(skips(pod) for pod in await world.pods()), "they migrate by themselves"
    (job,) = await world.jobs()
    assert not job["status"].get("conditions"), "a Job is not ended amid its changes"
    await world.finish()
    await world.reaches("Complete", image=IMAGE)


@pytest.mark.parametrize("label_it", [False, True], ids=["by record", "by label"])
async def test_reject_keeps_what_is_held_until_it_is_complete(
    world: World, controller: Replica, label_it: bool
) -> None:
    await held(world, label_it=label_it)
    await write(world, "Reject", label_it=label_it)

    async def denied() -> bool:
        try:
            await world.patch("Deployment", "ssg", {"spec": {"paused": None}}, dryRun="All")
        except ApiError as error:
            return error.status == 403
        return False

    await until(denied, what="the webhook knows")
    await world.patch("GatewayMigration", "ssg", {"spec": {"podAttempts": 3}})
    generation = (await world.record())["metadata"]["generation"]

    async def looked() -> bool:
        return bool((await world.record())["status"]["observedGeneration"] == generation)

    await until(looked, what="the controller has looked again")
    assert (await world.get("Deployment", "ssg"))["spec"]["paused"]
    await world.finish()
    await until(lambda: resumed(world), what="the Deployment goes on")
    await world.settled()
    assert all(skips(pod) for pod in await world.pods())


@pytest.mark.parametrize("label_it", [False, True], ids=["by record", "by label"])
async def test_hold_and_reject_take_hold_of_the_next_request(
    world: World, controller: Replica, label_it: bool
) -> None:
    await guarded(world, "Audit", label_it=label_it)
    for mode in ("Warn", "Hold", "Reject", "Audit"):
        await write(world, mode, label_it=label_it)
        await until(functools.partial(answers_as, world, mode), what=f"the webhook knows of {mode}")


async def answers_as(world: World, mode: str) -> bool:
    """Tell whether an image change is answered as a mode says, by a dry run."""
    try:
        found = await world.set_image("ssg", IMAGE, dryRun="All")
    except ApiError as error:
        return mode == "Reject" and error.status == 403
    paused, warned = bool(found["spec"].get("paused")), bool(world.admin.warnings)
    return (paused, warned) == {"Hold": (True, True), "Warn": (False, True), "Audit": (False, False)}.get(mode)


async def test_the_default_mode_releases_what_an_earlier_one_held(
    admin: Client, world: World, no_controller: Installation
) -> None:
    """The default of the cluster is a setting: both processes begin anew with it."""
    await world.operator_gateway()
    await world.write_record("ssg", mode="Hold")
    first = no_controller.start("controller")
    await world.reaches("Complete", image=OLD)
    failing = f"{NEW}-fail"
    await until(functools.partial(answers_as, world, "Hold"), what="the webhook knows")
    await world.set_image("ssg", failing)
    await world.reaches("Failed", image=failing)
    first.component.stop(signal.SIGTERM)
    await world.patch("GatewayMigration", "ssg", {"spec": {"mode": None}})

    # The webhook's own default is Reject, which the controller's must not get past.
    second = no_controller.start("controller", default_mode="Warn", lease_seconds=3)
    try:
        await until(lambda: complained(second), what="the release is refused, and tried again")
        assert (await world.get("Deployment", "ssg"))["spec"]["paused"]
        await world.patch("GatewayMigration", "ssg", {"spec": {"mode": "Warn"}})
        await until(lambda: resumed(world), what="the Deployment goes on")
    finally:
        second.component.stop(signal.SIGTERM)


async def complained(controller: Replica) -> bool:
    return "reconcile_failed" in controller.log
