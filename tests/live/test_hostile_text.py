"""Texts that requests choose are shown safely, and bounded, wherever they come out."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.controlplane.client import STRATEGIC, until
from tests.controlplane.cluster import ControlPlane
from tests.live.aftermath import guarded
from tests.live.installation import Installation, Replica
from tests.live.sinks import lines
from tests.live.test_cli import Person
from tests.live.world import NEW, World
from webhook.audit.decisions import LINE_LIMIT
from webhook.audit.rejections.rejection import IMAGE_LIMIT, USER_LIMIT
from webhook.policy.decision import ANNOTATION_LIMIT, MESSAGE_LIMIT
from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL
from webhook.policy.record import KEPT

ESCAPES = "\x1b[31m\x07\x00red\x9b0m"
TURNED = "\u202enimda\u2066\u200b\ufeff\u2028"
ANNOTATION_ROOM = 200 * 1024
"""Below what the API server (1.36) lets all annotations of an object have together: 256 KiB."""
RECORD_LIMIT = 64 * 1024
"""What a record with as many hostile entries as it keeps may come to, in bytes; an object may have 1.5 MiB."""
IMAGES = {
    "controls": f"{NEW}{ESCAPES}x",
    "bidirectional": f"{NEW}{TURNED}x",
    "lines": f"{NEW}\nFAKE line\r\nx",
    "long": f"{NEW}{'y' * 100_000}",
}
USERS = {
    "long": "u" * 10_000,
    "bidirectional": f"{TURNED}jane",
    "wide": "\U0001f512" * 2_500,
    "long and turned": f"{TURNED * 500}z",
}
READ = (
    ("audit", "rejections", "-o", "wide"),
    ("audit", "rejections", "-o", "csv"),
    ("audit", "rejections", "-o", "junit"),
    ("audit", "scan"),
    ("audit", "report", "-o", "-"),
    ("status", "ssg"),
)


@asynccontextmanager
async def session(plane: ControlPlane) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session of somebody who may do everything, and pass for anybody."""
    connector = aiohttp.TCPConnector(ssl=plane.client_context)
    async with aiohttp.ClientSession(plane.api_url, connector=connector) as opened:
        yield opened


async def attempt(
    world: World, image: str, user: str = "jane", annotations: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Ask for an image as this user, of a group of the same name; gives status and message of the answer."""
    template = {"spec": {"containers": [{"name": "gateway", "image": image}]}}
    body = {"metadata": {"annotations": dict(annotations or {})}, "spec": {"template": template}}
    headers = [
        ("Content-Type", STRATEGIC),
        ("Impersonate-User", user),
        ("Impersonate-Group", "system:masters"),
        ("Impersonate-Group", user),
    ]
    path, data = world.path("Deployment", "ssg"), io.BytesIO(json.dumps(body).encode())
    async with (
        session(world.plane) as asking,
        asking.patch(path, data=data, headers=headers) as answer,
    ):
        return answer.status, str((await answer.json()).get("message", ""))


@pytest.mark.timeout(300)
async def test_what_is_hostile_is_shown_safely_and_bounded(
    world: World, installation: Installation, controller: Replica, control_plane: ControlPlane, tmp_path: Path
) -> None:
    webhook = installation.replica("webhook-1")
    since = control_plane.audit_position()
    await guarded(world)
    evil = (ESCAPES + TURNED) * (ANNOTATION_ROOM // len((ESCAPES + TURNED).encode()))
    notes = {BYPASS_REASON: evil, BYPASS_UNTIL: f"{ESCAPES}{TURNED}", BYPASS_HASH: f"{ESCAPES}{TURNED}"}
    asked: list[tuple[str, str, dict[str, str]]] = [
        *((image, "jane", {}) for image in IMAGES.values()),
        *((NEW, user, {}) for user in USERS.values()),
        (NEW, "annotator", notes),
        *((IMAGES["long"], f"{number}{USERS['long']}", {}) for number in range(KEPT)),
    ]
    for image, user, annotations in asked:
        status, said = await attempt(world, image, user, annotations)
        assert status == 403, said
        told = said.partition("denied the request: ")[2]
        assert "is blocked" in told
        assert told.isprintable()
        assert len(told) <= MESSAGE_LIMIT
    # What no object may have, it is the API server that refuses; the webhooks that it asked before that live on.
    status, said = await attempt(world, NEW, "annotator", {BYPASS_REASON: "x" * 2**20})
    assert (status, "Too long" in said) == (422, True), said

    async def counted() -> Any:
        record = await world.record()
        return record if (record["status"].get("rejections") or {}).get("count", 0) >= len(asked) else None

    record = await until(counted, 60, "all are counted")
    assert record["status"]["rejections"]["count"] == len(asked)
    assert len(json.dumps(record).encode()) < RECORD_LIMIT
    newest = record["status"]["rejections"]["newest"]
    assert len(newest) == KEPT
    assert all(len(item["user"]) <= USER_LIMIT and len(item["toImage"]) <= IMAGE_LIMIT for item in newest)
    assert all(len(group) <= USER_LIMIT for item in newest for group in item["groups"])

    written = [line for line in webhook.log.splitlines() if world.namespace in line]
    assert all(len(line.encode()) < LINE_LIMIT for line in written)
    denials = [line for line in lines(webhook, world.namespace) if line["remembered"]]
    assert len(denials) == len(asked)
    person = Person(control_plane.admin_kubeconfig, tmp_path)
    document = await person.runs("schemagate", "audit", "rejections", "-n", world.namespace, "-o", "json")
    annotated = [
        {key: text for key, text in event.get("annotations", {}).items() if "schemagate.io" in key}
        for event in control_plane.audit_events(since)
        if event.get("objectRef", {}).get("namespace") == world.namespace
    ]
    values = {
        "record": record["status"],
        "decision log": denials,
        "Events": [item["note"] for item in await world.admin.items(world.path("Event"))],
        "audit annotations": annotated,
        "document": json.loads(document.out),
    }
    longest = {"audit annotations": ANNOTATION_LIMIT}
    for sink, value in values.items():
        for text in texts(value):
            assert text.isprintable(), (sink, text)
            assert len(text) <= longest.get(sink, MESSAGE_LIMIT), (sink, len(text))
    read = [await person.runs("schemagate", *command, "-n", world.namespace) for command in READ]
    printed = {" ".join(command): done.out for command, done in zip(READ, read, strict=True)}
    assert all(printed.values()), printed
    for sink, text in {**printed, "webhook": webhook.log, "controller": controller.log}.items():
        bad = [line for line in text.split("\n") if not line.replace("\t", "").replace("\r", "").isprintable()]
        assert not bad, (sink, bad[:3])
        assert "\nFAKE line" not in text
    assert "\r" not in "".join(text for command, text in printed.items() if "csv" not in command)
    await until(lambda: asyncio.to_thread(webhook.ready), what="the webhook is ready")


def texts(value: Any) -> Iterator[str]:
    """Give all texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
