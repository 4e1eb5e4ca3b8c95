"""The record: read with errors that help, written as it was read."""

from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import record
from webhook.errors import InvalidObjectError
from webhook.policy.names import RETRY
from webhook.policy.record import (
    KEPT,
    Completion,
    Condition,
    Evidence,
    Failure,
    FailureClass,
    FirstInstall,
    JobReference,
    LogLevel,
    Mode,
    Phase,
    Record,
    RecordSpec,
    RecordStatus,
    Rejection,
    RejectionDecision,
    RejectionEnd,
    Rejections,
    Rollback,
    Runner,
    read_spec,
)
from webhook.policy.record.spec import JDBC_URL_PATTERN

HASH = "0123456789abcdef" * 4


def test_an_empty_record_has_the_defaults() -> None:
    read = Record.from_manifest(record())
    assert (read.namespace, read.name, read.uid, read.generation) == ("team-a", "ssg", "m-1", 1)
    assert (read.spec, read.status, read.managed, read.retry) == (RecordSpec(), RecordStatus(), False, "")
    assert read.spec.enabled
    assert (read.spec.active_deadline_seconds, read.spec.pod_attempts) == (300, 2)


def test_a_record_made_by_us_that_is_to_be_tried_again() -> None:
    read = Record.from_manifest(record(managed=True, metadata={"annotations": {RETRY: HASH}, "generation": 7}))
    assert (read.managed, read.retry, read.generation) == (True, HASH, 7)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Paused"}, RecordStatus()),
        ({"phase": "Running"}, RecordStatus(phase=Phase.RUNNING)),
        ({"failure": {"class": "DiskFull"}}, RecordStatus(failure=Failure())),
        (
            {"failure": {"class": "LockHeld"}},
            RecordStatus(failure=Failure(classification=FailureClass.LOCK_HELD)),
        ),
    ],
)
def test_words_of_a_newer_version_hide_no_record(status: dict[str, Any], expected: RecordStatus) -> None:
    assert Record.from_manifest(record() | {"status": status}).status == expected


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"phase": 5}, "status.phase"),
        ({"failure": {"class": 5}}, "status.failure.class"),
        # Without knowing what it is, nothing may be let pass by it.
        ({"completedHashes": [{"hash": "a" * 64, "evidence": "Hearsay"}]}, "status.completedHashes.0.evidence"),
    ],
)
def test_a_status_that_says_nothing_is_refused(status: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidObjectError, match=told):
        Record.from_manifest(record() | {"status": status})


def test_nulls_count_as_absent() -> None:
    read = Record.from_manifest(record(spec={"mode": None}) | {"status": None})
    assert (read.spec, read.status) == (RecordSpec(), RecordStatus())
    assert (
        Record.from_manifest({"metadata": {"name": "ssg", "labels": None}, "spec": {"jdbcUrl": None}}).name
        == "ssg"
    )


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({"spec": {"mode": "reject"}}, "spec.mode: Input should be 'Reject', 'Hold', 'Warn' or 'Audit'"),
        (
            {"spec": {"liquibaseLogLevel": "debug"}},
            "spec.liquibaseLogLevel: Input should be 'off', 'fine', 'info', 'warning' or 'severe'",
        ),
        ({"spec": {"runner": "x"}}, "spec.runner: Input should be 'Schemagate' or 'External'"),
        ({"spec": {"firstInstall": "x"}}, "spec.firstInstall: Input should be 'Migrate' or 'Gateway'"),
        ({"spec": {"enabled": "perhaps"}}, "spec.enabled: Input should be a valid boolean"),
        (
            {"spec": {"activeDeadlineSeconds": 0}},
            "spec.activeDeadlineSeconds: Input should be greater than or equal",
        ),
        (
            {"spec": {"activeDeadlineSeconds": 86401}},
            "spec.activeDeadlineSeconds: Input should be less than or equal",
        ),
        (
            {"spec": {"activeDeadlineSeconds": "soon"}},
            "spec.activeDeadlineSeconds: Input should be a valid integer",
        ),
        ({"spec": {"podAttempts": 11}}, "spec.podAttempts: Input should be less than or equal to 10"),
        ({"spec": {"jdbcUrl": "x" * 4097}}, "spec.jdbcUrl: String should have at most 4096 characters"),
        ({"spec": {"jdbcUrl": "mysql://h/d"}}, "spec.jdbcUrl: write jdbc:mysql://HOST:3306/SCHEMA: it starts"),
        ({"spec": {"jdbcUrl": "jdbc:mysql://h/d#x"}}, "spec.jdbcUrl: write jdbc:mysql://HOST:3306/SCHEMA: it"),
        ({"spec": {"image": "x" * 1025}}, "spec.image: String should have at most 1024 characters"),
        ({"spec": {"gatewayVersion": "x" * 65}}, "spec.gatewayVersion: String should have at most 64 characters"),
        ({"spec": {"jdbcURL": "x"}}, "spec.jdbcURL: there is no such field"),
        ({"spec": {"active_deadline_seconds": 5}}, "spec.active_deadline_seconds: there is no such field"),
        ({"spec": ["x"]}, "spec: Input should be an object"),
        ({"status": {"job": {"name": "x", "id": 1}}}, "status.job.id: there is no such field"),
        ({"status": {"completedHashes": [{"hash": "x"}]}}, "status.completedHashes.0.hash: String should match"),
        (
            {"status": {"completedHashes": [{"hash": HASH}] * (KEPT + 1)}},
            "status.completedHashes: Tuple should have",
        ),
        ({"metadata": "x"}, "metadata: Expected `object`, got `str`"),
        ({"metadata": {"name": 5}}, "metadata: Expected `str`, got `int` - at `$.name`"),
        ({"metadata": {"labels": []}}, "metadata: Expected `object | null`, got `array` - at `$.labels`"),
    ],
)
def test_an_error_names_the_field_and_what_it_takes(manifest: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidObjectError) as error:
        Record.from_manifest(manifest, strict=True)
    assert str(error.value).startswith(told)


def test_all_bad_fields_are_told_at_once() -> None:
    with pytest.raises(InvalidObjectError, match=r"spec\.mode: .*; spec\.podAttempts: "):
        read_spec({"mode": "x", "podAttempts": 0})


@pytest.mark.parametrize("url", [["jdbc:mysql://u:hidden@h/d"], "jdbc:mysql://u:hidden@h/d#x", "u:hidden@h/d"])
def test_an_error_does_not_repeat_the_value(url: Any) -> None:
    with pytest.raises(InvalidObjectError) as error:
        read_spec({"jdbcUrl": url})
    assert "hidden" not in str(error.value)


def test_what_a_newer_version_stored_is_ignored() -> None:
    read = Record.from_manifest(
        {"spec": {"approval": "Manual"}, "status": {"approvedBy": "x", "job": {"name": "n", "id": 1}}, "data": {}}
    )
    assert (read.spec, read.status) == (RecordSpec(), RecordStatus(job=JobReference(name="n")))


def test_settings_may_be_text_as_in_annotations() -> None:
    assert read_spec({"clearLocks": "true", "activeDeadlineSeconds": "60"}) == RecordSpec(
        clear_locks=True, active_deadline_seconds=60
    )


def test_names_on_the_wire() -> None:
    status = RecordStatus(
        completed_hashes=(Completion(hash=HASH, image_id="i", job_uid="j", pod_uid="p"),),
        failure=Failure(classification=FailureClass.LOCK_HELD, log_tail="tail"),
        job=JobReference(name="n", attempts=2),
    )
    wire = Record(namespace="a", name="b", status=status).to_manifest()["status"]
    assert wire == {
        "observedGeneration": 0,
        "complete": False,
        "completedHashes": [{"hash": HASH, "imageID": "i", "evidence": "Job", "jobUID": "j", "podUID": "p"}],
        "failure": {"class": "LockHeld", "logTail": "tail"},
        "job": {"name": "n", "attempts": 2},
        "rejections": {"count": 0},
    }


def test_a_completion_is_found_by_the_whole_hash() -> None:
    status = RecordStatus(completed_hashes=(Completion(hash=HASH),))
    assert status.completion(HASH) == Completion(hash=HASH)
    assert status.completion(HASH[:16]) is None
    assert status.completion("") is None


text = st.text(max_size=12)
counts = st.integers(0, 2**31)
times = st.none() | st.datetimes(timezones=st.just(UTC))
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
specs = st.builds(
    RecordSpec,
    enabled=st.booleans(),
    jdbc_url=st.sampled_from(["", "jdbc:mysql://h/d"]) | st.from_regex(JDBC_URL_PATTERN),
    clear_locks=st.booleans(),
    active_deadline_seconds=st.integers(1, 86400),
    liquibase_log_level=st.none() | st.sampled_from(LogLevel),
    mode=st.none() | st.sampled_from(Mode),
    runner=st.none() | st.sampled_from(Runner),
    first_install=st.none() | st.sampled_from(FirstInstall),
    rollback=st.sampled_from(Rollback),
    pod_attempts=st.integers(1, 10),
    image=text,
    gateway_version=text,
)
completions = st.builds(
    Completion,
    hash=hashes,
    image=text,
    image_id=text,
    database=text,
    time=times,
    evidence=st.sampled_from(Evidence),
    job_uid=text,
    pod_uid=text,
)
rejections = st.builds(
    Rejection,
    hash=text,
    reason=text,
    user=text,
    from_image=text,
    to_image=text,
    groups=st.lists(text, max_size=5).map(tuple),
    mode=st.none() | st.sampled_from(Mode),
    decision=st.none() | st.sampled_from(RejectionDecision),
    bypass_reason=text,
    count=counts,
    first=times,
    last=times,
    passes=st.booleans(),
    ended=st.none() | st.sampled_from(RejectionEnd),
    ended_at=times,
)
statuses = st.builds(
    RecordStatus,
    observed_generation=counts,
    phase=st.none() | st.sampled_from(Phase),
    spec_hash=text,
    short_hash=text,
    complete=st.booleans(),
    image=text,
    jdbc_url=text,
    completed_hashes=st.lists(completions, max_size=3, unique_by=lambda done: done.hash).map(tuple),
    job=st.none()
    | st.builds(
        JobReference, name=text, uid=text, hash=text, attempts=counts, image=text, database=text, avoided=text
    ),
    start_time=times,
    completion_time=times,
    failure=st.none()
    | st.builds(Failure, classification=st.sampled_from(FailureClass), message=text, log_tail=text),
    rejections=st.builds(
        Rejections,
        count=counts,
        first=times,
        last=times,
        newest=st.lists(rejections, max_size=2).map(tuple),
        folded=st.lists(text, max_size=3).map(tuple),
    ),
    conditions=st.lists(
        st.builds(
            Condition,
            type=text,
            status=text,
            reason=text,
            message=text,
            observed_generation=counts,
            last_transition_time=times,
        ),
        max_size=2,
        unique_by=lambda condition: condition.type,
    ).map(tuple),
)
records = st.builds(
    Record,
    namespace=text,
    name=text,
    uid=text,
    resource_version=text,
    generation=st.integers(1, 2**31),
    managed=st.booleans(),
    retry=text,
    spec=specs,
    status=statuses,
)


@given(records)
def test_round_trip(before: Record) -> None:
    assert Record.from_manifest(before.to_manifest(), strict=True) == before
