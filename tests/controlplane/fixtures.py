"""Fixtures around one control plane a test process; import them in a conftest.

Tests that use them lie in the folders that `scheduling` names, so that only one of several workers starts a
control plane: it takes half a gigabyte, and some tests restart its API server.
"""

import itertools
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane

_RUNNING: Final = pytest.StashKey[ControlPlane]()
_NUMBERS: Final = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ControlPlane:
    """Give the control plane of this process, whichever conftest asks; NotBuiltError says what to run first."""
    stash = request.config.stash
    if _RUNNING not in stash:
        plane = ControlPlane(tmp_path_factory.mktemp("controlplane"))
        plane.start()
        request.config.add_cleanup(plane.stop)
        stash[_RUNNING] = plane
    return stash[_RUNNING]


@pytest.fixture
async def admin(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """Give a client that may do everything."""
    async with Client(control_plane.api_url, control_plane.client_context) as client:
        yield client


@pytest.fixture
async def namespace(admin: Client) -> AsyncIterator[str]:
    """Give a fresh namespace in which pods can be made; it is deleted afterwards, without waiting for it."""
    name = f"test-{next(_NUMBERS)}"
    path = f"/api/v1/namespaces/{name}"
    await admin.post("/api/v1/namespaces", {"metadata": {"name": name}})
    await until(lambda: admin.exists(f"{path}/serviceaccounts/default"), 120, "the default service account")
    yield name
    await admin.delete(path)
