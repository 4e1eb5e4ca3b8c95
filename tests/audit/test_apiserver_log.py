"""Rejections from an audit log of kube-apiserver, shaped as ``tests/live`` sees them on a real one."""

import gzip
import io
import json
import random
from datetime import datetime
from typing import Any

import pytest

from tests.policy.migration.test_failures import SECRET, SPELLINGS
from tests.support.builders import merged
from webhook.audit.apiserver_log import LINE_LIMIT, LogReader
from webhook.audit.history import Filter
from webhook.policy.record import Mode, RejectionDecision

VALIDATE, MUTATE = "deployments.validate.schemagate.io", "deployments.mutate.schemagate.io"
HASH = "0123456789abcdef"
DENIED = {
    f"{VALIDATE}/decision": "deny",
    f"{VALIDATE}/reason": "MigrationPending",
    f"{VALIDATE}/mode": "Reject",
    f"{VALIDATE}/migration-hash": HASH,
    f"{MUTATE}/decision": "allow",
    "authorization.k8s.io/decision": "allow",
}


def event(notes: dict[str, str] | None = None, **tweak: Any) -> dict[str, Any]:
    base = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"id-{random.random()}",
        "stage": "ResponseComplete",
        "requestURI": "/apis/apps/v1/namespaces/team-a/deployments/ssg?fieldManager=kubectl",
        "verb": "patch",
        "user": {"username": "alice", "groups": ["devs", "system:authenticated"]},
        "objectRef": {"resource": "deployments", "namespace": "team-a", "name": "ssg", "apiGroup": "apps"},
        "responseStatus": {"code": 403},
        "requestReceivedTimestamp": "2026-11-22T12:00:00.123456Z",
        "stageTimestamp": "2026-11-22T12:00:00.200000Z",
        "annotations": DENIED if notes is None else notes,
    }
    return merged(base, tweak)


def read(*lines: Any, reader: LogReader | None = None) -> LogReader:
    reader = reader or LogReader()
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    reader.read(io.BytesIO(b"".join(text + b"\n" for text in texts)))
    return reader


def test_a_denial_is_one_row() -> None:
    (row,) = read(event()).refusals()
    at = datetime.fromisoformat("2026-11-22T12:00:00.123456Z")
    assert (row.namespace, row.name, row.user, row.groups) == ("team-a", "ssg", "alice", ("devs",))
    assert (row.decision, row.reason, row.mode, row.hash) == (
        RejectionDecision.DENIED,
        "MigrationPending",
        Mode.REJECT,
        HASH,
    )
    assert (row.first, row.last, row.times, row.passes, row.outcome) == (at, at, 1, None, "")


@pytest.mark.parametrize(
    ("notes", "decision"),
    [
        ({f"{VALIDATE}/decision": "would-deny", f"{VALIDATE}/mode": "Warn"}, RejectionDecision.WARNED),
        ({f"{VALIDATE}/decision": "would-deny", f"{VALIDATE}/mode": "Audit"}, RejectionDecision.NOTED),
        ({f"{VALIDATE}/decision": "warn", f"{VALIDATE}/reason": "Bypassed"}, RejectionDecision.BYPASSED),
        ({f"{VALIDATE}/decision": "allow", f"{MUTATE}/decision": "hold"}, RejectionDecision.HELD),
    ],
)
def test_each_way_to_be_turned_away_has_its_word(notes: dict[str, str], decision: RejectionDecision) -> None:
    (row,) = read(event(notes, responseStatus={"code": 200})).refusals()
    assert row.decision is decision
    # What something else refused after us, such as a conflict, did not happen.
    assert read(event(notes, responseStatus={"code": 409})).refusals() == []


@pytest.mark.parametrize(
    "notes",
    [
        {f"{VALIDATE}/decision": "allow", f"{VALIDATE}/reason": "MigrationComplete"},
        {f"{VALIDATE}/decision": "warn", f"{VALIDATE}/reason": "RolledBack"},
        {"deployments.validate.example.com/decision": "deny"},
        {"authorization.k8s.io/decision": "forbid"},
        {},
    ],
)
def test_what_was_let_through_is_no_row(notes: dict[str, str]) -> None:
    assert read(event(notes)).refusals() == []


@pytest.mark.parametrize("query", ["?dryRun=All", "?fieldManager=x&dryRun=All", "?%zz&dry%52un=A%6cl"])
def test_a_dry_run_is_no_row(query: str) -> None:
    assert read(event(requestURI=f"/apis/apps/v1/namespaces/team-a/deployments/ssg{query}")).refusals() == []


@pytest.mark.parametrize("query", ["dryRun=All;", "dryRun=All%zz", "dryRun=", "x=dryRun", ""])
def test_what_the_api_server_takes_for_no_dry_run_is_a_row(query: str) -> None:
    # It leaves out parameters that it cannot decode, and knows the one value.
    uri = f"/apis/apps/v1/namespaces/team-a/deployments/ssg?{query}"
    assert len(read(event(requestURI=uri)).refusals()) == 1


@pytest.mark.parametrize("uri", ["//[/apis/schemagate.io", "//[", "//[::1/?dryRun", "?", "", "%"])
def test_no_address_that_a_client_makes_up_ends_the_reading(uri: str) -> None:
    reader = read(event({"authorization.k8s.io/reason": "schemagate.io"}, requestURI=uri), event(requestURI=uri))
    assert len(reader.refusals()) == 1
    assert reader.broken == 0


@pytest.mark.parametrize(
    ("other", "bypassed"),
    [
        ({"annotations": {"example.com/says": "schemagate.io"}}, 1),
        ({"annotations": {f"{VALIDATE}/decision": "allow"}}, 1),
        ({"verb": "update"}, 2),
        ({"requestURI": "/apis/apps/v1/namespaces/team-a/deployments/ssg"}, 2),
        ({"requestReceivedTimestamp": "2026-11-22T11:59:59Z"}, 2),
        ({"user": {"username": "mallory"}}, 2),
        ({"impersonatedUser": {"username": "mallory"}}, 2),
        ({}, 1),
    ],
    ids=["none of ours", "verdict", "verb", "address", "time", "user", "impersonated", "the same"],
)
def test_nobody_hides_a_request_behind_the_id_of_another(other: dict[str, Any], bypassed: int) -> None:
    # A client may name the ID itself (header Audit-ID), and one ID as often as it likes.
    notes = {f"{VALIDATE}/decision": "warn", f"{VALIDATE}/reason": "Bypassed"}
    second = event(notes, auditID="same", responseStatus={"code": 200})
    rows = read({**second, **other}, second).refusals()
    assert {row.decision for row in rows} == {RejectionDecision.BYPASSED}
    assert sum(row.times for row in rows) == bypassed


def test_a_long_id_is_not_kept() -> None:
    reader = read(event(auditID="x" * 100_000))
    assert sum(len(known) for known in reader._seen) < 100
    assert len(read(event({"a": "b"}, auditID="x"))._seen) == 0


def test_a_request_counts_once_whatever_stages_and_copies_there_are() -> None:
    one = event(auditID="same")
    stages = [{**one, "stage": stage} for stage in ("RequestReceived", "ResponseStarted")]
    (row,) = read(*stages, one, one).refusals()
    assert row.times == 1


def test_the_same_again_is_counted() -> None:
    (row,) = read(event(), event(requestReceivedTimestamp="2026-11-22T13:00:00Z")).refusals()
    assert (row.times, row.first and row.first.hour, row.last and row.last.hour) == (2, 12, 13)


def test_who_is_impersonated_is_who_asked() -> None:
    (row,) = read(event(impersonatedUser={"username": "bob", "groups": ["ops"]})).refusals()
    assert (row.user, row.groups) == ("bob", ("ops",))


def test_a_batch_of_a_webhook_backend_is_read_too() -> None:
    batch = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [event(), event()]}
    (row,) = read(batch).refusals()
    assert row.times == 2


def test_broken_lines_are_counted_and_nothing_else_suffers() -> None:
    whole = json.dumps(event()).encode()
    reader = read(
        b"no json",
        b"",
        whole[:200],
        whole[:-5],
        b'{"other": 1}',
        b'"schemagate.io"',
        b"\xff schemagate.io",
        event(),
    )
    assert len(reader.refusals()) == 1
    assert (reader.lines, reader.broken) == (8, 5)


@pytest.mark.parametrize(
    "tweak",
    [
        {"annotations": {f"{VALIDATE}/decision": 1}},
        {"requestReceivedTimestamp": "2026-11-22T12:00:00"},
        {"user": "alice"},
    ],
)
def test_an_event_of_another_shape_is_broken(tweak: dict[str, Any]) -> None:
    reader = read(event(**tweak))
    assert (reader.broken, reader.refusals()) == (1, [])


def test_a_line_longer_than_any_event_is_read_past() -> None:
    long = b'{"schemagate.io": "' + b"x" * (2 * LINE_LIMIT + 5) + b'"}'
    reader = read(long, event())
    assert (reader.lines, reader.broken, len(reader.refusals())) == (2, 1, 1)


def test_a_compressed_log_is_read_and_one_cut_off_is_an_error() -> None:
    packed = gzip.compress(json.dumps(event()).encode() + b"\n")
    reader = LogReader()
    reader.read(io.BufferedReader(io.BytesIO(packed)))
    assert len(reader.refusals()) == 1
    for bad in (packed[:-4], packed[:20] + b"garbage" * 9):
        with pytest.raises(OSError, match=r"."):
            LogReader().read(io.BufferedReader(io.BytesIO(bad)))


def test_more_rows_than_are_kept_are_counted() -> None:
    events = [event(user={"username": f"user-{number}"}) for number in range(5)]
    reader = read(*events, reader=LogReader(kept=3))
    assert (len(reader.refusals()), reader.omitted) == (3, 2)


def test_a_filter_looks_at_each_event_by_itself() -> None:
    late = event(requestReceivedTimestamp="2026-11-22T13:00:00Z")
    wanted = Filter(since=datetime.fromisoformat("2026-11-22T12:30:00Z"))
    (row,) = read(event(), late, reader=LogReader(wanted)).refusals()
    assert (row.times, row.first and row.first.hour) == (1, 13)


def test_requests_that_passed_because_we_did_not_answer_are_counted() -> None:
    key = "failed-open.validating.webhook.admission.k8s.io/round_0_index_0"
    reader = read(event({key: VALIDATE}), event({key: "other.example.com"}))
    assert (reader.failed_open, reader.ours) == (1, 0)
    assert read(event({f"{VALIDATE}/decision": "allow"})).ours == 1


def test_texts_of_a_hostile_client_are_short_and_printable() -> None:
    nasty = "\x1b[31m\u202e\n" + "a" * 10_000
    (row,) = read(event(user={"username": nasty, "groups": [nasty] * 9}, objectRef={"name": nasty})).refusals()
    for text in (row.user, *row.groups, row.name):
        assert text.isprintable()
        assert len(text) <= 253


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_credential_in_a_name_comes_out(spelling: str) -> None:
    name = spelling.format(SECRET)
    user = {"username": name, "groups": [name]}
    (row,) = read(event(user=user, objectRef={"name": name, "namespace": name})).refusals()
    assert SECRET not in repr(row)
