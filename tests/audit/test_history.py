"""Rejections as rows, and which of them are asked for."""

from datetime import timedelta

import pytest

from tests.support.builders import IMAGE, NEXT_IMAGE, NOW
from webhook.audit.history import Filter, Refusal, refusals_of
from webhook.policy.record import (
    Mode,
    Record,
    RecordStatus,
    Rejection,
    RejectionDecision,
    RejectionEnd,
    Rejections,
)

HOUR = timedelta(hours=1)


def record(*entries: Rejection, name: str = "ssg") -> Record:
    return Record(namespace="team-a", name=name, status=RecordStatus(rejections=Rejections(newest=entries)))


ENTRY = Rejection(
    hash="0123456789abcdef",
    reason="MigrationPending",
    user="alice",
    groups=("devs",),
    from_image=IMAGE,
    to_image=NEXT_IMAGE,
    mode=Mode.REJECT,
    decision=RejectionDecision.DENIED,
    bypass_reason="why",
    count=3,
    first=NOW - HOUR,
    last=NOW,
)


def test_a_row_holds_all_that_the_record_keeps() -> None:
    (row,) = refusals_of([record(ENTRY)])
    assert row == Refusal(
        namespace="team-a",
        name="ssg",
        decision=RejectionDecision.DENIED,
        reason="MigrationPending",
        mode=Mode.REJECT,
        hash="0123456789abcdef",
        user="alice",
        groups=("devs",),
        from_image=IMAGE,
        to_image=NEXT_IMAGE,
        bypass_reason="why",
        times=3,
        first=NOW - HOUR,
        last=NOW,
        passes=False,
        outcome=row.outcome,
    )
    assert "not migrated" in row.outcome
    assert row.open


def test_rows_come_oldest_first_and_what_an_older_version_wrote_comes_before() -> None:
    later = Rejection(user="later", first=NOW)
    rows = refusals_of([record(later, ENTRY), record(Rejection(user="none"), name="two")])
    assert [row.user for row in rows] == ["none", "alice", "later"]


ROW = refusals_of([record(ENTRY)])[0]


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Filter(), True),
        (Filter(namespace="team-a"), True),
        (Filter(namespace="team-b"), False),
        (Filter(user="alice"), True),
        (Filter(user="al*"), True),
        (Filter(user="al"), False),
        (Filter(user="ALICE"), False),
        (Filter(reasons=frozenset({"MigrationPending"})), True),
        (Filter(reasons=frozenset({"MigrationFailed"})), False),
        (Filter(modes=frozenset({Mode.REJECT, Mode.HOLD})), True),
        (Filter(modes=frozenset({Mode.HOLD})), False),
        (Filter(since=NOW), True),
        (Filter(since=NOW + HOUR), False),
        (Filter(until=NOW - HOUR), True),
        (Filter(until=NOW - 2 * HOUR), False),
        (Filter(since=NOW - HOUR / 2, until=NOW - HOUR / 4), True),
        (Filter(open_only=True), True),
    ],
)
def test_a_filter_takes_what_it_asks_for(wanted: Filter, taken: bool) -> None:
    assert wanted.takes(ROW) is taken


def test_what_ended_is_not_open_and_what_has_no_time_is_in_no_span() -> None:
    (ended,) = refusals_of([record(Rejection(ended=RejectionEnd.MIGRATED, passes=True))])
    assert not Filter(open_only=True).takes(ended)
    assert not Filter(since=NOW).takes(ended)
    assert not Filter(until=NOW).takes(ended)
