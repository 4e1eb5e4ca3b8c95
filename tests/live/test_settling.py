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
async def other_webhook(world: World) -> AsyncIterator[None]:
    """Have somebody else judge Deployments of the test's namespace as well, slowly, and refuse one image."""

    async def judge(asked: web.Request) -> web.Response:
        request = (await asked.json())["request"]
        containers = request["object"]["spec"]["template"]["spec"]["containers"]
        image = next(item["image"] for item in containers if item["name"] == "gateway")
        if image != OLD:
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
        yield
    finally:
        await world.admin.delete(f"{CONFIGURATIONS}/{name}")
        await runner.cleanup()
