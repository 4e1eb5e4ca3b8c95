"""What is told of a change of status, and that nothing is told without one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NEXT_IMAGE, NOW
from tests.support.observations import A, B, done, observed, reference, status_for
from webhook.policy.inputs import short
from webhook.policy.migration.lifecycle import plan
from webhook.policy.migration.notices import Notice, NoticeKind, notices
from webhook.policy.record import (
    Completion,
    Condition,
    Evidence,
    Failure,
    FailureClass,
    JobReference,
    Phase,
    RecordStatus,
)

MADE = reference(B, uid="j-1")
SECOND = reference(B, uid="j-2", attempts=2)
RUNNING = status_for(B, Phase.RUNNING, job=MADE)
LOCK = Failure(classification=FailureClass.LOCK_HELD, message="the schema lock is held by ssg-7c5d8")
FORGED = Failure(classification=FailureClass.EVIDENCE_TAMPERED, message="image of the pod is not that of the Job")
FAILED = replace(RUNNING, phase=Phase.FAILED, failure=LOCK)
RETRY = "schemagate retry ssg -n team-a"


def told(before: RecordStatus, after: RecordStatus, **where: str) -> tuple[Notice, ...]:
    return notices(before, after, **{"namespace": "team-a", "name": "ssg", **where})


def completed(evidence: Evidence = Evidence.JOB, after: timedelta = timedelta(seconds=42)) -> RecordStatus:
    found = replace(done(B, evidence), time=NOW + after)
    earlier = RUNNING.completed_hashes
    return replace(
        RUNNING, phase=Phase.COMPLETE, complete=True, start_time=NOW, completed_hashes=(found, *earlier)
    )


def disabled(**tweak: Any) -> RecordStatus:
    return replace(RUNNING, phase=Phase.DISABLED, **tweak)


def waiting(message: str = "", reason: str = "MigrationWaiting") -> RecordStatus:
    said = Condition(type="Progressing", status="True", reason=reason, message=message)
    return status_for(B, Phase.WAITING, job=reference(B), conditions=(said,))


def doubted(jobs: str) -> RecordStatus:
    said = Condition(type="Degraded", status="True", reason="ForeignJob", message=f"Job {jobs} is not ours")
    return replace(RUNNING, conditions=(said,))


NEW = RecordStatus()
ADOPTED = status_for(A, Phase.COMPLETE, complete=True)
PENDING = status_for(B, Phase.PENDING, job=reference(B))
FOREIGN = status_for(B, Phase.RUNNING)
AVOIDING = replace(reference(B, attempts=2), avoided=MADE.name)
N, W = NoticeKind.NORMAL, NoticeKind.WARNING
Told = tuple[NoticeKind, str, str]

CHANGES: dict[str, tuple[RecordStatus, RecordStatus, list[Told]]] = {
    "a baseline is adopted": (NEW, ADOPTED, [(N, "Adopted", short(A.spec_hash))]),
    "an intent": (ADOPTED, PENDING, []),
    "the Job runs": (PENDING, RUNNING, [(N, "MigrationStarted", f"Job {MADE.name} migrates for {NEXT_IMAGE}")]),
    "the Job of another runner runs": (ADOPTED, FOREIGN, [(N, "MigrationStarted", "the Job of the operator")]),
    "it goes on running": (FOREIGN, replace(FOREIGN, observed_generation=9), []),
    "it succeeds": (RUNNING, completed(), [(N, "MigrationComplete", " in 42 s; evidence: Job")]),
    "it succeeds late": (
        RUNNING,
        completed(after=timedelta(minutes=3, seconds=2)),
        [(N, "MigrationComplete", " in 3 min 2 s; evidence: Job")],
    ),
    "it succeeds before it was begun": (
        RUNNING,
        completed(after=timedelta(seconds=-1)),
        [(N, "MigrationComplete", f"({short(B.spec_hash)}); evidence: Job")],
    ),
    "another's succeeds": (
        FOREIGN,
        completed(Evidence.EXTERNAL),
        [(N, "MigrationComplete", f"({short(B.spec_hash)}); evidence: External")],
    ),
    "a rollback to what is complete": (
        completed(),
        replace(completed(), spec_hash=A.spec_hash, image=A.image),
        [],
    ),
    "it fails": (RUNNING, FAILED, [(W, "MigrationFailed", f"{LOCK.message}; mend that, then run: {RETRY}")]),
    "it stays failed": (FAILED, replace(FAILED, observed_generation=9), []),
    "the log of a failure is read once more": (FAILED, replace(FAILED, failure=replace(LOCK, log_tail="x")), []),
    "a failure is told better": (
        replace(FAILED, failure=Failure()),
        FAILED,
        [(W, "MigrationFailed", "LockHeld: ")],
    ),
    "it is tried again": (
        FAILED,
        status_for(B, Phase.PENDING, job=reference(B, attempts=2)),
        [(N, "RetryAccepted", f"attempt 2 at {short(B.spec_hash)} as Job {SECOND.name}")],
    ),
    "and fails in the same way": (
        FAILED,
        replace(FAILED, job=SECOND),
        [(N, "RetryAccepted", "attempt 2"), (W, "MigrationFailed", RETRY)],
    ),
    "it cannot be told what to migrate": (
        ADOPTED,
        status_for(B, Phase.FAILED, failure=Failure(classification=FailureClass.INVALID_INPUTS, message="no map")),
        [(W, "MigrationFailed", "InvalidInputs: no map; mend that; it is tried again by itself")],
    ),
    "another's fails": (
        FOREIGN,
        replace(FOREIGN, phase=Phase.FAILED, failure=LOCK),
        [(W, "MigrationFailed", "run: kubectl delete job ssg-db-migration -n team-a")],
    ),
    "evidence is forged": (
        RUNNING,
        replace(RUNNING, phase=Phase.FAILED, failure=FORGED),
        [(W, "EvidenceTampered", f"{FORGED.message}; find out who interfered (a mutating webhook may have")],
    ),
    "evidence of another's is forged": (
        FOREIGN,
        replace(FOREIGN, phase=Phase.FAILED, failure=FORGED),
        [(W, "EvidenceTampered", "then run: kubectl delete job ssg-db-migration -n team-a")],
    ),
    "evidence is forged, and the record disabled since": (
        RUNNING,
        disabled(failure=FORGED),
        [(N, "Disabled", "nothing to migrate"), (W, "EvidenceTampered", FORGED.message)],
    ),
    "forged evidence is kept": (replace(FAILED, failure=FORGED), disabled(failure=FORGED), [(N, "Disabled", "")]),
    "a failure is kept": (FAILED, disabled(failure=LOCK), [(N, "Disabled", "")]),
    "a Job says that it is ours": (RUNNING, doubted("a"), [(W, "ForeignJob", "Job a is not ours")]),
    "another one does": (doubted("a"), doubted("a, b"), [(W, "ForeignJob", "Job a, b is not ours")]),
    "it still says so": (doubted("a"), replace(doubted("a"), observed_generation=9), []),
    "it is gone": (doubted("a"), RUNNING, []),
    "its Job is refused": (
        PENDING,
        replace(PENDING, conditions=(replace(doubted("a").conditions[0], reason="JobNotCreated"),)),
        [(W, "JobNotCreated", "Job a is not ours")],
    ),
    "a Job that ran beside what was complete is wanted again": (
        status_for(A, Phase.COMPLETE, complete=True, job=MADE),
        RUNNING,
        [],
    ),
    "it waits, nobody says for whom": (
        ADOPTED,
        waiting("x", "MigrationPending"),
        [(N, "MigrationWaiting", "waits for another one of mysql-primary:3306/ssg")],
    ),
    "it waits": (
        ADOPTED,
        waiting("migration b of X is Waiting: team-b/edge migrates the same database"),
        [(N, "MigrationWaiting", "team-b/edge migrates the same database")],
    ),
    "it waits on": (waiting("one"), waiting("two"), []),
    "other inputs are wanted": (
        RUNNING,
        replace(RUNNING, phase=Phase.SUPERSEDED),
        [(N, "MigrationSuperseded", f"Job {MADE.name} runs to its end first")],
    ),
    "the same are wanted again": (replace(RUNNING, phase=Phase.SUPERSEDED), RUNNING, []),
    "its name is taken": (
        PENDING,
        replace(PENDING, job=AVOIDING),
        [(W, "JobNameTaken", f"{MADE.name} is taken by a Job that is not ours; {AVOIDING.name} migrates instead")],
    ),
    "its name was taken before": (
        replace(PENDING, job=AVOIDING),
        replace(RUNNING, job=replace(AVOIDING, uid="j-2")),
        [(N, "MigrationStarted", AVOIDING.name)],
    ),
    "disabled": (ADOPTED, replace(ADOPTED, phase=Phase.DISABLED), [(N, "Disabled", "")]),
    "disabled from the start": (NEW, RecordStatus(phase=Phase.DISABLED), []),
}


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_changes(before: RecordStatus, after: RecordStatus, expected: list[Told]) -> None:
    found = told(before, after)
    assert [(notice.kind, notice.reason) for notice in found] == [(kind, reason) for kind, reason, _ in expected]
    for notice, (_, _, text) in zip(found, expected, strict=True):
        assert text in notice.note


ON_DEPLOYMENT = {
    "MigrationStarted",
    "MigrationComplete",
    "MigrationFailed",
    "MigrationWaiting",
    "EvidenceTampered",
}


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_what_holds_up_or_lets_go_is_told_of_the_deployment(
    before: RecordStatus, after: RecordStatus, expected: list[Told]
) -> None:
    assert all(notice.on_deployment is (notice.reason in ON_DEPLOYMENT) for notice in told(before, after))


def test_what_a_plan_gives_is_told_once() -> None:
    before = observed(ADOPTED, busy="team-b/edge")
    status = plan(before).status
    (notice,) = told(before.record.status, status)
    assert notice.reason == "MigrationWaiting"
    assert "team-b/edge migrates the same database" in notice.note
    again = plan(observed(status, busy="team-b/edge")).status
    assert told(status, again) == ()


def test_credentials_are_not_told() -> None:
    failure = Failure(message="cannot reach jdbc:mysql://gateway:7layer@h/d?password=7layer")
    image = "https://me:7layer@registry/gateway:11.3.0"
    everything = told(RUNNING, replace(FAILED, failure=failure)) + told(PENDING, replace(RUNNING, image=image))
    assert len(everything) == 2
    assert not any("7layer" in notice.note for notice in everything)


def test_a_name_that_looks_like_a_credential_stays_in_the_command() -> None:
    (notice,) = told(RUNNING, FAILED, name="my-token-gw")
    assert notice.note.endswith("run: schemagate retry my-token-gw -n team-a")


texts = st.text(max_size=8) | st.sampled_from(["a b " * 300, "a\nb\x1b[31m", "\u202egnp", "user=me&password=y"])
jobs = st.builds(
    JobReference,
    name=st.sampled_from([MADE.name, SECOND.name]),
    uid=st.sampled_from(["", "j-1", "j-2"]),
    hash=st.sampled_from([A.spec_hash, B.spec_hash]),
    attempts=st.integers(1, 3),
    avoided=st.sampled_from(["", MADE.name]),
    database=texts,
)
completions = st.builds(
    Completion,
    hash=st.sampled_from([A.spec_hash, B.spec_hash, "c" * 64]),
    image=texts,
    time=st.sampled_from([None, NOW, NOW + timedelta(days=400)]),
    evidence=st.sampled_from(Evidence),
)
statuses = st.builds(
    RecordStatus,
    phase=st.none() | st.sampled_from(Phase),
    spec_hash=st.sampled_from([A.spec_hash, B.spec_hash]),
    image=texts,
    job=st.none() | jobs,
    start_time=st.none() | st.just(NOW),
    completed_hashes=st.lists(completions, max_size=3).map(tuple),
    failure=st.none() | st.builds(Failure, classification=st.sampled_from(FailureClass), message=texts),
)


@given(statuses)
def test_nothing_changed_nothing_told(status: RecordStatus) -> None:
    assert told(status, status) == ()
    assert told(status, replace(status)) == ()


@given(statuses, statuses)
def test_every_note_is_one_line_and_no_reason_comes_twice(before: RecordStatus, after: RecordStatus) -> None:
    name = "n" * 253
    found = told(before, after, namespace="n" * 63, name=name)
    reasons = [notice.reason for notice in found]
    assert len(reasons) == len(set(reasons))
    for notice in found:
        assert notice.note.isprintable()
        assert 0 < len(notice.note) <= 1024
        if notice.kind is NoticeKind.WARNING and "run: " in notice.note:
            assert notice.note.endswith(f" -n {'n' * 63}"), "a command that is cut is none"
