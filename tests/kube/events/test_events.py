"""Events: a storm costs a handful of writes, trouble costs Events and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kube.recorders import Rig, deployment
from webhook.errors import ForbiddenError, UnreachableError
from webhook.kube.events.recorder import QUEUE_LIMIT, REMEMBERED, REQUEST_SECONDS, SPACING_SECONDS, Bucket
from webhook.kube.events.stored import Reference

EVENTS = "/apis/events.k8s.io/v1/namespaces/team-a/events"


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.world.close()
    assert not rig.loop.errors


def test_an_event_as_the_api_wants_it(rig: Rig) -> None:
    job = Reference("batch/v1", "Job", "team-a", "ssg-1", "uid-job")
    rig.recorder.record(deployment(), "Normal", "MigrationStarted", "Job ssg-1 runs", "Migrate", job)
    rig.world.advance(1)
    method, path, event = rig.server.sent[0]
    assert (method, path) == ("POST", EVENTS)
    name = event["metadata"].pop("name")
    assert re.fullmatch(r"ssg\.[0-9a-f]{16}", name)
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "team-a"},
        "eventTime": "2026-11-22T13:00:00.000000Z",
        "reportingController": "schemagate.io/controller",
        "reportingInstance": "schemagate-0_1",
        "type": "Normal",
        "reason": "MigrationStarted",
        "action": "Migrate",
        "note": "Job ssg-1 runs",
        "regarding": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": "team-a",
            "name": "ssg",
            "uid": "uid-ssg",
        },
        "related": {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "namespace": "team-a",
            "name": "ssg-1",
            "uid": "uid-job",
        },
    }
    assert rig.dropped == 0


def test_a_storm_is_one_event_that_is_counted_up(rig: Rig) -> None:
    for _ in range(1000):  # 200 s, five a second
        rig.record()
        rig.world.advance(0.2)
    assert len(rig.server.sent) == 1
    rig.world.advance(SPACING_SECONDS)
    assert len(rig.server.created) == 1
    assert rig.server.series == [1000]
    method, path, _ = rig.server.sent[1]
    assert (method, path) == ("PATCH", f"{EVENTS}/{rig.server.created[0]['metadata']['name']}")
    rig.world.advance(3600)
    assert len(rig.server.sent) == 2
    assert rig.dropped == 0


def test_a_storm_whose_notes_differ_is_no_more(rig: Rig) -> None:
    for number in range(1000):
        rig.record(note=f"attempt {number}")
        rig.world.advance(0.6)
    rig.world.advance(SPACING_SECONDS)
    assert len(rig.server.sent) == 3  # in 600 s
    assert rig.server.created[-1]["note"] == "attempt 999"
    assert rig.dropped == 997


def test_reasons_have_spacings_of_their_own_but_an_object_has_one_budget(rig: Rig) -> None:
    for number in range(50):
        rig.record(reason=f"Reason{number}")
    rig.record(name="other")
    rig.world.advance(10)
    assert [event["regarding"]["name"] for event in rig.server.created] == ["ssg"] * 10 + ["other"]
    assert rig.dropped == 40


def test_all_objects_together_have_a_budget(rig: Rig) -> None:
    for burst in range(3):  # the queue is shorter than the budget
        for number in range(200):
            rig.record(name=f"ssg-{burst}-{number}")
        rig.world.advance(2)
    assert 300 <= len(rig.server.sent) <= 360  # and what six seconds give back
    assert rig.dropped == 600 - len(rig.server.sent)


def test_a_fleet_that_is_upgraded_at_once_loses_no_event(rig: Rig) -> None:
    for reason in ("MigrationRequested", "MigrationStarted", "MigrationComplete", "Admitted", "Released"):
        for number in range(200):
            rig.record(name=f"ssg-{number}", reason=reason)
        rig.world.advance(30)
    assert rig.dropped == 0
    assert len(rig.server.sent) == 1000


def test_the_same_after_ten_minutes_is_news(rig: Rig) -> None:
    rig.record()
    rig.world.advance(601)
    rig.record()
    rig.world.advance(1)
    assert len(rig.server.created) == 2
    rig.world.advance(400)
    rig.record()
    rig.world.advance(1)
    assert rig.server.series == [2]


def test_an_event_that_the_server_forgot_is_written_anew(rig: Rig) -> None:
    rig.record()
    rig.world.advance(400)
    rig.server.forgotten = True
    rig.record()
    rig.world.advance(1)
    assert [method for method, _, _ in rig.server.sent] == ["POST", "PATCH", "POST"]
    assert rig.server.created[1]["series"]["count"] == 2
    assert rig.dropped == 0


@pytest.mark.parametrize(
    "failure", [ForbiddenError("namespace is being terminated"), UnreachableError("no"), OSError("reset")]
)
def test_what_fails_is_lost_and_not_tried_again(rig: Rig, failure: Exception) -> None:
    rig.server.failure = failure
    rig.record()
    rig.record()
    rig.world.advance(3600)
    assert len(rig.server.sent) == 1
    assert rig.dropped == 2
    rig.server.failure = None
    rig.record(reason="MigrationStarted")
    rig.world.advance(1)
    assert len(rig.server.created) == 2


def test_a_server_that_hangs_is_not_waited_for_long(rig: Rig) -> None:
    rig.server.hanging = True
    rig.record()
    rig.world.advance(1)
    rig.server.hanging = False
    rig.record(name="other")
    rig.world.advance(2 * REQUEST_SECONDS)
    assert [event["regarding"]["name"] for event in rig.server.created] == ["ssg", "other"]
    assert rig.dropped == 1


def test_what_is_in_hand_when_the_work_ends_is_counted_as_lost(rig: Rig) -> None:
    rig.server.hanging = True
    rig.record()
    rig.world.advance(1)
    rig.task.cancel()
    rig.world.advance(1)
    assert rig.task.cancelled()
    assert (len(rig.server.sent), rig.dropped) == (1, 1)


def test_the_queue_is_bounded(rig: Rig) -> None:
    for number in range(QUEUE_LIMIT + 50):
        rig.record(name=f"ssg-{number}")
    assert rig.dropped == 50
    rig.record(name="ssg-0")  # one that waits already is counted up all the same
    assert rig.dropped == 50
    assert rig.server.sent == []


def test_what_is_remembered_is_bounded(rig: Rig) -> None:
    for number in range(3 * REMEMBERED):
        rig.record(name=f"ssg-{number}")
        rig.world.advance(1.0)
    assert len(rig.server.sent) == 3 * REMEMBERED
    assert len(rig.recorder._stories) == len(rig.recorder._buckets) == REMEMBERED


def test_control_characters_and_length(rig: Rig) -> None:
    rig.record(note="\x1b[31mred\nforged \u202e line " + "ü" * 2000, reason="Roll out\x00!" + "x" * 200)
    rig.world.advance(1)
    event = rig.server.created[0]
    assert event["note"].isprintable()
    assert event["note"].startswith("[31mred forged  line ü")
    assert len(event["note"].encode()) <= 1024
    assert re.fullmatch("Rolloutx+", event["reason"])
    assert len(event["reason"]) == 128


def test_an_object_without_a_namespace_has_its_events_in_default(rig: Rig) -> None:
    rig.recorder.record(
        Reference("v1", "Namespace", "", "team-a", "u"), "Normal", "CABundleUpdated", "note", "Rotate"
    )
    rig.world.advance(1)
    _, path, event = rig.server.sent[0]
    assert path == "/apis/events.k8s.io/v1/namespaces/default/events"
    assert "namespace" not in event["regarding"]


@given(name=st.text(max_size=300), note=st.text(max_size=3000), word=st.text(max_size=200))
def test_whatever_it_is_told_is_an_event_that_the_server_takes(name: str, note: str, word: str) -> None:
    rig = Rig()
    rig.recorder.record(Reference("v1", "Pod", "team-a", name, "u"), "Normal", word, note, word)
    rig.world.advance(1)
    rig.world.close()
    event = rig.server.created[0]
    label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    assert re.fullmatch(rf"{label}(\.{label})*", event["metadata"]["name"])
    assert len(event["metadata"]["name"]) <= 253
    assert event["note"] == "" or event["note"].isprintable()
    assert len(event["note"].encode()) <= 1024
    assert re.fullmatch("[A-Za-z0-9]{1,128}", event["reason"])
    assert re.fullmatch("[A-Za-z0-9]{1,128}", event["action"])


def test_a_bucket_fills_up_again_no_higher_than_its_burst() -> None:
    bucket = Bucket(2, 10, now=0)
    assert [bucket.take(0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(9), bucket.take(10), bucket.take(11)] == [False, True, False]
    assert [bucket.take(1000) for _ in range(3)] == [True, True, False]
