"""The product on the node by one of its overlays, for as long as one test or several want it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane.client import Client
from tests.live.deployed import Deployed
from tests.node import pods
from tests.node.cluster import NodeCluster
from tests.node.patient import patient


class Overlay:
    """An overlay, which is there or not: either is asked for as often as one likes."""

    def __init__(self, cluster: NodeCluster, folder: Path, name: str = "self-managed") -> None:
        """Take a folder for kubectl and manifests, and which overlay."""
        self.source = str(patient(folder / "manifests") / "overlays" / name)
        self._cluster, self._folder = cluster, folder
        self._there = False

    async def there(self) -> None:
        """Install it, unless that was done; its pods are ready afterwards."""
        async with Client(self._cluster.api_url, self._cluster.client_context) as admin:
            installation = Deployed(self._cluster, admin, self._folder)
            if not self._there:
                self._there = True
                applied = await installation.kubectl("apply", "-k", self.source)
                assert applied.code == 0, applied
            await pods.rolled_out(installation)

    async def away(self) -> None:
        """Take it away, if it is there or half there, and wait until nothing of ours is left."""
        if not self._there:
            return
        async with Client(self._cluster.api_url, self._cluster.client_context) as admin:
            installation = Deployed(self._cluster, admin, self._folder)
            await installation.kubectl("delete", "--ignore-not-found", "--wait=false", "-k", self.source)
            await installation.keeps()
        self._there = False


@contextmanager
def overlay(cluster: NodeCluster, folder: Path, name: str = "self-managed") -> Iterator[Overlay]:
    """Give an overlay that is not there yet; outside of any test, it is taken away."""
    found = Overlay(cluster, folder, name)
    try:
        yield found
    finally:
        asyncio.run(found.away())
