"""Migrations that are stuck, Jobs of others, and Gateways that nobody guards."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.builders import NOW, Manifest
from tests.support.diagnoses import found, job, only
from webhook.policy.diagnosis.facts import Gateways
from webhook.policy.diagnosis.line import Check, Level, Unread
from webhook.policy.record import (
    Completion,
    Condition,
    Evidence,
    Failure,
    FailureClass,
    JobReference,
    Phase,
    Record,
    RecordSpec,
    RecordStatus,
)

RECORD = Record(namespace="team-a", name="ssg")


def gateways(record: Record) -> Gateways:
    return Gateways(records=(record,), count=1, namespaces=frozenset({"team-a"}))


def failed(kind: FailureClass) -> Gateways:
    status = RecordStatus(phase=Phase.FAILED, failure=Failure(classification=kind))
    return gateways(replace(RECORD, status=status))


def degraded(reason: str, message: str) -> RecordStatus:
    condition = Condition(type="Degraded", status="True", reason=reason, message=message)
    return RecordStatus(phase=Phase.PENDING, conditions=(condition,))


def suspended(*, spec: bool) -> Manifest:
    """Give a Job that somebody suspended, and one that goes on, which its controller has not seen yet."""
    made = job("ssg-db-migration-01234567", ours=True, conditions=[{"type": "Suspended", "status": str(not spec)}])
    made["spec"]["suspend"] = spec
    made["metadata"]["creationTimestamp"] = made["status"].pop("startTime")
    return made


def test_a_lock_that_is_held_is_told() -> None:
    message = only(Level.WARN, Check.MIGRATIONS, gateways=failed(FailureClass.LOCK_HELD))
    assert message == "the migration of team-a/ssg failed, since somebody holds the Liquibase lock"


@pytest.mark.parametrize(
    ("managed", "told"),
    [
        (False, "set spec.clearLocks of the record to true, and back after the migration"),
        (True, 'annotate the Gateway or Deployment that asks schemagate.io/clear-locks: "true"'),
    ],
)
def test_who_asks_has_to_say_that_a_lock_is_to_be_cleared(managed: bool, told: str) -> None:
    record = replace(failed(FailureClass.LOCK_HELD).records[0], managed=managed)
    (line,) = found(gateways=gateways(record))
    assert told in line.advice
    assert line.advice.endswith("schemagate retry ssg -n team-a")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            RecordStatus(phase=Phase.FAILED, failure=Failure(classification=FailureClass.CHANGESET_FAILED)),
            "the migration of team-a/ssg failed, ChangesetFailed",
        ),
        (
            RecordStatus(
                phase=Phase.FAILED,
                failure=Failure(classification=FailureClass.IMAGE_PULL, message="no such image"),
            ),
            "the migration of team-a/ssg failed, ImagePull: no such image",
        ),
        (degraded("JobNotCreated", "exceeded quota"), "team-a/ssg is degraded, JobNotCreated: exceeded quota"),
        (degraded("ForeignJob", "it is not ours"), "team-a/ssg is degraded, ForeignJob: it is not ours"),
    ],
)
def test_a_record_that_somebody_has_to_take_care_of_is_told(status: RecordStatus, told: str) -> None:
    record = replace(RECORD, status=status)
    (line,) = found(gateways=gateways(record))
    assert (line.level, line.check, line.message) == (Level.WARN, Check.MIGRATIONS, told)
    assert line.advice == "schemagate status ssg -n team-a"
    assert found(gateways=gateways(replace(record, spec=RecordSpec(enabled=False)))) == []


def test_a_name_that_speaks_of_tokens_masks_nothing() -> None:
    record = replace(RECORD, name="token-gateway", status=degraded("JobNotCreated", "exceeded quota"))
    (line,) = found(gateways=gateways(record))
    assert line.message == "team-a/token-gateway is degraded, JobNotCreated: exceeded quota"


def test_a_record_that_is_not_degraded_is_well() -> None:
    status = RecordStatus(
        phase=Phase.RUNNING, conditions=(Condition(type="Degraded", status="False", reason="MigrationRunning"),)
    )
    assert found(gateways=gateways(replace(RECORD, status=status))) == []


def test_what_records_say_is_told_where_jobs_may_not_be_read() -> None:
    lines = found(gateways=failed(FailureClass.CHANGESET_FAILED), jobs=Unread("list jobs"))
    assert [line.level for line in lines if line.check is Check.MIGRATIONS] == [Level.WARN, Level.UNKNOWN]


def test_a_job_past_its_deadline_is_told() -> None:
    late = job("ssg-db-migration-01234567", ours=True)
    assert "team-a/ssg-db-migration-01234567" in only(Level.WARN, Check.MIGRATIONS, jobs=[late])
    unset = job("ssg-db-migration-01234567", ours=True)
    unset["spec"] = {}
    unset["metadata"]["creationTimestamp"] = unset["status"].pop("startTime")
    assert "is past its deadline" in only(Level.WARN, Check.MIGRATIONS, jobs=[unset])


@pytest.mark.parametrize(
    "item",
    [
        job("ssg-db-migration-01234567", ours=True, startTime=(NOW - timedelta(seconds=350)).isoformat()),
        job("ssg-db-migration-01234567", ours=True, conditions=[{"type": "Complete", "status": "True"}]),
        job("ssg-db-migration-01234567", ours=True, conditions=[{"type": "Failed", "status": "True"}]),
        suspended(spec=True),
        suspended(spec=False),
        job("other-db-migration-01234567"),
        job("other-db-migration"),
    ],
    ids=["in time", "complete", "failed", "suspended", "going on", "not ours", "of no record"],
)
def test_other_jobs_are_no_fault(item: Manifest) -> None:
    assert found(jobs=[item]) == []


def test_a_job_of_an_operator_or_chart_is_in_the_way() -> None:
    message = only(Level.WARN, Check.FOREIGN_JOBS, jobs=[job("ssg-db-migration")])
    assert message.startswith("Job team-a/ssg-db-migration is not schemagate's")


@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, spec=RecordSpec(enabled=False)),
        replace(RECORD, status=RecordStatus(job=JobReference(name="ssg-db-migration", uid="j-1"))),
        replace(
            RECORD,
            status=RecordStatus(
                completed_hashes=(Completion(hash="0" * 64, evidence=Evidence.EXTERNAL, job_uid="j-1"),)
            ),
        ),
        replace(RECORD, namespace="team-b"),
    ],
    ids=["disabled", "followed", "evidence", "another namespace"],
)
def test_it_is_not_where_its_result_counts_or_nothing_migrates(record: Record) -> None:
    assert found(jobs=[job("ssg-db-migration")], gateways=gateways(record)) == []


def test_it_is_not_where_somebody_else_migrates_by_whoevers_choice() -> None:
    held = replace(gateways(RECORD), external=frozenset({"team-a/ssg"}))
    assert found(jobs=[job("ssg-db-migration")], gateways=held) == []


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_foreign_job_that_has_ended_is_in_nobodys_way(kind: str) -> None:
    assert found(jobs=[job("ssg-db-migration", conditions=[{"type": kind, "status": "True"}])]) == []


def test_a_gateway_whose_operator_is_told_to_migrate_too_is_told() -> None:
    held = replace(gateways(RECORD), doubled=("team-a/ssg",))
    message = only(Level.WARN, Check.FOREIGN_JOBS, gateways=held)
    assert message == "schemagate migrates, and the Gateway has the operator migrate too: team-a/ssg"
    off = replace(RECORD, spec=RecordSpec(enabled=False))
    assert found(gateways=replace(held, records=(off,))) == []


def test_a_job_that_a_record_owns_is_ours() -> None:
    owned = job("ssg-db-migration")
    owned["metadata"]["ownerReferences"] = [{"kind": "GatewayMigration", "name": "ssg"}]
    assert found(jobs=[owned]) == []


def test_unguarded_gateways_are_named_but_not_all_of_them() -> None:
    names = tuple(f"team-b/ssg-{number}" for number in range(7))
    message = only(Level.WARN, Check.COVERAGE, gateways=Gateways(ungoverned=names, count=9))
    assert message.startswith("7 of 9 Gateways roll out unguarded: team-b/ssg-0, ")
    assert message.endswith("team-b/ssg-4 and 2 more")


@pytest.mark.parametrize(
    ("names", "where"), [(("team-b/a", "team-b/b"), "team-b"), (("team-b/a", "team-c/b"), "NAMESPACE")]
)
def test_the_namespace_to_label_is_named_where_it_is_one(names: tuple[str, ...], where: str) -> None:
    (line,) = found(gateways=Gateways(ungoverned=names, count=2))
    assert line.advice == f"kubectl label namespace {where} schemagate.io/enforce=warn"


def test_a_gateway_whose_record_turns_the_guard_off_needs_another_answer() -> None:
    lines = found(gateways=Gateways(ungoverned=("team-b/ssg",), disabled=("team-c/ssg",), count=3))
    assert [line.message for line in lines] == [
        "1 of 3 Gateways roll out unguarded: team-b/ssg",
        "the records of 1 of 3 Gateways turn the guard off: team-c/ssg",
    ]
    assert lines[1].advice == "set spec.enabled of the record to true"


def test_what_cannot_be_read_is_not_said_to_be_guarded() -> None:
    held = Gateways(unreadable=("Deployment team-b/odd", "Gateway team-c/odd"), count=1)
    message = only(Level.UNKNOWN, Check.COVERAGE, gateways=held)
    assert "Deployment team-b/odd, Gateway team-c/odd cannot be read" in message


def test_other_webhooks_are_named_and_no_fault() -> None:
    assert found(other_webhooks=("istio", "linkerd")) == []
    assert "may not list" in only(Level.UNKNOWN, Check.OTHER_WEBHOOKS, other_webhooks=Unread("list them"))


@pytest.mark.parametrize(
    ("fact", "checks"),
    [
        ("gateways", {Check.MIGRATIONS, Check.FOREIGN_JOBS, Check.COVERAGE}),
        ("jobs", {Check.MIGRATIONS, Check.FOREIGN_JOBS}),
    ],
)
def test_what_may_not_be_read_is_unknown(fact: str, checks: set[Check]) -> None:
    lines = found(**{fact: Unread("list them")})
    assert {line.check for line in lines} == checks
    assert {line.level for line in lines} == {Level.UNKNOWN}
