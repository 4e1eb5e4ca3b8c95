"""Credentials, spelled in every way that is known, come out of no sink, whatever becomes of the rollout."""

import asyncio
import json
from collections.abc import Awaitable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import STRATEGIC, ApiError, until
from tests.controlplane.cluster import ControlPlane
from tests.live.installation import Installation, Replica
from tests.live.sinks import lines
from tests.live.test_cli import Person
from tests.live.world import NEW, OLD, Manifest, World
from tests.support import builders as make
from tests.support.credentials import IMAGES, LEAK, TEXTS, URLS, secret
from webhook.policy.names import (
    BYPASS_HASH,
    BYPASS_REASON,
    BYPASS_UNTIL,
    DISKLESS_CONFIG,
    ENFORCE,
    SSG_DATABASE_JDBC_URL,
)

BAD = f"{NEW}-fail"
READ = (
    ("audit", "rejections", "-o", "json"),
    ("audit", "rejections", "-o", "wide"),
    ("audit", "rejections", "-o", "csv"),
    ("audit", "rejections", "-o", "junit"),
    ("audit", "scan", "-o", "json"),
    ("audit", "scan", "-o", "sarif"),
    ("audit", "report", "-o", "-"),
    ("status", "url-000"),
)


def test_there_are_forty_spellings() -> None:
    assert len({*URLS, *TEXTS, *IMAGES}) >= 40
    assert all(LEAK.search(text.format(secret=secret(0), host="h")) for text in (*URLS, *TEXTS, *IMAGES))


@pytest.mark.timeout(400)
async def test_no_sink_tells_a_secret(
    world: World, installation: Installation, controller: Replica, control_plane: ControlPlane, tmp_path: Path
) -> None:
    webhook = installation.replica("webhook-1")
    since = control_plane.audit_position()
    urls = [f"url-{number:03}" for number in range(len(URLS))]
    texts = [f"text-{number:03}" for number in range(len(TEXTS))]
    images = [f"image-{number:03}" for number in range(len(IMAGES))]
    await asyncio.gather(
        *(
            by_url(world, name, spelling, number)
            for number, (name, spelling) in enumerate(zip(urls, URLS, strict=True))
        )
    )
    await asyncio.gather(*(plain(world, name) for name in (*texts, *images)))
    labels = {"metadata": {"labels": {ENFORCE: "reject"}}}
    await world.admin.patch(f"/api/v1/namespaces/{world.namespace}", labels)
    await asyncio.gather(*(judged(world, name) for name in (*urls, *texts, *images)))

    control_plane.write_log("\n".join(logged()))
    await asyncio.gather(
        in_turn(fails(world, name) for name in urls),
        in_turn(bypasses(world, name, TEXTS[at].format(secret=secret(100 + at))) for at, name in enumerate(texts)),
        in_turn(denied(world, name, IMAGES[at].format(secret=secret(200 + at))) for at, name in enumerate(images)),
    )
    await asyncio.gather(*(failed(world, name) for name in urls))
    await asyncio.gather(*(counted(world, name) for name in (*urls, *texts, *images)))

    person = Person(control_plane.admin_kubeconfig, tmp_path)
    sinks = {
        "webhook": webhook.log + webhook.metrics(),
        "controller": controller.log + controller.metrics(),
        "Events": json.dumps(await world.admin.items(world.path("Event"))),
        "status": json.dumps([item["status"] for item in await world.admin.items(world.path("GatewayMigration"))]),
        "audit annotations": json.dumps(list(annotations(control_plane.audit_events(since), world.namespace))),
    }
    for command in READ:
        done = await person.runs("schemagate", *command, "-n", world.namespace)
        assert done.out, (command, done.err)
        sinks[" ".join(command)] = done.out + done.err
    told = {line["name"] for line in lines(webhook, world.namespace) if line["remembered"]}
    assert told == {*urls, *texts, *images}
    for name in (*urls, *texts, *images):
        assert name in sinks["Events"]
        assert name in sinks["audit rejections -o json"]
    assert "***" in sinks["status"]
    leaks = {name: sorted(set(LEAK.findall(text))) for name, text in sinks.items() if LEAK.search(text)}
    assert not leaks, [(name, number, spelling_of(number)) for name, found in leaks.items() for number in found]


async def in_turn(asked: Iterable[Awaitable[object]]) -> None:
    """Do one after the other."""
    for one in asked:
        await one


def spelling_of(found: str) -> str:
    number = int(found[6:9])
    return (URLS, TEXTS, IMAGES)[number // 100][number % 100]


def logged() -> Iterator[str]:
    """Give what every container has written: all spellings, several a line."""
    every = [
        *(url.format(secret=secret(number), host="db") for number, url in enumerate(URLS)),
        *(text.format(secret=secret(100 + number)) for number, text in enumerate(TEXTS)),
    ]
    for at in range(0, len(every), 4):
        yield " then ".join(every[at : at + 4])


async def plain(world: World, name: str, **container: Any) -> None:
    """Have a Gateway run that nobody guards yet, with a database of its own."""
    data = {DISKLESS_CONFIG: "true", SSG_DATABASE_JDBC_URL: f"jdbc:mysql://{name}:3306/ssg"}
    await put_config_map(world, name, data)
    settings = make.container(image=OLD, envFrom=[{"configMapRef": {"name": name}}], **container)
    labels = {"app": name}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}},
    }
    made = make.deployment(
        settings, metadata={"name": name, "uid": None, "generation": None}, spec=spec, status=None
    )
    await world.create(made)


async def put_config_map(world: World, name: str, data: dict[str, str]) -> None:
    if not await world.admin.exists(world.path("ConfigMap", name)):
        await world.create({"kind": "ConfigMap", "metadata": {"name": name}, "data": data})


async def by_url(world: World, name: str, spelling: str, number: int) -> None:
    """Have a Gateway with this URL: in the pod's environment, in a ConfigMap, and in a record, by turns."""
    url = spelling.format(secret=secret(number), host=name)
    takes = url.lower().startswith("jdbc:") and "#" not in url  # what a record may hold at all
    place = number % (3 if takes else 2)
    if place == 0:
        await plain(world, name, env=[{"name": SSG_DATABASE_JDBC_URL, "value": url}])
    elif place == 1:
        await put_config_map(world, name, {DISKLESS_CONFIG: "true", SSG_DATABASE_JDBC_URL: url})
        await plain(world, name)
    else:
        await plain(world, name)
        await world.write_record(name, podAttempts=1, jdbcUrl=url)
        return
    await world.write_record(name, podAttempts=1)


async def judged(world: World, name: str) -> None:
    """Wait until the controller has looked at a Gateway: what runs is adopted, or its URL is bad."""

    async def there() -> bool:
        return ((await world.record(name)).get("status") or {}).get("phase") in {"Complete", "Failed"}

    await until(there, 90, f"{name} is judged")


async def fails(world: World, name: str) -> None:
    """Have a rollout denied, and its migration begin, which is to fail."""
    await denied(world, name, BAD)
    await world.patch("GatewayMigration", name, {"spec": {"image": BAD}})


async def failed(world: World, name: str) -> None:
    """Wait until the migration of a Gateway has failed; the end of its log is in the record where a Job ran."""

    async def there() -> Manifest | None:
        status: Manifest = (await world.record(name))["status"]
        return status if status["phase"] == "Failed" else None

    status = await until(there, 120, f"the migration of {name} has failed")
    assert status is not None
    assert status.get("job") is None or "then" in status["failure"]["logTail"], status


async def bypasses(world: World, name: str, reason: str) -> None:
    """Break glass for a Gateway, for a reason that should have been another."""
    told = await denied(world, name, NEW)
    when = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
    spec_hash = told.partition("migration ")[2].split()[0]
    notes = {BYPASS_REASON: reason, BYPASS_UNTIL: when, BYPASS_HASH: spec_hash}
    template = {"spec": {"containers": [{"name": "gateway", "image": NEW}]}}
    patch = {"metadata": {"annotations": notes}, "spec": {"template": template}}
    await until(lambda: world.admin.patch(world.path("Deployment", name), patch, STRATEGIC))


async def denied(world: World, name: str, image: str) -> str:
    """Have a rollout denied; gives the message. Where much goes on a verdict may take too long: ask again."""

    async def told() -> str:
        try:
            await world.set_image(name, image)
        except ApiError as error:
            if error.status != 403:
                raise
            return error.message
        raise AssertionError(f"{name} was let through")

    return await until(told)


async def counted(world: World, name: str) -> None:
    """Wait until the record of a Gateway tells of what was tried."""

    async def there() -> bool:
        newest = ((await world.record(name))["status"].get("rejections") or {}).get("newest", [])
        wanted = {"bypassed"} if name.startswith("text") else {"denied"}
        return wanted <= {item["decision"] for item in newest}

    await until(there, 120, f"the record of {name} tells of it")


def annotations(events: list[Manifest], namespace: str) -> Iterator[dict[str, str]]:
    """Give what our webhooks have annotated requests with."""
    for event in events:
        if event.get("objectRef", {}).get("namespace") == namespace:
            notes = event.get("annotations", {})
            yield {key: text for key, text in notes.items() if "schemagate.io" in key}
