"""Fixtures of the live tests: one control plane with the product on it, a namespace for every test."""

import asyncio
import signal
from collections.abc import Generator, Iterator
from typing import Final

import pytest

from tests.controlplane.arguments import free_ports
from tests.controlplane.client import Client
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.fixtures import admin, control_plane, namespace
from tests.controlplane.objects import install, stock
from tests.live.installation import Installation, Replica
from tests.live.scene import scene
from tests.live.world import World

__all__ = ["admin", "control_plane", "namespace"]

_INSTALLED: Final = pytest.StashKey[Installation]()
_RUNNING: Final = pytest.StashKey[Replica]()


@pytest.fixture(scope="session")
def installation(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Installation:
    """Give the product, installed with one webhook replica; controllers are started by who needs one."""
    stash = request.config.stash
    if _INSTALLED not in stash:
        installed = Installation(control_plane)
        request.config.add_cleanup(installed.stop)
        (port,) = free_ports(1)

        async def setup() -> None:
            async with Client(control_plane.api_url, control_plane.client_context) as client:
                await install(client, stock())
                await installed.apply(client)
                installed.start("webhook", port=port)
                await installed.apply(client, webhook_port=port)

        asyncio.run(setup())
        stash[_INSTALLED] = installed
    return stash[_INSTALLED]


@pytest.fixture
def controller(request: pytest.FixtureRequest, installation: Installation) -> Replica:
    """Give a running controller; it goes on running for the next test that asks for one."""
    stash = request.config.stash
    if _RUNNING not in stash:
        stash[_RUNNING] = installation.start("controller")
    return stash[_RUNNING]


@pytest.fixture
def no_controller(request: pytest.FixtureRequest, installation: Installation) -> Iterator[Installation]:
    """Give the installation with no controller running; those that a test starts end with it, also if it fails."""
    stash = request.config.stash
    if _RUNNING in stash:
        stash[_RUNNING].component.stop(signal.SIGTERM)  # gives its Lease up
        del stash[_RUNNING]
    before = set(installation.components)
    yield installation
    for name, component in installation.components.items():
        if name not in before:
            component.stop(signal.SIGTERM)


@pytest.fixture
def world(admin: Client, namespace: str, control_plane: ControlPlane) -> World:
    """Give a namespace of the test's own and the actors in it; no container has written anything yet."""
    control_plane.write_log("")
    return World(admin, namespace, control_plane)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the comparison of rights last: it reads the audit log of all tests before it."""
    items.sort(key=lambda item: item.path.name == "test_rights.py" and item.path.parent.name == "live")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what its namespace was like."""
    report = yield
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and isinstance(world, World) and _INSTALLED in item.config.stash:
        report.sections.append(("scene", scene(world.plane, item.config.stash[_INSTALLED], world.namespace)))
    return report
