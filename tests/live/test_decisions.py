"""Each way of being turned away is told once everywhere, and what became of it later."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.controlplane.client import STRATEGIC, until
from tests.live.aftermath import guarded
from tests.live.installation import Installation, Replica
from tests.live.world import NEW, OLD, Manifest, World
from webhook.audit.decisions import SCHEMA
from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL

Series = tuple[str, str, str]
"""Labels webhook, decision and reason of a counted verdict."""

WAYS: dict[str, tuple[str, str, str, Series, dict[str, str]]] = {
    # mode, reason of the Event, how it ends, what is counted, what the API server's audit log says
    "denied": (
        "Reject",
        "RolloutDenied",
        "",
        ("deployments.validate", "deny", "MigrationPending"),
        {"deployments.validate.schemagate.io/decision": "deny"},
    ),
    "held": (
        "Hold",
        "RolloutHeld",
        "Migrated",
        ("deployments.mutate", "warn", "Held"),
        {"deployments.mutate.schemagate.io/decision": "hold"},
    ),
    "warned": (
        "Warn",
        "RolloutWarned",
        "Opened",
        ("deployments.validate", "warn", "MigrationPending"),
        {"deployments.validate.schemagate.io/decision": "would-deny"},
    ),
    "noted": (
        "Audit",
        "RolloutNoted",
        "Opened",
        ("deployments.validate", "allow", "MigrationPending"),
        {"deployments.validate.schemagate.io/decision": "would-deny"},
    ),
    "bypassed": (
        "Reject",
        "BypassUsed",
        "Bypassed",
        ("deployments.validate", "warn", "Bypassed"),
        {"deployments.validate.schemagate.io/bypass": "honoured"},
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_is_told_once_everywhere(
    world: World, installation: Installation, controller: Replica, way: str
) -> None:
    mode, event, ended, series, annotations = WAYS[way]
    webhook = installation.replica("webhook-1")
    await guarded(world, mode=mode)
    spec_hash = await hash_told_by_a_dry_run(world)
    since, before = world.plane.audit_position(), counted(webhook, series)
    await ask(world, way, spec_hash)

    (entry,) = await kept(world, lambda item: item.get("ended", "") == ended)
    assert entry["decision"] == way
    assert (entry["hash"], entry["mode"], entry["fromImage"], entry["toImage"]) == (spec_hash, mode, OLD, NEW)
    assert (entry["count"], entry["first"]) == (1, entry["last"])
    assert "system:authenticated" not in entry.get("groups", [])
    assert entry.get("bypassReason", "") == ("outage 4711" if way == "bypassed" else "")
    assert (await world.record())["status"]["rejections"]["count"] == 1

    (line,) = [item for item in lines(webhook, world) if item["remembered"]]
    told = {name: line[name] for name in ("hash", "mode", "user", "reason", "fromImage", "toImage")}
    assert (line["remembered"], told) == (way, {name: entry[name] for name in told})
    assert counted(webhook, series) == before + 1

    async def seen() -> list[Manifest]:
        return [item for reason in EVENTS for item in await world.events(reason)]

    (found,) = await until(seen, what=f"Event {event}")
    assert (found["reason"], found["regarding"]["kind"], found["regarding"]["name"]) == (
        event,
        "Deployment",
        "ssg",
    )
    assert "series" not in found
    assert all(part in found["note"] for part in (OLD, NEW, spec_hash, entry["user"], entry["reason"]))

    async def audited() -> list[Manifest]:
        return [
            item
            for item in world.plane.audit_events(since)
            if item.get("objectRef", {}).get("namespace") == world.namespace
            and annotations.items() <= item.get("annotations", {}).items()
        ]

    by_api_server = await until(audited, what="the audit log of the API server")
    assert [item["user"]["username"] for item in by_api_server] == [entry["user"]]


async def test_a_denial_is_followed_to_its_end(world: World, controller: Replica) -> None:
    await guarded(world)
    await world.denial("ssg", NEW)
    (entry,) = await kept(world)
    assert (entry["passes"], entry.get("ended")) == (False, None)
    await until(lambda: waiting(controller), what="the denial is counted as active")
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    (entry,) = await kept(world, lambda item: bool(item["passes"]))
    assert "ended" not in entry
    await until(lambda: world.set_image("ssg", NEW), what="the webhook knows")
    (entry,) = await kept(world, lambda item: "ended" in item)
    assert entry["ended"] == "Migrated"
    assert datetime.fromisoformat(entry["endedAt"]) > datetime.fromisoformat(entry["first"])


async def test_a_denial_of_what_is_deleted_was_given_up(world: World, controller: Replica) -> None:
    await guarded(world)
    await world.denial("ssg", NEW)
    await kept(world)
    await world.admin.delete(world.path("Deployment", "ssg"))
    (entry,) = await kept(world, lambda item: "ended" in item)
    assert entry["ended"] == "Abandoned"


EVENTS = tuple(event for _, event, *_ in WAYS.values())


async def hash_told_by_a_dry_run(world: World) -> str:
    """Give the hash of the rollout to come; nothing is recorded of a dry run."""
    mode = {"spec": {"mode": "Reject"}}
    before = (await world.record())["spec"].get("mode")
    await world.patch("GatewayMigration", "ssg", mode)

    told = await until(lambda: world.refusal("ssg", NEW), what="a dry run is denied")
    found = re.search(r"migration ([0-9a-f]{16})", told)
    assert found
    await world.patch("GatewayMigration", "ssg", {"spec": {"mode": before}})

    async def as_before() -> bool:
        if before != "Reject":
            await world.set_image("ssg", NEW, dryRun="All")  # an error is not yet
        return True

    await until(as_before, what="the webhook knows the mode")
    return found[1]


async def ask(world: World, way: str, spec_hash: str) -> None:
    """Ask for the next image once, in the way that is to be told."""
    if way == "denied":
        await world.denial("ssg", NEW)
    elif way == "bypassed":
        until_when = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
        told = {BYPASS_REASON: "outage 4711", BYPASS_UNTIL: until_when, BYPASS_HASH: spec_hash}
        template = {"spec": {"containers": [{"name": "gateway", "image": NEW}]}}
        patch = {"metadata": {"annotations": told}, "spec": {"template": template}}
        await world.admin.patch(world.path("Deployment", "ssg"), patch, STRATEGIC)
    else:
        await world.set_image("ssg", NEW)


async def kept(world: World, holds: Callable[[Manifest], bool] = bool) -> list[Manifest]:
    """Wait until the record keeps rejections and all of them are as they should be; gives them."""

    async def there() -> list[Manifest]:
        status = (await world.record()).get("status") or {}
        found: list[Manifest] = (status.get("rejections") or {}).get("newest", [])
        return found if all(map(holds, found)) else []

    return await until(there, what="what the record keeps")


async def waiting(controller: Replica) -> bool:
    """Tell whether the controller counts a rollout that waits."""
    return value(controller, "schemagate_denials_active") >= 1


def lines(webhook: Replica, world: World) -> list[Manifest]:
    """Give the lines of the decision log about the test's namespace."""
    found = [json.loads(text) for text in webhook.log.rpartition("\n")[0].splitlines() if SCHEMA in text]
    return [item for item in found if item["namespace"] == world.namespace]


def counted(webhook: Replica, series: Series) -> float:
    """Give how many verdicts on updates were counted in a series."""
    of_webhook, decision, reason = series
    labels = {"webhook": of_webhook, "decision": decision, "reason": reason, "operation": "UPDATE"}
    return value(webhook, "schemagate_admission_requests_total", **labels)


def value(replica: Replica, name: str, **labels: str) -> float:
    """Give a sample of a replica's metrics."""
    samples = [
        sample.value
        for family in text_string_to_metric_families(replica.metrics())
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    (found,) = samples
    return found
