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
    Evidence,
    Failure,
    FailureClass,
    JobReference,
    Phase,
    Record,
    RecordSpec,
    RecordStatus,
    Runner,
)

RECORD = Record(namespace="team-a", name="ssg")


def gateways(record: Record) -> Gateways:
    return Gateways(records=(record,), count=1, namespaces=frozenset({"team-a"}))


def failed(kind: FailureClass) -> Gateways:
    status = RecordStatus(phase=Phase.FAILED, failure=Failure(classification=kind))
    return gateways(replace(RECORD, status=status))


def suspended(*, spec: bool) -> Manifest:
    """Give a Job that somebody suspended, and one that goes on, which its controller has not seen yet."""
    made = job("ssg-db-migration-01234567", ours=True, conditions=[{"type": "Suspended", "status": str(not spec)}])
    made["spec"]["suspend"] = spec
    made["metadata"]["creationTimestamp"] = made["status"].pop("startTime")
    return made


def test_a_lock_that_is_held_is_told() -> None:
    message = only(Level.WARN, Check.MIGRATIONS, gateways=failed(FailureClass.LOCK_HELD))
    assert message.startswith("team-a/ssg: the migration failed")
    assert found(gateways=failed(FailureClass.CHANGESET_FAILED)) == []


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
        replace(RECORD, spec=RecordSpec(runner=Runner.EXTERNAL)),
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
    ids=["External", "disabled", "followed", "evidence", "another namespace"],
)
def test_it_is_not_where_its_result_counts_or_nothing_migrates(record: Record) -> None:
    assert found(jobs=[job("ssg-db-migration")], gateways=gateways(record)) == []


def test_a_job_that_a_record_owns_is_ours() -> None:
    owned = job("ssg-db-migration")
    owned["metadata"]["ownerReferences"] = [{"kind": "GatewayMigration", "name": "ssg"}]
    assert found(jobs=[owned]) == []


def test_unguarded_gateways_are_named_but_not_all_of_them() -> None:
    names = tuple(f"team-b/ssg-{number}" for number in range(7))
    message = only(Level.WARN, Check.COVERAGE, gateways=Gateways(ungoverned=names, count=9))
    assert message.startswith("7 of 9 Gateways roll out unguarded: team-b/ssg-0, ")
    assert message.endswith("team-b/ssg-4 and 2 more")


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
