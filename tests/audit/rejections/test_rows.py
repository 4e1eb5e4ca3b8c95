"""The lines of the audit: what came of each rejection, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import NOW
from webhook.audit.rejections.rows import audit_rows
from webhook.policy.record import (
    Completion,
    Failure,
    FailureClass,
    Phase,
    Record,
    RecordStatus,
    Rejection,
    Rejections,
)


def record(entry: Rejection, **status: Any) -> Record:
    rejections = Rejections(count=1, newest=(entry,))
    return Record(namespace="team-a", name="ssg", status=RecordStatus(rejections=rejections, **status))


def test_rows_tell_what_came_of_it() -> None:
    digest = "a" * 64
    entry = Rejection(
        hash=digest[:16],
        reason="MigrationPending",
        user="helm",
        from_image="registry:5000/x/gateway:1",
        to_image="gateway:2",
        first=NOW,
        last=NOW,
        count=3,
    )
    failure = Failure(classification=FailureClass.LOCK_HELD)
    done = Completion(hash=digest, time=NOW + timedelta(seconds=90))
    passing: dict[str, dict[str, Any]] = {
        "migrated 90 s later (Job), passes now": {"completed_hashes": (done,)},
        "migrated before (Job), passes now": {
            "completed_hashes": (replace(done, time=NOW - timedelta(seconds=90)),)
        },
        "not migrated, passes now": {},
    }
    for outcome, status in passing.items():
        (row,) = audit_rows([record(replace(entry, passes=True), **status)])
        assert row.outcome == outcome
    expected: dict[str, dict[str, Any]] = {
        "blocked: not migrated": {"spec_hash": "b" * 64, "phase": Phase.RUNNING},
        "blocked: Running": {"spec_hash": digest, "phase": Phase.RUNNING},
        "blocked: Failed (LockHeld)": {"spec_hash": digest, "phase": Phase.FAILED, "failure": failure},
    }
    for outcome, status in expected.items():
        (row,) = audit_rows([record(entry, **status)])
        assert row.outcome == outcome
        assert (row.deployment, row.change, row.times) == ("team-a/ssg", "gateway:1 → gateway:2", 3)


@pytest.mark.parametrize("reason", ["RollbackRefused", "GatewayContainerLost"])
def test_a_complete_hash_is_no_way_past_what_no_migration_mends(reason: str) -> None:
    digest = "a" * 64
    entry = Rejection(hash=digest[:16], reason=reason, first=NOW, last=NOW)
    done = Completion(hash=digest, time=NOW - timedelta(days=1))
    (row,) = audit_rows([record(entry, completed_hashes=(done,), spec_hash=digest, phase=Phase.COMPLETE)])
    assert row.outcome == f"blocked: {reason}"


def test_rows_are_oldest_first_and_bear_a_missing_time() -> None:
    later = Rejection(first=NOW + timedelta(seconds=1), user="later")
    rows = audit_rows([record(later), record(Rejection(first=NOW, user="sooner")), record(Rejection(user="none"))])
    assert [row.user for row in rows] == ["none", "sooner", "later"]
    assert rows[0].change == "new → none"
