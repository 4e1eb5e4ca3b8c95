"""Writes of a record beside others who write it too."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.kube.fake_api import FakeApi, answer, client_of, item, listed, serving, status
from webhook.errors import ConflictError
from webhook.kube.copies import ControllerCopies
from webhook.kube.writes import Writes
from webhook.policy.names import RETRY
from webhook.policy.record import Phase, Record, RecordStatus

CONFLICT = status(409, "Conflict")
RUNNING = RecordStatus(phase=Phase.RUNNING)


def stored(version: int, phase: str = "Pending", **annotations: str) -> dict[str, Any]:
    manifest = item("ssg", version, status={"phase": phase})
    manifest["metadata"]["annotations"] = annotations
    return manifest


READ = Record.from_manifest(stored(1))


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with serving() as running:
        yield running


@pytest.fixture
async def writes(api: FakeApi, tmp_path: Path) -> AsyncIterator[Writes]:
    async with client_of(api, tmp_path) as client:
        copies = ControllerCopies(client, lambda *_: None, lambda *_: None)
        yield Writes(client, copies, lambda: None)


def versions(api: FakeApi, method: str) -> list[str]:
    """Give the versions on which writes were conditional."""
    return [json.loads(one.body)["metadata"]["resourceVersion"] for one in api.asked if one.method == method]


async def test_a_status_is_written_beside_one_who_keeps_annotating(api: FakeApi, writes: Writes) -> None:
    newer = [listed(stored(version, **{"example.com/poke": str(version)})) for version in (2, 3)]
    api.lists = deque([CONFLICT, newer[0], CONFLICT, newer[1], answer(stored(4, "Running"))])
    written = await writes.write_status(READ, RUNNING)
    assert (written.status.phase, written.resource_version) == (Phase.RUNNING, "4")
    assert versions(api, "PUT") == ["1", "2", "3"]
    # By a list of one, which the controller's role grants; it grants no get.
    reads = [(one.path.partition("?")[0], one.query["fieldSelector"]) for one in api.asked if one.method == "GET"]
    assert reads == [("/apis/schemagate.io/v1alpha1/namespaces/team-a/gatewaymigrations", "metadata.name=ssg")] * 2


@pytest.mark.parametrize(
    "changed",
    [stored(2, "Complete"), stored(2, **{RETRY: "abc"}), {**stored(2), "spec": {"mode": "Warn"}}],
    ids=["status", "retry", "spec"],
)
async def test_a_status_is_not_written_on_what_it_was_not_planned_for(
    api: FakeApi, writes: Writes, changed: dict[str, Any]
) -> None:
    api.lists = deque([CONFLICT, listed(changed)])
    with pytest.raises(ConflictError):
        await writes.write_status(READ, RUNNING)
    assert versions(api, "PUT") == ["1"]


async def test_another_object_of_that_name_is_another(api: FakeApi, writes: Writes) -> None:
    other = stored(2)
    other["metadata"]["uid"] = "another"
    api.lists = deque([CONFLICT, listed(other)])
    with pytest.raises(ConflictError):
        await writes.write_status(READ, RUNNING)


async def test_a_retry_is_taken_off_beside_one_who_keeps_annotating(api: FakeApi, writes: Writes) -> None:
    api.lists = deque([CONFLICT, listed(stored(2, **{RETRY: "abc", "a": "b"})), answer(stored(3))])
    await writes.clear_retry(replace(READ, retry="abc"))
    assert versions(api, "PATCH") == ["1", "2"]


async def test_it_ends_when_somebody_is_always_quicker(api: FakeApi, writes: Writes) -> None:
    api.lists = deque([CONFLICT, listed(stored(2))] * 50)
    with pytest.raises(ConflictError):
        await writes.write_status(READ, RUNNING)


async def test_a_record_that_is_gone_is_not_written(api: FakeApi, writes: Writes) -> None:
    api.lists = deque([CONFLICT, listed()])
    with pytest.raises(ConflictError):
        await writes.write_status(READ, RUNNING)
    assert versions(api, "PUT") == ["1"]
