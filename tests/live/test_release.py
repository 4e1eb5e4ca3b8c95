"""``schemagate release`` while schemagate runs: what it holds goes on, and is not held again."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.controlplane.cluster import ControlPlane
from tests.live.installation import Installation, Replica
from tests.live.test_cli import Person
from tests.live.world import NEW, NEWER, OLD, World, skips
from webhook.policy.names import ENFORCE, HELD

SLOW = f"{NEW}-slow"


@pytest.fixture
def person(control_plane: ControlPlane, tmp_path: Path) -> Person:
    return Person(control_plane.admin_kubeconfig, tmp_path)


async def held(world: World, image: str = SLOW) -> None:
    """Have a rollout held."""
    await world.would_hold()
    assert (await world.set_image("ssg", image))["spec"]["paused"]


async def test_one_is_released_and_left_unguarded(world: World, controller: Replica, person: Person) -> None:
    await world.operator_gateway()
    await world.write_record("ssg", mode="Hold")
    await world.reaches("Complete", image=OLD)
    await held(world)
    await world.reaches("Running", image=SLOW)
    where = ("schemagate", "release", "ssg", "-n", world.namespace)

    preview = await person.runs(*where, "--dry-run")
    assert preview.out == f"{world.namespace}/ssg: would disable its record and resume it\n"
    assert (await world.get("Deployment", "ssg"))["spec"]["paused"]

    done = await person.runs(*where)
    assert done.code == 0, done
    assert "released" in done.out
    assert "still migrates, and new pods wait for its lock" in done.out
    free = await world.settled()
    assert HELD not in free["metadata"]["annotations"]
    assert not any(skips(pod) for pod in await world.pods())
    await world.finish()

    await world.set_image("ssg", NEWER)
    await world.settled()
    again = await person.runs(*where)
    assert (again.code, again.out) == (0, f"{world.namespace}/ssg: is not held\n")


async def test_all_that_a_label_holds_is_released_though_no_record_was_made_yet(
    world: World, no_controller: Installation, person: Person
) -> None:
    await world.operator_gateway()
    namespace = f"/api/v1/namespaces/{world.namespace}"
    await world.admin.patch(namespace, {"metadata": {"labels": {ENFORCE: "hold"}}})
    await held(world, NEW)
    assert not await world.admin.items(world.path("GatewayMigration"))

    done = await person.runs("schemagate", "release", "--all", "-n", world.namespace)
    assert done.code == 0, done
    assert f"{world.namespace}/ssg: released; its record is disabled" in done.out
    await world.settled()
    made = await world.record()
    assert (made["spec"], made["metadata"]["labels"]) == (
        {"enabled": False},
        {"app.kubernetes.io/managed-by": "schemagate"},
    )
    started = await asyncio.to_thread(no_controller.start, "controller")
    try:
        await world.reaches("Disabled")  # the controller keeps it as it is
        assert (await world.record())["spec"] == {"enabled": False}
    finally:
        await asyncio.to_thread(started.component.stop, signal.SIGTERM)
    nothing = await person.runs("schemagate", "release", "--all", "-n", world.namespace)
    assert (nothing.code, nothing.out) == (0, f"nothing is held in namespace {world.namespace}\n")


async def test_what_a_user_paused_is_left_paused(world: World, installation: Installation, person: Person) -> None:
    await world.operator_gateway()
    await world.patch("Deployment", "ssg", {"spec": {"paused": True}})
    done = await person.runs("schemagate", "release", "ssg", "-n", world.namespace)
    assert done.code == 0
    assert "paused, but not by schemagate" in done.out
    assert (await world.get("Deployment", "ssg"))["spec"]["paused"]


async def test_who_has_no_rights_or_names_nothing_reads_one_line(
    world: World, installation: Installation, control_plane: ControlPlane, person: Person, tmp_path: Path
) -> None:
    nobody = Person(control_plane.user_kubeconfig("nobody"), tmp_path)
    for flags in (("--all", "-A"), ("ssg", "-n", world.namespace)):
        done = await nobody.runs("schemagate", "release", *flags)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert 'User "nobody" cannot' in done.err
    missing = await person.runs("schemagate", "release", "ssg", "-n", world.namespace)
    assert (missing.code, missing.err) == (2, f"schemagate: there is no Deployment {world.namespace}/ssg\n")
