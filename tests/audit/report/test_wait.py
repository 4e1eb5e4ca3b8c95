"""What the rollouts of a Gateway wait for, and what to do next."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import builders as make
from tests.support.builders import IMAGE, NEXT_IMAGE, NOW
from webhook.audit.report.wait import State, Wait, wait_of
from webhook.policy.governance import Claims, govern
from webhook.policy.record import Record

HASH, OTHER = "a" * 64, "b" * 64
JOB = {"name": "ssg-db-migration-aaaaaaaa", "uid": "j-1", "hash": HASH, "attempts": 2}
DONE = [{"hash": HASH, "image": IMAGE, "evidence": "Job", "time": NOW}]
REFUSED = {
    "hash": OTHER[:16],
    "reason": "MigrationPending",
    "user": "helm",
    "fromImage": IMAGE,
    "toImage": NEXT_IMAGE,
    "count": 3,
    "first": NOW,
    "last": NOW,
}


def stored(
    phase: str | None, *refused: dict[str, Any], spec: dict[str, Any] | None = None, **status: Any
) -> Record:
    rejections = {"count": len(refused), "newest": list(refused)} if refused else {}
    given = {"phase": phase, "specHash": HASH, "image": IMAGE, "rejections": rejections, **status}
    return Record.from_manifest(make.record(spec=spec or {}, status=given))


def waits(record: Record | None, *, database: bool = True) -> Wait:
    governance = govern(Claims(record=record)) if record else None
    return wait_of("team-a", "ssg", record, governance, database=database)


def told(phase: str, message: str) -> list[dict[str, Any]]:
    common = {"status": "True", "reason": phase, "message": message, "lastTransitionTime": NOW}
    return [{"type": kind, **common} for kind in ("Progressing", "Degraded")]


@pytest.mark.parametrize(
    ("record", "state", "line", "step"),
    [
        (None, State.UNGOVERNED, "nothing asks", ""),
        (stored("Complete", spec={"enabled": False}), State.OFF, "turns the guard off", ""),
        (stored("Disabled"), State.OFF, "nothing to migrate", ""),
        (stored("Complete", completedHashes=DONE), State.READY, "rollouts pass", ""),
        (stored(None), State.WAITING, "has not looked at it yet", "controller runs"),
        (stored("Pending"), State.WAITING, "about to begin", "wait for it"),
        (
            stored(
                "Waiting",
                conditions=told("Waiting", "migration x is Waiting: team-b/ssg migrates the same database"),
            ),
            State.WAITING,
            "team-b/ssg migrates the same database",
            "wait for it",
        ),
        (
            stored("Running", job=JOB, conditions=told("Running", "migration x is Running: no pod: quota")),
            State.RUNNING,
            "its migration runs: Job ssg-db-migration-aaaaaaaa, attempt 2: no pod: quota",
            "wait for it",
        ),
        (stored("Superseded", job=JOB), State.WAITING, "to its end first: Job ssg-db-migration-aaaaaaaa", "wait"),
        (
            stored("Failed", job=JOB, failure={"class": "LockHeld", "message": "held by pod-1"}),
            State.FAILED,
            "LockHeld: held by pod-1",
            "schemagate retry ssg -n team-a",
        ),
        (stored("Failed"), State.FAILED, "the migration failed", "schemagate retry ssg -n team-a"),
        (
            stored("Complete", REFUSED, completedHashes=DONE),
            State.BLOCKED,
            "turned away 3 times (MigrationPending); no migration runs for it",
            f"schemagate migrate ssg -n team-a --image {NEXT_IMAGE} --wait",
        ),
        (
            stored("Complete", {**REFUSED, "reason": "InvalidInputs", "count": 1}, completedHashes=DONE),
            State.BLOCKED,
            "turned away once (InvalidInputs)",
            "schemagate status ssg -n team-a",
        ),
        (
            stored("Complete", {**REFUSED, "hash": HASH[:16], "passes": True}, completedHashes=DONE),
            State.AGAIN,
            "migrated; the rollout passes now, and was not sent again",
            "apply it once more",
        ),
        (stored("Complete", {**REFUSED, "passes": True}), State.AGAIN, "not sent again", "apply it once more"),
        *(
            (
                stored("Complete", {**REFUSED, "hash": HASH[:16], "reason": reason}, completedHashes=DONE),
                State.BLOCKED,
                f"turned away 3 times ({reason}); no migration lets it pass",
                "schemagate status ssg -n team-a",
            )
            for reason in ("RollbackRefused", "GatewayContainerLost")
        ),
        (stored("Running", REFUSED, job=JOB), State.RUNNING, "its migration runs", "wait for it"),
    ],
)
def test_what_is_waited_for(record: Record | None, state: State, line: str, step: str) -> None:
    wait = waits(record)
    assert (wait.state, line in wait.line, step in wait.next_step) == (state, True, True), wait
    assert state.waits == (bool(wait.next_step))


@pytest.mark.parametrize(
    "entry",
    [
        {**REFUSED, "ended": "Abandoned"},
        {**REFUSED, "ended": "Migrated"},
        {**REFUSED, "decision": "warned"},
        {**REFUSED, "decision": "noted"},
        {**REFUSED, "decision": "bypassed"},
    ],
)
def test_what_came_to_an_end_or_was_let_through_keeps_nobody_waiting(entry: dict[str, Any]) -> None:
    assert waits(stored("Complete", entry, completedHashes=DONE)).state is State.READY


def test_what_passes_unmigrated_is_not_called_migrated() -> None:
    assert waits(stored("Complete", {**REFUSED, "passes": True})).line == (
        "the rollout passes now, and was not sent again"
    )


def test_without_a_database_there_is_nothing_to_guard() -> None:
    assert waits(None, database=False).state is State.OFF
    assert waits(stored("Failed"), database=False).state is State.FAILED


def test_the_newest_rollout_that_was_turned_away_counts() -> None:
    older = {**REFUSED, "toImage": "docker.io/caapim/gateway:11.4.0"}
    assert waits(stored("Complete", REFUSED, older)).image == NEXT_IMAGE


def test_an_image_of_somebody_reaches_the_command_as_one_word() -> None:
    hostile = {**REFUSED, "toImage": "x; rm -rf /\x1b[31m"}
    step = waits(stored("Complete", hostile)).next_step
    assert step == "schemagate migrate ssg -n team-a --image 'x; rm -rf /[31m' --wait"


def test_a_line_holds_no_credentials() -> None:
    failed = stored(
        "Failed", failure={"class": "Unknown", "message": "jdbc:mysql://u:hunter2@db/ssg?password=hunter2"}
    )
    assert "hunter2" not in waits(failed).line


def test_times_are_those_of_the_wait() -> None:
    assert waits(stored("Running", startTime=NOW)).since == NOW
    assert waits(stored("Failed", conditions=told("Failed", "x"))).since == NOW
    assert waits(stored("Complete", REFUSED)).since == NOW
    assert waits(stored("Pending")).since is None


def test_states_are_told_apart_by_urgency() -> None:
    assert [state for state in State if state.waits] == list(State)[:5]
    assert [state for state in State if state.needs_somebody] == list(State)[:3]
