"""Gateways in two namespaces on one database: never two migrations of it at a time."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.live.installation import Replica
from tests.live.world import NEW, OLD, World, condition
from webhook.policy.names import MIGRATION_JOB

ASKS = {MIGRATION_JOB: "enabled"}


@pytest.fixture
async def other(admin: Client, namespace: str, control_plane: ControlPlane) -> AsyncIterator[World]:
    """Another namespace, on the same database."""
    name = f"{namespace}-other"
    path = f"/api/v1/namespaces/{name}"
    await admin.post("/api/v1/namespaces", {"metadata": {"name": name}})
    await until(lambda: admin.exists(f"{path}/serviceaccounts/default"))
    yield World(admin, name, control_plane, database=f"db-{namespace}")
    await admin.delete(path)


async def test_the_second_waits_and_starts_by_itself(world: World, other: World, controller: Replica) -> None:
    begin = world.plane.audit_position()
    for each in (world, other):
        await each.operator_gateway(**ASKS)
        await each.reaches("Complete", image=OLD)
    await world.wants(f"{NEW}-slow")
    await world.reaches("Running", image=f"{NEW}-slow")
    await other.wants(NEW)
    waiting = await other.reaches("Waiting", image=NEW)
    assert f"{world.namespace}/ssg" in condition(waiting, "Progressing")["message"]
    assert "Waiting" in await other.denial("ssg", NEW)

    await world.finish()
    await world.reaches("Complete", image=f"{NEW}-slow")
    await other.reaches("Complete", image=NEW)
    (first_began, first_ended), (second_began, _) = await runs(world.plane, begin, {world, other})
    assert first_began < first_ended < second_began


async def test_of_two_that_begin_at_once_one_goes_first(world: World, other: World, controller: Replica) -> None:
    begin = world.plane.audit_position()
    for each in (world, other):
        await each.operator_gateway(**ASKS)
        await each.reaches("Complete", image=OLD)
    for each in (world, other):
        await each.wants(NEW)
    for each in (world, other):
        await each.reaches("Complete", image=NEW)
    (_, first_ended), (second_began, _) = await runs(world.plane, begin, {world, other})
    assert first_ended < second_began


async def runs(plane: ControlPlane, since: int, worlds: set[World]) -> list[tuple[datetime, datetime]]:
    """Give when each Job of these namespaces was created and when it was said to have ended, oldest first."""
    namespaces = {world.namespace for world in worlds}

    async def all_of_them() -> list[tuple[datetime, datetime]] | None:
        began: dict[str, datetime] = {}
        ended: dict[str, datetime] = {}
        for event in plane.audit_events(since):
            reference = event.get("objectRef", {})
            stored = event.get("responseObject", {})
            if reference.get("resource") != "jobs" or reference.get("namespace") not in namespaces:
                continue
            if stored.get("kind") != "Job":
                continue
            if event["verb"] == "create":
                began[stored["metadata"]["uid"]] = moment(event["stageTimestamp"])
            elif over(stored):
                ended.setdefault(stored["metadata"]["uid"], moment(event["requestReceivedTimestamp"]))
        pairs = sorted((began[uid], ended[uid]) for uid in began if uid in ended)
        return pairs if len(pairs) == len(began) == len(worlds) else None

    found = await until(all_of_them, what="all Jobs in the audit log")
    assert found is not None
    return found


def over(job: dict[str, Any]) -> bool:
    """Tell whether a Job says that it has ended."""
    conditions = job.get("status", {}).get("conditions") or ()
    return any(each["type"] in {"Complete", "Failed"} and each["status"] == "True" for each in conditions)


def moment(text: str) -> datetime:
    """Read a time of the audit log."""
    return datetime.fromisoformat(text)
