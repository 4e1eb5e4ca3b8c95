"""The decision log: bounded lines, and a writer that nobody waits for."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NOW
from webhook.audit.decisions import LINE_LIMIT, SCHEMA, DecisionLog, Line
from webhook.policy.record import Mode, RejectionDecision

PATIENCE = 15.0


def line(**fields: Any) -> Line:
    given = {
        "time": NOW,
        "uid": "u-1",
        "webhook": "deployments.validate",
        "operation": "UPDATE",
        "namespace": "team-a",
        "name": "ssg",
        "user": "helm",
        "groups": (),
        "dry_run": False,
        "decision": "deny",
        "remembered": RejectionDecision.DENIED,
        "reason": "MigrationPending",
        "check": "by_mode",
        "mode": Mode.REJECT,
        "hash": "0" * 16,
        "from_image": "gateway:1",
        "to_image": "gateway:2",
        "bypass_reason": None,
        "message": "blocked",
    }
    return Line(**{**given, **fields})


class Told:
    """What a log tells of its losses."""

    def __init__(self) -> None:
        self.dropped = 0
        self.failures: list[str] = []
        self._changed = threading.Condition()

    def drop(self, count: int) -> None:
        with self._changed:
            self.dropped += count
            self._changed.notify_all()

    def fail(self, why: str) -> None:
        with self._changed:
            self.failures.append(why)
            self._changed.notify_all()

    def wait(self, holds: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE), (self.dropped, self.failures)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        with suppress(OSError):
            os.close(end)


def read_all(reader: int) -> list[dict[str, Any]]:
    with open(reader, closefd=False) as file:
        return [json.loads(text) for text in file]


def test_lines_are_written_in_order_and_all_at_the_end(told: Told, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = DecisionLog(writer, told.drop, told.fail)
    log.start()
    for number in range(50):
        log.submit(line(uid=f"u-{number}"))
    log.close(PATIENCE)
    log.close(PATIENCE)
    os.close(writer)
    found = read_all(reader)
    assert [item["uid"] for item in found] == [f"u-{number}" for number in range(50)]
    assert {item["schema"] for item in found} == {SCHEMA}
    assert datetime.fromisoformat(found[0]["time"]) == NOW
    assert set(found[0]) == {field.encode_name for field in msgspec.structs.fields(Line)}
    assert told.dropped == 0


def test_nobody_waits_for_a_reader_that_stands_still(told: Told, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = DecisionLog(writer, told.drop, told.fail, limit=100)
    log.start()
    submitted = 2000
    for number in range(submitted):  # far more than pipe and queue hold
        log.submit(line(uid=f"u-{number}", message="m" * 300))
    log.close(0.05)
    assert 0 < told.dropped < submitted
    # It goes on as soon as somebody reads; what was not counted as lost is there.
    reading = threading.Thread(target=lambda: found.extend(read_all(reader)))
    found: list[dict[str, Any]] = []
    (thread,) = (item for item in threading.enumerate() if item.name == "decision-log")
    reading.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    os.close(writer)
    reading.join(PATIENCE)
    assert submitted - told.dropped <= len(found) < submitted
    assert not told.failures


def test_a_reader_that_goes_away_costs_lines_and_nothing_else(told: Told, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    log = DecisionLog(writer, told.drop, told.fail)
    log.start()
    for number in range(3):
        log.submit(line())
        told.wait(lambda count=number + 1: told.dropped == count)  # type: ignore[misc]
    assert told.failures == ["Broken pipe"]
    log.close(PATIENCE)
    log.submit(line())
    assert told.dropped == 4


def test_it_goes_on_when_it_can_write_again(told: Told, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    full = os.open("/dev/full", os.O_WRONLY)
    spare = os.dup(full)
    log = DecisionLog(spare, told.drop, told.fail)
    log.start()
    log.submit(line(uid="lost"))
    told.wait(lambda: told.dropped == 1)
    os.dup2(writer, spare)
    log.submit(line(uid="kept"))
    log.close(PATIENCE)
    for end in (writer, spare, full):
        os.close(end)
    assert [item["uid"] for item in read_all(reader)] == ["kept"]
    assert told.failures == ["No space left on device"]


def test_a_pipe_that_somebody_made_non_blocking_is_waited_for(told: Told, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    log = DecisionLog(writer, told.drop, told.fail)
    log.start()
    found: list[dict[str, Any]] = []
    for number in range(1000):
        log.submit(line(uid=f"u-{number}", message="m" * 300))
    reading = threading.Thread(target=lambda: found.extend(read_all(reader)))
    reading.start()
    log.close(PATIENCE)
    os.close(writer)
    reading.join(PATIENCE)
    assert len(found) == 1000
    assert (told.dropped, told.failures) == (0, [])


hostile = st.text(max_size=50) | st.sampled_from(
    ["\x1b[31m" * 300, "\u202e" * 700, '"\\' * 350, "é" * 10_000, "\U0001f512" * 10_000, "\ud800", "a\nb"]
)


@given(st.data())
def test_whatever_comes_is_one_printable_line_within_its_bound(data: st.DataObject) -> None:
    texts = {
        name: data.draw(hostile)
        for name in ("uid", "namespace", "name", "user", "from_image", "to_image", "bypass_reason", "message")
    }
    groups = tuple(data.draw(st.lists(hostile, max_size=7)))
    encoded = msgspec.json.encode(line(groups=groups, **texts).safe())
    assert len(encoded) + 2 <= LINE_LIMIT
    assert encoded.decode().isprintable()
    assert len(json.loads(encoded)["groups"]) <= 5


@pytest.mark.parametrize(
    "text",
    [
        "jdbc:mysql://root:hunter2@db:3306/ssg",
        "password=hunter2",
        "pass\u200bword=hunter2",
        "--db-password hunter2",
        "<password>hunter2</password>",
        "?user=root&pass%77ord=hunter2",
        "Authorization: Basic hunter2",
        "x" * 200 + " password=hunter2",
    ],
)
def test_no_field_shows_a_credential(text: str) -> None:
    fields = ("namespace", "name", "user", "from_image", "to_image", "bypass_reason", "message")
    encoded = msgspec.json.encode(line(groups=(text,), **dict.fromkeys(fields, text)).safe())
    assert b"hunter2" not in encoded
