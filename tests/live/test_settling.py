"""What we let through is judged before it is stored: on record once it is, and never where another refuses it."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from aiohttp import web

from tests.controlplane.client import ApiError, until
from tests.live.aftermath import guarded
from tests.live.installation import Replica
from tests.live.test_forged_rejections import left_out
from tests.live.world import NEW, NEWER, OLD, Manifest, World

CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
SECONDS: Final = 5.0
"""How long the other webhook takes: longer than it takes ours to hand over what it judged."""


async def test_what_another_webhook_keeps_waiting_is_on_record_once_it_is_stored(
    world: World, controller: Replica
) -> None:
    await guarded(world, mode="Warn")
    before = left_out(controller)
    async with other_webhook(world):
        await until(lambda: refused_by_it(world), what="the API server asks the other webhook")
        await until(lambda: world.set_image("ssg", NEW), what="the mode is known")

        async def on_record() -> list[Manifest]:
            return await kept(world)

        assert [
            (item["toImage"], item["decision"], item["count"]) for item in await until(on_record, 60, "it is told")
        ] == [(NEW, "warned", 1)]
        assert left_out(controller) == before

        with pytest.raises(ApiError, match="another says no"):
            await world.set_image("ssg", NEWER)

        async def refused() -> bool:
            return left_out(controller) > before

        await until(refused, 90, "what is never stored is left out")
        assert [item["toImage"] for item in await kept(world)] == [NEW]


async def test_what_somebody_else_makes_the_api_server_ask_again_counts_again_in_the_record_alone(
    world: World, controller: Replica
) -> None:
    await guarded(world, mode="Warn")
    path = world.path("Deployment", "ssg")
    async with other_webhook(world) as asked:
        await until(lambda: refused_by_it(world), what="the API server asks the other webhook")
        asked.clear()
        since = world.plane.audit_position()
        with world.plane.frozen("kube-controller-manager"):
            change = asyncio.create_task(world.set_image("ssg", NEW))
            await asyncio.wait_for(asked.wait(), 60)
            # Before the change is stored, another is: the API server begins anew with that, webhooks included.
            await world.admin.patch(f"{path}/status", {"status": {"collisionCount": 7}})
            await change

    async def counted() -> bool:
        return [item["count"] for item in await kept(world)] == [2]

    async def in_the_log() -> list[str]:
        return [
            event["verb"]
            for event in world.plane.audit_events(since)
            if event.get("annotations", {}).get("deployments.validate.schemagate.io/decision") == "would-deny"
            and event["objectRef"]["namespace"] == world.namespace
        ]

    await until(counted, what="both verdicts are in the record")
    assert await until(in_the_log, what="the audit log of the API server") == ["patch"]


async def refused_by_it(world: World) -> bool:
    """Tell whether the other webhook is asked, by a dry run that is on no record."""
    try:
        await world.set_image("ssg", NEWER, dryRun="All")
    except ApiError as error:
        return "another says no" in error.message
    return False


async def kept(world: World) -> list[Manifest]:
    """Give what the record tells of rollouts."""
    return list(((await world.record())["status"].get("rejections") or {}).get("newest", []))


@asynccontextmanager
async def other_webhook(world: World) -> AsyncIterator[asyncio.Event]:
    """Have somebody else judge Deployments of the test's namespace as well, slowly, and refuse one image.

    The event is set when it is asked about another image than the first.
    """
    about_another = asyncio.Event()

    async def judge(asked: web.Request) -> web.Response:
        request = (await asked.json())["request"]
        containers = request["object"]["spec"]["template"]["spec"]["containers"]
        image = next(item["image"] for item in containers if item["name"] == "gateway")
        if image != OLD:
            about_another.set()
            await asyncio.sleep(SECONDS)
        answer = {"uid": request["uid"], "allowed": image != NEWER, "status": {"message": "another says no"}}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        return web.json_response(review)

    application = web.Application()
    application.router.add_post("/", judge)
    runner = web.AppRunner(application)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*world.plane.issue(f"other-{world.namespace}"))
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    webhook = {
        "name": "other.example.com",
        "clientConfig": {
            "url": f"https://127.0.0.1:{port}/",
            "caBundle": base64.b64encode(world.plane.ca_pem).decode(),
        },
        "rules": [
            {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["UPDATE"]}
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 30,
    }
    name = f"other-{world.namespace}"
    await world.admin.post(CONFIGURATIONS, {"metadata": {"name": name}, "webhooks": [webhook]})
    try:
        yield about_another
    finally:
        await world.admin.delete(f"{CONFIGURATIONS}/{name}")
        await runner.cleanup()
