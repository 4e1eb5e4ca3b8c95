"""Fixtures of tests that take an installation apart: a control plane for each module, and what stands on it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.controlplane.cluster import ControlPlane
from tests.live.standing import Standing, standing


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Give a control plane of the module's own: no other test could do with what is left of it."""
    with ControlPlane(tmp_path_factory.mktemp("plane")) as running:
        yield running


@pytest.fixture
async def site(plane: ControlPlane) -> AsyncIterator[Standing]:
    """Give the manifests, one webhook replica and one controller on it, whole again for every test."""
    async with standing(plane) as made:
        yield made
