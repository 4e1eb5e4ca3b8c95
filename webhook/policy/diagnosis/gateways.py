"""What stands in the way of migrations that are due, and whom nobody guards."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from webhook.policy.diagnosis.facts import Facts, Manifest
from webhook.policy.diagnosis.line import Check, Line, Unread, first_unread, named, ok, unknown, warn
from webhook.policy.names import COMPONENT, ENFORCE, MANAGED_BY, MIGRATION_COMPONENT, PRODUCT, RECORD_KIND
from webhook.policy.record import FailureClass, Phase, Record, Runner

FOREIGN_SUFFIX: Final = f"-{MIGRATION_COMPONENT}"
"""How an operator's or chart's own migration Job is called: the Deployment's name and this."""
_PATIENCE: Final = timedelta(minutes=1)
_UNSET_DEADLINE: Final = 300


def check_migrations(facts: Facts) -> list[Line]:
    """Look for locks that a dead migration left behind, and for Jobs that should have ended."""
    if isinstance(facts.gateways, Unread) or isinstance(facts.jobs, Unread):
        unread = first_unread(facts.gateways, facts.jobs)
        return [unknown(Check.MIGRATIONS, "whether migrations are stuck", unread)]
    locked = [record for record in facts.gateways.records if _locked(record)]
    lines = [
        warn(
            Check.MIGRATIONS,
            f"{record.namespace}/{record.name}: the migration failed, since somebody holds the Liquibase lock",
            "make sure that nothing migrates this database, set spec.clearLocks of the record to true for one "
            "migration, and set it back afterwards",
        )
        for record in locked
    ]
    for job in facts.jobs:
        where = f"{job['metadata']['namespace']}/{job['metadata']['name']}"
        if _ours(job) and _overdue(job, facts.server_time):
            said = f"Job {where} is past its deadline and has not ended"
            lines.append(warn(Check.MIGRATIONS, said, f"see what holds it: kubectl describe job {_flags(job)}"))
    count = len(facts.gateways.records)
    return lines or [ok(Check.MIGRATIONS, f"none of {count} record{'s' * (count != 1)} is stuck")]


def _locked(record: Record) -> bool:
    failure = record.status.failure
    return (
        record.status.phase is Phase.FAILED
        and failure is not None
        and failure.classification is FailureClass.LOCK_HELD
    )


def _ours(job: Manifest) -> bool:
    labels = job["metadata"].get("labels") or {}
    return labels.get(COMPONENT) == MIGRATION_COMPONENT and labels.get(MANAGED_BY) == PRODUCT


def _overdue(job: Manifest, now: datetime) -> bool:
    status: Mapping[str, Any] = job.get("status") or {}
    if job["spec"].get("suspend") or any(
        each["type"] in {"Complete", "Failed", "Suspended"} and each["status"] == "True"
        for each in status.get("conditions") or ()
    ):
        return False  # the time of one that is suspended begins anew when it goes on
    started = datetime.fromisoformat(status.get("startTime") or job["metadata"]["creationTimestamp"])
    deadline = timedelta(seconds=job["spec"].get("activeDeadlineSeconds") or _UNSET_DEADLINE)
    return now - started > deadline + _PATIENCE


def _flags(job: Manifest) -> str:
    return f"-n {job['metadata']['namespace']} {job['metadata']['name']}"


def check_foreign_jobs(facts: Facts) -> list[Line]:
    """Look for Jobs of an operator or a chart that migrate what schemagate migrates."""
    if isinstance(facts.gateways, Unread) or isinstance(facts.jobs, Unread):
        unread = first_unread(facts.gateways, facts.jobs)
        return [unknown(Check.FOREIGN_JOBS, "whether somebody else migrates as well", unread)]
    records = {(record.namespace, record.name): record for record in facts.gateways.records}
    lines = []
    for job in facts.jobs:
        meta = job["metadata"]
        record = records.get((meta["namespace"], meta["name"].removesuffix(FOREIGN_SUFFIX)))
        if record is None or not meta["name"].endswith(FOREIGN_SUFFIX) or not _in_the_way(job, record):
            continue
        said = f"Job {meta['namespace']}/{meta['name']} is not schemagate's and migrates what schemagate migrates"
        advice = (
            "let one of both do it: set spec.runner of the record to External, or have the operator or chart run "
            "none"
        )
        lines.append(warn(Check.FOREIGN_JOBS, said, advice))
    return lines or [ok(Check.FOREIGN_JOBS, "no Job of an operator or chart migrates beside schemagate")]


def _in_the_way(job: Manifest, record: Record) -> bool:
    if not record.spec.enabled or record.spec.runner is Runner.EXTERNAL:
        return False
    uid = job["metadata"].get("uid", "")
    known = {done.job_uid for done in record.status.completed_hashes}
    known.add(record.status.job.uid if record.status.job else "")
    owners = job["metadata"].get("ownerReferences") or ()
    return uid not in known and not any(owner["kind"] == RECORD_KIND for owner in owners)


def check_coverage(facts: Facts) -> list[Line]:
    """Look for Gateways that nothing asks to guard."""
    if isinstance(facts.gateways, Unread):
        return [unknown(Check.COVERAGE, "which Gateways are guarded", facts.gateways)]
    if facts.gateways.ungoverned:
        names = list(facts.gateways.ungoverned)
        said = f"{len(names)} of {facts.gateways.count} Gateways roll out unguarded: {named(names)}"
        return [warn(Check.COVERAGE, said, f"kubectl label namespace NAMESPACE {ENFORCE}=warn")]
    return [ok(Check.COVERAGE, f"no Gateway of {facts.gateways.count} is unguarded")]


def check_other_webhooks(facts: Facts) -> list[Line]:
    """Name what else changes pods: schemagate is asked again after it, but a pod that is odd may be its work."""
    if isinstance(facts.other_webhooks, Unread):
        return [unknown(Check.OTHER_WEBHOOKS, "what else changes pods", facts.other_webhooks)]
    names = list(facts.other_webhooks)
    return [
        ok(
            Check.OTHER_WEBHOOKS,
            f"these change pods too: {named(names)}" if names else "nothing else changes pods",
        )
    ]
