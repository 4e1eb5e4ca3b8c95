"""What the tests of faults share: many Gateways at once, who leads, and who wrote what by the audit log."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Container, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.live.installation import NAMESPACE, Replica
from tests.live.world import NEW, OLD, World
from webhook.policy.names import MIGRATION_JOB

ACCOUNT: Final = f"system:serviceaccount:{NAMESPACE}:schemagate-controller"
LEASE: Final = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/schemagate-controller"
ASKS: Final = {"metadata": {"annotations": {MIGRATION_JOB: "enabled"}}}
_WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_FLEETS: Final = itertools.count(1)
GENEROUS: Final = 60.0
Event = dict[str, Any]


@asynccontextmanager
async def fleet(admin: Client, plane: ControlPlane, count: int) -> AsyncIterator[list[World]]:
    """Give as many namespaces, each with a Gateway that runs on a database of its own and is not under guard."""
    number = next(_FLEETS)
    worlds = [World(admin, f"fleet-{number}-{index}", plane) for index in range(count)]
    await asyncio.gather(*(_furnish(world) for world in worlds))
    try:
        yield worlds
    finally:
        for world in worlds:
            await admin.delete(f"/api/v1/namespaces/{world.namespace}")


async def _furnish(world: World) -> None:
    await world.admin.post("/api/v1/namespaces", {"metadata": {"name": world.namespace}})
    account = f"/api/v1/namespaces/{world.namespace}/serviceaccounts/default"
    await until(lambda: world.admin.exists(account), what="the default service account")
    await world.operator_gateway()


def tell(figure: str) -> None:
    """Show a figure to who looks at a test's output."""
    sys.stdout.write(f"{figure}\n")


async def migrate(world: World, image: str = NEW, seconds: float = GENEROUS) -> dict[str, Any]:
    """Put a Gateway under guard, want another image, wait until its migration is complete; gives the status."""
    await world.patch("Gateway", "ssg", ASKS)
    await world.reaches("Complete", image=OLD, seconds=seconds)
    await world.wants(image)
    return await world.reaches("Complete", image=image, seconds=seconds)


async def guarded(world: World) -> None:
    """Have the test's Gateway run, under guard, with its present inputs complete."""
    await world.operator_gateway(**{MIGRATION_JOB: "enabled"})
    await world.reaches("Complete", image=OLD)


async def leads(replica: Replica) -> bool:
    """Tell whether a controller says that it leads."""
    replica.component.check()
    return "\nschemagate_leader 1.0\n" in await asyncio.to_thread(replica.metrics)


async def lease_of(admin: Client) -> dict[str, Any]:
    """Give what the Lease says."""
    spec: dict[str, Any] = (await admin.get(LEASE))["spec"]
    return spec


async def available(admin: Client) -> None:
    """Wait until the test's own connections work again after the API server was away."""
    await until(lambda: admin.exists("/api/v1/namespaces/default"), what="the API server answers")


async def recovered(admin: Client) -> None:
    """Wait until Kubernetes' own controllers work again too: they come back from an outage in half a minute."""
    await available(admin)
    path = f"/api/v1/namespaces/recovered-{next(_FLEETS)}"
    await admin.post("/api/v1/namespaces", {"metadata": {"name": path.rpartition("/")[2]}})
    await until(lambda: admin.exists(f"{path}/serviceaccounts/default"), 90, "the controller manager works")
    await admin.delete(path)


class Audit:
    """What has been asked of the API server since this was made, by its own log."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._since = plane.audit_position()

    def events(self, replica: str = "") -> list[Event]:
        """Give what the controllers asked, or the one of this name; by arrival."""
        found = [item for item in self._plane.audit_events(self._since) if item["user"].get("username") == ACCOUNT]
        found = [item for item in found if f"({replica})" in item.get("userAgent", "") or not replica]
        return sorted(found, key=lambda item: str(item["requestReceivedTimestamp"]))

    def writes(self, replica: str = "", after: str = "") -> list[Event]:
        """Give their writes that changed something, without the Lease; ``after``: those that ended later."""
        return [
            item
            for item in self.events(replica)
            if item["verb"] in _WRITES
            and item["objectRef"]["resource"] != "leases"
            and item.get("responseStatus", {}).get("code", 0) < 300
            and str(item["stageTimestamp"]) > after
        ]

    def refused(self, replica: str, namespaces: Container[str]) -> list[tuple[int, str]]:
        """Give code and resource of the writes of one that changed nothing in these namespaces."""
        return [
            (item["responseStatus"].get("code", 0), item["objectRef"]["resource"])
            for item in self.events(replica)
            if item["verb"] in _WRITES
            and item["objectRef"].get("namespace") in namespaces
            and item["responseStatus"].get("code", 0) >= 300
        ]

    def jobs_created(self, namespace: str) -> list[str]:
        """Give the names of the Jobs that controllers created in a namespace."""
        return [
            item["responseObject"]["metadata"]["name"]
            for item in self.writes()
            if item["verb"] == "create"
            and item["objectRef"]["resource"] == "jobs"
            and item["objectRef"]["namespace"] == namespace
        ]

    def outcomes(self, namespace: str) -> set[tuple[str, str, str]]:
        """Give every completion that a record ever told of: evidence, moment, UID of the Job."""
        records = (item for item in self.writes() if item["objectRef"]["resource"] == "gatewaymigrations")
        statuses: Sequence[dict[str, Any]] = [
            (item.get("responseObject") or {}).get("status") or {}
            for item in records
            if item["objectRef"]["namespace"] == namespace
        ]
        return {
            (done["evidence"], done["time"], done.get("jobUID", ""))
            for status in statuses
            for done in status.get("completedHashes") or ()
        }

    async def settled(self, marker: World) -> None:
        """Wait until the log has come up to now: a request of the test's own is to be seen in it."""
        mark = f"mark-{next(_FLEETS)}"
        await marker.patch("Gateway", "ssg", {"metadata": {"annotations": {"mark": mark}}}, fieldManager=mark)

        async def seen() -> bool:
            return any(mark in item["requestURI"] for item in self._plane.audit_events(self._since))

        await until(seen, what="the audit log has come up to now")
