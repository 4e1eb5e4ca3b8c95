"""kill -9 of the controller before and after each of its writes; what a migration comes to then."""

import asyncio
import re
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from tests.controlplane.calls import CallProxy, forever
from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.live.faults import LEASE, Audit, fleet, guarded, leads, migrate, tell
from tests.live.installation import Installation
from tests.live.world import NEW, World, condition
from webhook.policy.names import MIGRATED

Point = tuple[int, Literal["before", "after"]]
_NAMESPACE = re.compile(r"/namespaces/(fleet-[^/]+)/")


class Held:
    """Holds each Gateway at a write of its own, numbered from 1: not forwarded yet, or carried out unanswered.

    From there on nothing more of that Gateway is forwarded, so that a caller that gives up and tries again gets no
    further. A crash then finds every Gateway at its point.
    """

    def __init__(self, proxy: CallProxy, points: dict[str, Point], *, events: bool = False) -> None:
        self._points, self._events = points, events
        self.written: dict[str, list[str]] = defaultdict(list)
        self.reached: set[str] = set()
        proxy.before, proxy.after = self._before, self._after
        self._of: dict[int, str] = {}

    def _namespace(self, method: str, path: str) -> str:
        """Give whose write this is; an Event is written beside the work, and numbered by itself."""
        found = _NAMESPACE.search(path)
        return found[1] if found and method != "GET" and self._events is ("/events" in path) else ""

    async def _before(self, number: int, method: str, path: str) -> None:
        namespace = self._namespace(method, path)
        if not namespace:
            return
        if namespace in self.reached:
            await forever()
        self._of[number] = namespace
        self.written[namespace].append(f"{method} {path}")
        await self._hold(namespace, "before")

    async def _after(self, number: int, method: str, path: str, status: int) -> None:
        if number in self._of:
            await self._hold(self._of[number], "after")

    async def _hold(self, namespace: str, side: str) -> None:
        if self._points.get(namespace) == (len(self.written[namespace]), side):
            self.reached.add(namespace)
            await forever()


@pytest.fixture
async def proxy(control_plane: ControlPlane) -> AsyncIterator[CallProxy]:
    context = control_plane.server_context()
    async with CallProxy(control_plane.api_url, ca_pem=control_plane.ca_pem, server=context) as running:
        yield running


async def crashed(
    installation: Installation, proxy: CallProxy, worlds: list[World], points: list[Point], *, events: bool = False
) -> None:
    """Kill a controller at all of these points at once, start another, wait until all is complete."""
    names = [world.namespace for world in worlds]
    held = Held(proxy, dict(zip(names, points, strict=True)), events=events)
    # A slow test machine must not let a held write time out; workers: those held must not keep the others waiting.
    first = await asyncio.to_thread(
        installation.start, "controller", server=proxy.url, lease_seconds=90, workers=64
    )
    migrations = [asyncio.ensure_future(migrate(world, seconds=180)) for world in worlds]

    async def all_held() -> bool:
        first.component.check()
        return held.reached == set(names)

    await until(all_held, 120, f"all of {dict(zip(names, points, strict=True))} is reached: {held.reached}")
    await asyncio.to_thread(first.component.stop)
    # What its expiry would do: nobody is there any more who could believe to hold it.
    await worlds[0].admin.delete(LEASE)
    started = time.monotonic()
    second = await asyncio.to_thread(installation.start, "controller", lease_seconds=15)
    ready = time.monotonic() - started
    await asyncio.gather(*migrations)
    seconds = time.monotonic() - started
    tell(f"the new controller was ready after {ready:.1f} s, all was complete after {seconds:.1f} s")
    await until(lambda: _all_marked(worlds), what="all Deployments are told")
    await asyncio.to_thread(second.component.stop, signal.SIGTERM)


async def _all_marked(worlds: list[World]) -> bool:
    """Tell whether every Deployment was told that its hash is complete: the very last write of a migration."""
    stored = await asyncio.gather(*(world.get("Deployment", "ssg") for world in worlds))
    return all(MIGRATED in item["metadata"]["annotations"] for item in stored)


async def check(worlds: list[World], audit: Audit, *, answered: bool = True) -> int:
    """Check that each Gateway has had one Job and one outcome; gives how many Jobs were too many.

    A create that nobody was told of may be in the audit log as one that failed (``answered`` false).
    """
    await audit.settled(worlds[0])
    for world in worlds:
        record = (await world.record())["status"]
        assert [done["evidence"] for done in record["completedHashes"]] == ["Job", "Adopted"], record
        assert record["job"]["attempts"] == 1
        assert condition(record, "Ready")["status"] == "True"
        (job,) = await world.jobs()
        assert job["metadata"]["uid"] == record["completedHashes"][0]["jobUID"]
        created = audit.jobs_created(world.namespace)
        assert created == [job["metadata"]["name"]] or (not answered and created == [])
        assert {evidence for evidence, _, _ in audit.outcomes(world.namespace)} == {"Job", "Adopted"}
        assert len(audit.outcomes(world.namespace)) == 2, audit.outcomes(world.namespace)
    return sum(max(0, len(audit.jobs_created(world.namespace)) - 1) for world in worlds)


@pytest.mark.timeout(300)
async def test_killed_before_and_after_every_write_a_migration_runs_once(
    no_controller: Installation, proxy: CallProxy, control_plane: ControlPlane, admin: Client
) -> None:
    audit = Audit(control_plane)
    async with fleet(admin, control_plane, 1) as (alone,):
        held = Held(proxy, {})
        replica = await asyncio.to_thread(no_controller.start, "controller", server=proxy.url, lease_seconds=15)
        await migrate(alone)
        await until(lambda: _all_marked([alone]))
        await asyncio.to_thread(replica.component.stop, signal.SIGTERM)
        writes = held.written[alone.namespace]
    tell("writes of a migration: " + ", ".join(re.sub(r"/.*/fleet-[^/]+/", "", write) for write in writes))
    assert len(writes) >= 6

    points: list[Point] = [(write, side) for write in range(1, len(writes) + 1) for side in ("before", "after")]
    async with fleet(admin, control_plane, len(points)) as worlds:
        await crashed(no_controller, proxy, worlds, points)
        duplicates = await check(worlds, audit)
    tell(f"{len(points)} crashes, {duplicates} duplicates")


@pytest.mark.parametrize("side", ["before", "after"])
async def test_killed_at_an_event_a_migration_runs_once(
    no_controller: Installation,
    proxy: CallProxy,
    control_plane: ControlPlane,
    admin: Client,
    side: Literal["before", "after"],
) -> None:
    audit = Audit(control_plane)
    async with fleet(admin, control_plane, 1) as worlds:
        await crashed(no_controller, proxy, worlds, [(1, side)], events=True)
        await check(worlds, audit)


async def test_a_create_whose_fate_is_unknown_is_made_once(
    no_controller: Installation, proxy: CallProxy, world: World, control_plane: ControlPlane
) -> None:
    audit = Audit(control_plane)
    gave_up = asyncio.Event()

    async def before(number: int, method: str, path: str) -> None:
        if method == "POST" and path.endswith("/jobs") and not frozen:
            frozen.append(number)
            await asyncio.to_thread(control_plane.freeze, "etcd")
            asyncio.current_task().add_done_callback(lambda _: gave_up.set())  # type: ignore[union-attr]

    frozen: list[int] = []
    replica = await asyncio.to_thread(no_controller.start, "controller", server=proxy.url, lease_seconds=6)
    await until(lambda: leads(replica))
    await guarded(world)
    proxy.before = before
    await world.wants(NEW)
    try:
        # The API server is amid the write when its caller has waited long enough.
        await asyncio.wait_for(gave_up.wait(), 60)
    finally:
        control_plane.thaw("etcd")
    await until(lambda: leads(replica), 60)
    await world.reaches("Complete", image=NEW, seconds=60)
    answered = [call.status for call in proxy.calls if call.method == "POST" and call.path.endswith("/jobs")]
    tell(f"answers to the creates of the Job (None: nobody waited for it): {answered}")
    assert answered[0] is None
    await until(lambda: _all_marked([world]))
    await check([world], audit, answered=False)
    replica.component.check()
    await asyncio.to_thread(replica.component.stop, signal.SIGTERM)
