"""Two controllers: a leader that is cut off, stopped, told to end, or whose writes arrive late."""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.controlplane.calls import CallProxy
from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.proxy import Proxy
from tests.live.aftermath import told
from tests.live.faults import ASKS, Audit, fleet, guarded, leads, lease_of, tell
from tests.live.installation import Installation, Replica
from tests.live.world import NEW, World

SLOW = f"{NEW}-slow"
LEASE_SECONDS = 15


@pytest.fixture
async def proxy(control_plane: ControlPlane) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", control_plane.api_port) as running:
        yield running


async def started(installation: Installation, server: str | None = None, **settings: Any) -> Replica:
    """Start a controller; ``server`` is what it believes the API server to be."""
    settings.setdefault("lease_seconds", LEASE_SECONDS)
    return await asyncio.to_thread(installation.start, "controller", server=server, **settings)


async def ended(*replicas: Replica) -> None:
    """End controllers that no later test needs; the Lease is given up."""
    for replica in replicas:
        await asyncio.to_thread(replica.component.stop, signal.SIGTERM, 60)


async def one_job(world: World, audit: Audit, *, evidence: str = "Job") -> None:
    """Check that there was one Job and one outcome."""
    record = (await world.record())["status"]
    assert [done["evidence"] for done in record["completedHashes"]] == [evidence, "Adopted"]
    assert audit.jobs_created(world.namespace) == [job["metadata"]["name"] for job in await world.jobs()]
    assert len(audit.jobs_created(world.namespace)) == 1
    assert len(audit.outcomes(world.namespace)) == 2


async def test_a_leader_that_is_cut_off_stops_before_another_leads(
    no_controller: Installation, world: World, proxy: Proxy, control_plane: ControlPlane
) -> None:
    audit = Audit(control_plane)
    old = await started(no_controller, proxy.url)
    await until(lambda: leads(old))
    rival = await started(no_controller)
    await guarded(world)
    await world.wants(SLOW)
    await world.reaches("Running", image=SLOW)

    await told(world, "MigrationStarted", "Deployment")  # then the leader has nothing left to write
    proxy.freeze()
    frozen = time.monotonic()

    async def old_has_stopped() -> bool:
        return not await leads(old)

    await until(old_has_stopped)
    stopped = time.monotonic() - frozen
    await until(lambda: leads(rival))
    taken = time.monotonic() - frozen
    assert not await leads(old)
    await world.finish()
    complete = await world.reaches("Complete", image=SLOW)
    proxy.thaw()  # what was held back arrives now
    lease = await lease_of(world.admin)
    assert lease["holderIdentity"] == rival.component.name
    # The old one follows the cluster again, and sees more to do: it does none of it.
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    assert not await leads(old)
    await audit.settled(world)
    tell(f"frozen leader stopped after {stopped:.1f} s, rival led after {taken:.1f} s of {LEASE_SECONDS} s")
    assert stopped < taken
    assert audit.writes(old.component.name, after=str(lease["acquireTime"])) == []
    names = audit.jobs_created(world.namespace)
    assert len(names) == len(set(names)) == 2
    assert names[0] == complete["job"]["name"]
    await ended(old, rival)


async def test_writes_that_arrive_after_another_leads_change_nothing(
    no_controller: Installation, control_plane: ControlPlane, admin: Client
) -> None:
    audit = Audit(control_plane)
    context = control_plane.server_context()
    upstream, trust = control_plane.api_url, control_plane.ca_pem
    late: dict[str, str] = {}
    release = asyncio.Event()
    async with (
        CallProxy(upstream, ca_pem=trust, server=context) as calls,
        Proxy("127.0.0.1", int(calls.url.rpartition(":")[2])) as line,
        fleet(admin, control_plane, 2) as worlds,
    ):
        old = await started(no_controller, line.url, workers=8)
        await until(lambda: leads(old))
        rival = await started(no_controller)
        for world in worlds:
            await world.patch("Gateway", "ssg", ASKS)
            await world.reaches("Complete")
        wanted = {
            worlds[0].namespace: "POST .*/jobs$",
            worlds[1].namespace: "PUT .*/gatewaymigrations/ssg/status$",
        }

        async def before(number: int, method: str, path: str) -> None:
            for namespace, pattern in wanted.items():
                if (
                    f"/{namespace}/" in path
                    and namespace not in late
                    and re.fullmatch(pattern, f"{method} {path}")
                ):
                    late[namespace] = path
                    if len(late) == len(wanted):
                        line.freeze()  # nothing of the leader's passes any more, not even that it has given up
                    await release.wait()

        calls.before = before
        await asyncio.gather(*(world.wants(NEW) for world in worlds))
        await until(lambda: leads(rival))
        for world in worlds:
            await world.reaches("Complete", image=NEW)
        lease = await lease_of(admin)
        calls.before = _pass
        release.set()

        async def arrived() -> bool:
            return {resource for _, resource in audit.refused(old.component.name, wanted)} >= {
                "jobs",
                "gatewaymigrations",
            }

        await until(arrived, what="the late writes are judged")
        line.thaw()
        refused = audit.refused(old.component.name, wanted)
        tell(f"late writes were answered {refused}")
        assert {code for code, _ in refused} == {409}
        assert audit.writes(old.component.name, after=str(lease["acquireTime"])) == []
        for world in worlds:
            await one_job(world, audit)
        await ended(old, rival)


async def _pass(number: int, method: str, path: str) -> None:
    """Let a call pass."""


async def test_a_leader_that_slept_past_its_lease_writes_nothing_on_waking(
    no_controller: Installation, world: World, control_plane: ControlPlane
) -> None:
    audit = Audit(control_plane)
    old = await started(no_controller)
    await until(lambda: leads(old))
    rival = await started(no_controller)
    await guarded(world)
    await world.wants(SLOW)
    await world.reaches("Running", image=SLOW)

    await told(world, "MigrationStarted", "Deployment")  # then the leader has nothing left to write
    await asyncio.to_thread(old.component.freeze)
    slept = time.monotonic()
    # What it finds on waking is work: the Job has ended, the record and the Gateway have changed.
    await world.finish()
    await until(lambda: leads(rival))
    taken = time.monotonic() - slept
    complete = await world.reaches("Complete", image=SLOW)
    lease = await lease_of(world.admin)
    old.component.thaw()

    async def old_has_stopped() -> bool:
        return "lease_lost" in old.log and not await leads(old)

    await until(old_has_stopped)
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    await audit.settled(world)
    refused = audit.refused(old.component.name, {world.namespace})
    tell(f"rival led after {taken:.1f} s; refused writes of the sleeper: {refused}")
    assert audit.writes(old.component.name, after=str(lease["acquireTime"])) == []
    names = audit.jobs_created(world.namespace)
    assert len(names) == len(set(names)) == 2
    assert names[0] == complete["job"]["name"]
    old.component.check()
    # It campaigns again: without the rival it leads.
    await ended(rival)
    await until(lambda: leads(old))
    await ended(old)


async def test_a_leader_told_to_end_gives_its_lease_up(
    no_controller: Installation, world: World, control_plane: ControlPlane
) -> None:
    audit = Audit(control_plane)
    old = await started(no_controller)
    await until(lambda: leads(old))
    rival = await started(no_controller)
    await guarded(world)
    await world.wants(SLOW)
    await world.reaches("Running", image=SLOW)

    told_at = time.monotonic()
    await ended(old)
    over = time.monotonic() - told_at
    given_up = (await lease_of(world.admin)).get("holderIdentity") != old.component.name
    assert given_up, "the Lease has to run out"
    await until(lambda: leads(rival))
    taken = time.monotonic() - told_at
    tell(f"the leader ended after {over:.1f} s, the rival led after {taken:.1f} s of {LEASE_SECONDS} s")
    await world.finish()
    await world.reaches("Complete", image=SLOW)
    await audit.settled(world)
    await one_job(world, audit)
    await ended(rival)
