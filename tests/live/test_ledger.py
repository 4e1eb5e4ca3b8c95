"""A storm of denials: all of them are counted, and the API server hardly notices."""

import asyncio
import copy
import signal
import ssl
import time

import aiohttp

from tests.controlplane.client import until
from tests.live.aftermath import calls, guarded
from tests.live.faults import tell
from tests.live.installation import Installation
from tests.live.test_forged_rejections import review
from tests.live.world import OLD, Manifest, World

DENIALS = 400
CALLERS = 8
GATHER_SECONDS = 2.0
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/schemagate"


async def test_a_storm_is_counted_to_the_last_and_makes_few_writes(
    world: World, no_controller: Installation
) -> None:
    controller = no_controller.start("controller", gather_seconds=GATHER_SECONDS)
    try:
        await guarded(world)
        since, begin = world.plane.audit_position(), time.monotonic()
        await storm(world)
        stormed = time.monotonic() - begin

        async def all_counted() -> bool:
            found = (await world.record())["status"].get("rejections") or {}
            assert found.get("count", 0) <= DENIALS
            return bool(found.get("count") == DENIALS)

        await until(all_counted, 60, "all are counted")
        seconds = time.monotonic() - begin
        written = [
            event
            for event in calls(world, since)
            if event["objectRef"]["resource"] == "gatewaymigrations" and event["verb"] in {"update", "patch"}
        ]
        rate = f"{DENIALS} denials in {stormed:.1f} s, {DENIALS / stormed:.0f} a second"
        tell(f"{rate}: {len(written)} writes of the record in {seconds:.1f} s")
        # One for each batch, and one for what is then seen of it.
        assert len(written) <= seconds / GATHER_SECONDS + 2
        rejections = (await world.record())["status"]["rejections"]
        assert len(rejections["newest"]) == CALLERS
        assert sum(item["count"] for item in rejections["newest"]) == DENIALS
        assert {(item["fromImage"], item["decision"]) for item in rejections["newest"]} == {(OLD, "denied")}

        async def events() -> list[Manifest]:
            return await world.events("RolloutDenied")

        assert len(await until(events)) == 1
    finally:
        controller.component.stop(signal.SIGTERM)


async def storm(world: World) -> None:
    """Have the webhook asked as an API server asks it, over some connections at once."""
    asked = review(await world.get("Deployment", "ssg"), "ssg", OLD)
    trust = ssl.create_default_context(cadata=world.plane.ca_pem.decode())
    url = (await world.admin.get(CONFIGURATION))["webhooks"][0]["clientConfig"]["url"]

    async def ask(session: aiohttp.ClientSession, user: str) -> None:
        body = copy.deepcopy(asked)
        body["request"]["userInfo"]["username"] = user
        for _ in range(DENIALS // CALLERS):
            async with session.post(url, json=body, ssl=trust) as answer:
                assert (await answer.json())["response"]["allowed"] is False

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(ask(session, f"user-{number}") for number in range(CALLERS)))
