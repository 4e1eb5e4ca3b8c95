"""Policy reports on the real API server, by the definitions of the projects whose kinds they are."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

import pytest

from tests.controlplane.client import ApiError, until
from tests.live.aftermath import CONTROLLER, guarded
from tests.live.installation import Installation, Replica
from tests.live.report_kinds import KINDS, served
from tests.live.world import NEW, NEWER, World
from webhook.audit.report.openreports import LEFT_OUT, LIMIT, reports
from webhook.audit.report.survey import Standing, Survey
from webhook.audit.report.wait import State, Wait
from webhook.audit.scan.finding import Finding, Rule
from webhook.kube.reports import NAME
from webhook.kube.resources import Resource
from webhook.policy.record import Rejection, RejectionEnd
from webhook.runtime.process import utc_now

OPEN, OLDER = KINDS
SECONDS = 0.3


def start(installation: Installation, wanted: str = "auto") -> Replica:
    return installation.start("controller", report_seconds=SECONDS, reports=wanted)


async def report(world: World, kind: Resource) -> dict[str, Any]:
    return await world.admin.get(kind.path(world.namespace, NAME))


async def says(world: World, kind: Resource, **summary: int) -> dict[str, Any]:
    """Wait until the report of the test's namespace counts so; gives it."""
    wanted = {"pass": 0, "fail": 0, "warn": 0, "error": 0, "skip": 0, **summary}

    async def there() -> dict[str, Any] | None:
        found = await report(world, kind)
        return found if found["summary"] == wanted else None

    found = await until(there, what=f"{kind.kind} says {summary}")
    assert found is not None
    return found


async def gone(world: World, kind: Resource) -> bool:
    return not await world.admin.exists(kind.path(world.namespace, NAME))


def writes(world: World, since: int, kind: Resource) -> list[str]:
    """Give what our controller did to reports of the test's namespace."""
    return [
        event["verb"]
        for event in world.plane.audit_events(since)
        if event["user"]["username"] == CONTROLLER
        and event.get("objectRef", {}).get("resource") == kind.plural
        and event["objectRef"].get("namespace") == world.namespace
    ]


@pytest.mark.parametrize("group", [OPEN, OLDER])
async def test_a_report_tells_what_the_record_remembers_and_goes_with_it(
    world: World, no_controller: Installation, group: str
) -> None:
    kind = KINDS[group]
    async with served(world.admin, group):
        controller = start(no_controller)
        try:
            await guarded(world)
            since = world.plane.audit_position()
            await world.denial("ssg", NEW)
            found = await says(world, kind, fail=1)
            await exactly_what_is_remembered(world, found)
            await taken_strictly(world, kind, found)

            await world.wants(NEW)
            await world.reaches("Complete", image=NEW)
            found = await says(world, kind, **{"pass": 1})
            assert found["results"][0]["message"].endswith("it would pass now")

            await world.quiet()  # it was told meanwhile what is migrated
            await world.denial("ssg", NEWER)
            found = await says(world, kind, **{"pass": 1, "fail": 1})
            assert [item["result"] for item in found["results"]] == ["fail", "pass"]

            async def written() -> bool:
                return writes(world, since, kind) == ["create", "patch", "patch"]

            await until(written, what="the audit log has each write once")

            controller.component.stop(signal.SIGTERM)
            controller = start(no_controller, "off")
            await until(lambda: gone(world, kind), what="the report is gone")
        finally:
            controller.component.stop(signal.SIGTERM)


async def exactly_what_is_remembered(world: World, found: Mapping[str, Any]) -> None:
    (entry,) = (await world.record())["status"]["rejections"]["newest"]
    (result,) = found["results"]
    assert (result["source"], result["policy"], result["rule"]) == (
        "schemagate",
        "schemagate-rollouts",
        entry["reason"],
    )
    assert result["properties"] == {
        "hash": entry["hash"][:16],
        "mode": entry["mode"],
        "decision": entry["decision"],
        "count": str(entry.get("count", 1)),
    }
    (subject,) = result["resources"]
    deployment = await world.admin.get(world.path("Deployment", subject["name"]))
    assert (subject["kind"], subject["namespace"]) == ("Deployment", deployment["metadata"]["namespace"])
    assert entry["user"] not in str(result)


async def taken_strictly(world: World, kind: Resource, found: dict[str, Any]) -> None:
    """See that the schema knows every field of what we send: what it does not know, it would silently prune."""
    (entry,) = (await world.record())["status"]["rejections"]["newest"]
    standing = Standing(
        namespace=world.namespace,
        name="ssg",
        wait=Wait(state=State.BLOCKED, line=""),
        rejections=(Rejection(reason=entry["reason"], last=utc_now(), ended=RejectionEnd.OPENED),) * (LIMIT + 1),
        findings=(Finding.of(Rule.UNREADABLE, (world.namespace, "ssg"), "what", "do"),),
    )
    sent = reports(Survey(cluster="", taken=utc_now(), standings=(standing,)))[world.namespace].body()
    assert sent["results"][-1]["rule"] == LEFT_OUT
    body = {**found, **sent, "metadata": {"name": "again"}}
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    stored = await world.admin.post(kind.path(world.namespace), body, **query)
    assert (stored["summary"], stored["results"]) == (sent["summary"], sent["results"])
    with pytest.raises(ApiError, match="unknown field"):
        await world.admin.post(kind.path(world.namespace), {**body, "nonesuch": 1}, **query)


async def test_where_both_are_served_one_is_written(world: World, no_controller: Installation) -> None:
    async with served(world.admin, OLDER):
        controller = start(no_controller)
        try:
            await guarded(world)
            await world.denial("ssg", NEW)
            await says(world, KINDS[OLDER], fail=1)
            controller.component.stop(signal.SIGTERM)
            async with served(world.admin, OPEN):
                controller = start(no_controller)
                await says(world, KINDS[OPEN], fail=1)
                await until(lambda: gone(world, KINDS[OLDER]), what="the other one is gone")
        finally:
            controller.component.stop(signal.SIGTERM)


async def test_where_none_is_served_nothing_is_written_and_nothing_complained_of(
    world: World, no_controller: Installation
) -> None:
    since = world.plane.audit_position()
    controller = start(no_controller)
    try:
        await guarded(world)
        await world.denial("ssg", NEW)

        async def looked_again() -> bool:
            found = [event["objectRef"]["resource"] for event in asked(world, since)]
            return min(found.count(kind.plural) for kind in KINDS.values()) > 2

        await until(looked_again, what="both kinds were looked for again")
        assert {event["verb"] for event in asked(world, since)} == {"list"}
        assert "reports_" not in controller.log
    finally:
        controller.component.stop(signal.SIGTERM)


def asked(world: World, since: int) -> list[dict[str, Any]]:
    """Give what our controller asked of the kinds of reports."""
    plurals = {kind.plural for kind in KINDS.values()}
    return [
        event
        for event in world.plane.audit_events(since)
        if event["user"]["username"] == CONTROLLER and event.get("objectRef", {}).get("resource") in plurals
    ]
