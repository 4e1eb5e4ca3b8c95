"""Watches that fall silent, a history that is gone, an API server that is away, a crowd of other writers."""

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.controlplane.arguments import free_ports
from tests.controlplane.client import ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.proxy import Proxy
from tests.live.faults import ASKS, Audit, available, guarded, leads, recovered, tell
from tests.live.installation import Installation, Replica
from tests.live.world import NEW, NEWER, World

SLOW = f"{NEW}-slow"
LATE = 120.0
_VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/schemagate"


@pytest.fixture
async def proxy(control_plane: ControlPlane) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", control_plane.api_port) as running:
        yield running


@pytest.fixture
async def outage(admin: Client) -> AsyncIterator[None]:
    """Give leave to end the API server: the next test finds all that hangs on it at work again."""
    yield
    await recovered(admin)


@asynccontextmanager
async def controller(
    installation: Installation, server: str | None = None, **settings: Any
) -> AsyncIterator[Replica]:
    """Give a controller that leads; it has to be running still at the end."""
    replica = await asyncio.to_thread(installation.start, "controller", server=server, **settings)
    await until(lambda: leads(replica))
    yield replica
    replica.component.check()
    await asyncio.to_thread(replica.component.stop, signal.SIGTERM)


@asynccontextmanager
async def webhook(
    installation: Installation, admin: Client, server: str, **settings: Any
) -> AsyncIterator[Replica]:
    """Give a webhook replica that is asked in place of the shared one, which is asked again afterwards."""
    url = (await admin.get(_VALIDATING))["webhooks"][0]["clientConfig"]["url"]
    (port,) = free_ports(1)
    replica = await asyncio.to_thread(installation.start, "webhook", server=server, port=port, **settings)
    try:
        await installation.apply(admin, webhook_port=port)
        yield replica
        replica.component.check()
    finally:
        await available(admin)
        await installation.apply(admin, webhook_port=int(url.split(":")[2].partition("/")[0]))
        await asyncio.to_thread(replica.component.stop, signal.SIGTERM)


async def one_job_each(world: World, audit: Audit, *images: str) -> None:
    """Check that these images had one Job each, and one outcome, and the newest is complete."""
    record = (await world.record())["status"]
    told = [(done["image"], done["evidence"]) for done in record["completedHashes"]]
    assert told[:-1] == [(image, "Job") for image in reversed(images)]
    assert told[-1][1] == "Adopted"
    await audit.settled(world)
    names = audit.jobs_created(world.namespace)
    assert len(names) == len(set(names)) == len(images)


async def test_silent_watches_are_noticed_and_what_they_kept_back_is_done(
    no_controller: Installation, world: World, proxy: Proxy, control_plane: ControlPlane
) -> None:
    audit = Audit(control_plane)
    async with controller(no_controller, proxy.url, watch_idle_seconds=5, lease_seconds=30):
        await guarded(world)
        proxy.silence()
        silent = time.monotonic()
        await world.wants(NEW)
        await world.reaches("Complete", image=NEW, seconds=LATE)
        tell(f"complete {time.monotonic() - silent:.1f} s after all fell silent; a watch's patience is 5 s")
        await one_job_each(world, audit, NEW)


@pytest.mark.usefixtures("outage")
async def test_history_that_is_gone_is_listed_anew_and_nothing_is_lost(
    no_controller: Installation, world: World, proxy: Proxy, control_plane: ControlPlane
) -> None:
    audit = Audit(control_plane)
    async with (
        controller(no_controller, proxy.url, lease_seconds=5) as replica,
        webhook(no_controller, world.admin, proxy.url) as hook,
    ):
        await guarded(world)
        proxy.freeze()
        proxy.cut()
        # What neither of them is told of: another image, and that a second Gateway comes under guard.
        await world.wants(NEW)
        await asyncio.to_thread(control_plane.compact)
        await asyncio.to_thread(control_plane.restart_api_server)
        await available(world.admin)
        asked = audit.events(replica.component.name)
        before = sum(item["verb"] == "list" for item in asked)
        proxy.thaw()
        thawed = time.monotonic()
        await world.reaches("Complete", image=NEW, seconds=LATE)
        tell(f"complete {time.monotonic() - thawed:.1f} s after the API server could be reached again")
        await one_job_each(world, audit, NEW)
        asked = audit.events(replica.component.name)
        lists = [item["objectRef"]["resource"] for item in asked if item["verb"] == "list"][before:]
        tell(f"listed anew: {', '.join(sorted(set(lists)))}")
        assert {"gateways", "gatewaymigrations", "deployments", "jobs"} <= set(lists)
        # The webhook's copies are live again: what is complete since passes, what was never announced does not.
        await until(lambda: asyncio.to_thread(hook.ready))
        assert "is blocked" in await world.denial("ssg", NEWER)
        await world.set_image("ssg", NEW)
        await world.settled()


@pytest.mark.usefixtures("outage")
async def test_an_api_server_that_is_away_is_waited_for_without_a_storm(
    no_controller: Installation, world: World, proxy: Proxy, control_plane: ControlPlane
) -> None:
    audit = Audit(control_plane)
    async with controller(no_controller, proxy.url) as replica:
        await guarded(world)
        await world.wants(SLOW)
        await world.reaches("Running", image=SLOW)
        await asyncio.to_thread(control_plane.kill_api_server)
        opened, away = proxy.opened, time.monotonic()

        async def ten_seconds() -> bool:
            replica.component.check()
            return time.monotonic() - away > 10

        await until(ten_seconds)
        tried, seconds = proxy.opened - opened, time.monotonic() - away
        await asyncio.to_thread(control_plane.restart_api_server)
        back = time.monotonic()
        await available(world.admin)
        # The webhook that was there all the time knows at once what came under guard since.
        await world.denial("ssg", NEWER)
        await until(lambda: leads(replica))
        leading = time.monotonic() - back
        await world.finish()
        await world.reaches("Complete", image=SLOW, seconds=LATE)
        tell(f"{tried} connections in {seconds:.1f} s of outage; leading again {leading:.1f} s after it")
        assert tried / seconds < 10  # nine copies, the Lease, four workers
        await one_job_each(world, audit, SLOW)


@pytest.mark.usefixtures("outage")
async def test_the_webhook_knows_right_after_a_restart_what_came_under_guard(
    no_controller: Installation, world: World, control_plane: ControlPlane
) -> None:
    await world.operator_gateway()
    await asyncio.to_thread(control_plane.restart_api_server)
    await available(world.admin)
    await world.patch("Gateway", "ssg", ASKS)
    guarded_at = time.monotonic()

    async def denied() -> bool:
        try:
            await world.set_image("ssg", NEW, dryRun="All")
        except ApiError as error:
            return "is blocked" in error.message
        return False

    await until(denied)
    tell(f"denied {time.monotonic() - guarded_at:.2f} s after it came under guard")
    assert "is blocked" in await world.denial("ssg", NEW)


async def test_a_job_controller_that_stands_still_makes_no_second_job(
    no_controller: Installation, world: World, control_plane: ControlPlane
) -> None:
    audit = Audit(control_plane)
    async with controller(no_controller, gather_seconds=0.1):
        await guarded(world)
        with control_plane.frozen("kube-controller-manager"):
            await world.wants(NEW)
            await world.reaches("Running", image=NEW)
            for poke in range(20):  # every one a reason to look
                await world.patch(
                    "GatewayMigration", "ssg", {"metadata": {"annotations": {"example.com/poke": str(poke)}}}
                )
            (job,) = await world.jobs()
            assert not job["status"].get("conditions")
            assert (await world.record())["status"]["phase"] == "Running"
        resumed = time.monotonic()
        await world.reaches("Complete", image=NEW, seconds=LATE)
        tell(f"complete {time.monotonic() - resumed:.1f} s after the Job controller went on")
        await one_job_each(world, audit, NEW)


async def test_a_storm_of_other_writers_is_survived_and_their_annotations_kept(
    no_controller: Installation, world: World, control_plane: ControlPlane
) -> None:
    audit = Audit(control_plane)
    async with controller(no_controller):
        await guarded(world)
        over = asyncio.Event()
        storm = [asyncio.ensure_future(_storm(world, writer, over)) for writer in range(4)]
        began = time.monotonic()
        await world.wants(NEW)
        # It goes on until the migration is complete: that it gets anywhere amid it is the point.
        try:
            await world.reaches("Complete", image=NEW, seconds=LATE)
            seconds = time.monotonic() - began
        finally:
            over.set()
            written = await asyncio.gather(*storm)
        await one_job_each(world, audit, NEW)
        kept = (await world.record())["metadata"]["annotations"]
        conflicts = sum(
            item["responseStatus"]["code"] == 409 for item in audit.events() if "responseStatus" in item
        )
        rate = sum(written) / seconds
        tell(f"complete after {seconds:.1f} s amid {rate:.0f} other writes a second, {conflicts} conflicts")
        last = {f"example.com/{writer}": str(count - 1) for writer, count in enumerate(written)}
        assert last.items() <= kept.items()


async def _storm(world: World, writer: int, over: asyncio.Event) -> int:
    """Annotate the record a dozen times a second; gives how often."""
    beat = asyncio.get_running_loop().time()
    for number in itertools.count():
        if over.is_set():
            return number
        annotation = {f"example.com/{writer}": str(number)}
        await world.patch("GatewayMigration", "ssg", {"metadata": {"annotations": annotation}})
        beat += 1 / 12.5
        await asyncio.sleep(beat - asyncio.get_running_loop().time())  # the storm's own; nothing waits for it
    raise AssertionError
