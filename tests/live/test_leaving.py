"""No series of ordinary writes takes a governed Gateway out of the gate: what makes it known stays with it."""

import copy

import pytest

from tests.controlplane.client import ApiError
from tests.live.installation import Replica
from tests.live.world import NEW, OLD, Manifest, World
from webhook.policy.names import GATEWAY_CONTAINER, LICENSE_PATH

SIDECAR: Manifest = {"name": "side", "image": "docker.io/library/tools:1"}
LOST = "takes the Gateway container out of a governed Deployment"


@pytest.fixture
async def known(world: World, controller: Replica) -> World:
    """Have a Gateway run that a record guards, and that is known by its annotation alone."""
    await world.operator_gateway()
    await world.write_record("ssg")
    await world.reaches("Complete", image=OLD)
    await world.shut()
    await hide(world)
    return world


async def hide(world: World) -> None:
    """Annotate the container, and mount its license by the folder: neither changes an input."""
    await annotate(world, "gateway")
    await contain(world, by_folder(await gateway(world)))


async def gateway(world: World) -> Manifest:
    """Give the one container of the Deployment."""
    (container,) = (await world.get("Deployment", "ssg"))["spec"]["template"]["spec"]["containers"]
    return dict(container)


def by_folder(container: Manifest) -> Manifest:
    """Give the container with its license mounted by the folder, where a Gateway finds it too."""
    moved = copy.deepcopy(container)
    (mount,) = (item for item in moved["volumeMounts"] if item["mountPath"] == LICENSE_PATH)
    mount.pop("subPath", None)
    mount["mountPath"] = LICENSE_PATH.rpartition("/")[0]
    return moved


async def contain(world: World, *containers: Manifest) -> None:
    """Have the Deployment's pods run these containers."""
    await world.patch("Deployment", "ssg", {"spec": {"template": {"spec": {"containers": list(containers)}}}})


async def annotate(world: World, name: str | None) -> None:
    await world.patch("Deployment", "ssg", {"metadata": {"annotations": {GATEWAY_CONTAINER: name}}})


async def lost(world: World, name: str | None) -> None:
    with pytest.raises(ApiError, match=LOST) as caught:
        await annotate(world, name)
    assert caught.value.status == 403


async def test_the_annotation_it_is_known_by_stays(known: World) -> None:
    await lost(known, None)
    assert NEW in await known.denial("ssg", NEW)


async def test_it_is_not_turned_to_a_sidecar(known: World) -> None:
    await contain(known, await gateway(known), SIDECAR)
    await lost(known, "side")
    assert NEW in await known.denial("ssg", NEW)


async def test_who_ends_the_guard_first_may_take_it_off(known: World) -> None:
    await known.patch("GatewayMigration", "ssg", {"spec": {"enabled": False}})
    await known.reaches("Disabled")
    await annotate(known, None)
    await known.set_image("ssg", NEW)
