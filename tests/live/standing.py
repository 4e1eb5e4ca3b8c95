"""An installation on a control plane of its own, for tests that take parts of it away."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.controlplane.arguments import free_ports
from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.objects import install, stock
from tests.live.installation import Installation, Replica
from tests.live.world import World

_NUMBERS = itertools.count(1)


class Standing:
    """What stands: manifests, one webhook replica, one controller."""

    def __init__(self, plane: ControlPlane, admin: Client) -> None:
        self.plane, self.admin = plane, admin
        self._installation = Installation(plane)
        (self._port,) = free_ports(1)
        self.webhook: Replica
        self.controller: Replica

    async def whole(self) -> None:
        """Install, and start both processes."""
        await install(self.admin, stock())
        await self._installation.apply(self.admin)
        await self.serve()
        await self.mend()
        await self.control()

    async def mend(self) -> None:
        """Apply anew what was taken away."""
        await self._installation.apply(self.admin, webhook_port=self._port)

    async def serve(self) -> None:
        """Start the webhook replica, where it is registered."""
        self.webhook = await asyncio.to_thread(self._installation.start, "webhook", port=self._port)

    async def control(self) -> None:
        """Start a controller."""
        self.controller = await asyncio.to_thread(self._installation.start, "controller", lease_seconds=3)

    async def end(self, *replicas: Replica) -> None:
        """End processes at once, as when their nodes die."""
        for replica in replicas:
            await asyncio.to_thread(replica.component.stop)

    async def world(self) -> World:
        """Give a fresh namespace."""
        name = f"part-{next(_NUMBERS)}"
        await self.admin.post("/api/v1/namespaces", {"metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        await until(lambda: self.admin.exists(account), what="the default service account")
        return World(self.admin, name, self.plane)

    def stop(self) -> None:
        """End all processes."""
        self._installation.stop()


@asynccontextmanager
async def standing(plane: ControlPlane) -> AsyncIterator[Standing]:
    """Give a whole installation; its processes end with the block."""
    async with Client(plane.api_url, plane.client_context) as admin:
        made = Standing(plane, admin)
        try:
            await made.whole()
            yield made
        finally:
            made.stop()
