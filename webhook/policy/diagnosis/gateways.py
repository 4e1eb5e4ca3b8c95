"""What stands in the way of migrations that are due, and whom nobody guards."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from webhook.policy.diagnosis.facts import Facts, Manifest
from webhook.policy.diagnosis.line import Check, Line, Unread, first_unread, named, ok, unclear, unknown, warn
from webhook.policy.names import (
    CLEAR_LOCKS,
    COMPONENT,
    ENFORCE,
    MANAGED_BY,
    MIGRATION_COMPONENT,
    MIGRATION_JOB,
    MIGRATION_JOB_ENABLED,
    PRODUCT,
    RECORD_KIND,
)
from webhook.policy.record import FailureClass, Phase, Record

FOREIGN_SUFFIX: Final = f"-{MIGRATION_COMPONENT}"
"""How an operator's or chart's own migration Job is called: the Deployment's name and this."""
_PATIENCE: Final = timedelta(minutes=1)
_UNSET_DEADLINE: Final = 300


def check_migrations(facts: Facts) -> list[Line]:
    """Look for records of which somebody has to take care, and for Jobs that should have ended."""
    lines = []
    if not isinstance(facts.gateways, Unread):
        lines += [line for record in facts.gateways.records if (line := _degraded(record)) is not None]
    if isinstance(facts.gateways, Unread) or isinstance(facts.jobs, Unread):
        unread = first_unread(facts.gateways, facts.jobs)
        return [*lines, unknown(Check.MIGRATIONS, "whether migrations are stuck", unread)]
    for job in facts.jobs:
        where = f"{job['metadata']['namespace']}/{job['metadata']['name']}"
        if _ours(job) and _overdue(job, facts.server_time):
            said = f"Job {where} is past its deadline and has not ended"
            lines.append(warn(Check.MIGRATIONS, said, f"see what holds it: kubectl describe job {_flags(job)}"))
    count = len(facts.gateways.records)
    return lines or [ok(Check.MIGRATIONS, f"none of {count} record{'s' * (count != 1)} is stuck")]


def _degraded(record: Record) -> Line | None:
    """Say what is wrong with a record that is Degraded, and what to do."""
    told = next((each for each in record.status.conditions if each.type == "Degraded"), None)
    failed = record.status.failure if record.status.phase is Phase.FAILED else None
    degraded = failed is not None or (told is not None and told.status == "True")
    if not record.spec.enabled or not degraded:
        return None
    where = f"{record.namespace}/{record.name}"
    if failed is not None and failed.classification is FailureClass.LOCK_HELD:
        said = f"the migration of {where} failed, since somebody holds the Liquibase lock"
        return warn(Check.MIGRATIONS, said, f"make sure that nothing migrates this database, {_clearing(record)}")
    if failed is not None:
        why = [failed.classification.value, failed.message]
        said = f"the migration of {where} failed"
    else:
        why = [told.reason, told.message] if told else []
        said = f"{where} is degraded"
    # No colon right behind a name: what follows that of a token would be masked.
    said = ", ".join(filter(None, [said, ": ".join(filter(None, why))]))
    return warn(Check.MIGRATIONS, said, f"schemagate status {record.name} -n {record.namespace}")


def _clearing(record: Record) -> str:
    """Say how the next attempt is told to clear the lock: what is kept for somebody else is written back."""
    retry = f"schemagate retry {record.name} -n {record.namespace}"
    if not record.managed:
        return f"set spec.clearLocks of the record to true, and back after the migration, then: {retry}"
    return (
        f'annotate the Gateway or Deployment that asks {CLEAR_LOCKS}: "true" (where the namespace does, '
        f"the Deployment, with {MIGRATION_JOB}: {MIGRATION_JOB_ENABLED} too; where migrationJob does, set its "
        f"clearLocks), take it back after the migration, then: {retry}"
    )


def _ours(job: Manifest) -> bool:
    labels = job["metadata"].get("labels") or {}
    return labels.get(COMPONENT) == MIGRATION_COMPONENT and labels.get(MANAGED_BY) == PRODUCT


def _overdue(job: Manifest, now: datetime) -> bool:
    status: Mapping[str, Any] = job.get("status") or {}
    if job["spec"].get("suspend") or _is(job, "Complete", "Failed", "Suspended"):
        return False  # the time of one that is suspended begins anew when it goes on
    started = datetime.fromisoformat(status.get("startTime") or job["metadata"]["creationTimestamp"])
    deadline = timedelta(seconds=job["spec"].get("activeDeadlineSeconds") or _UNSET_DEADLINE)
    return now - started > deadline + _PATIENCE


def _is(job: Manifest, *types: str) -> bool:
    """Tell whether one of these conditions of a Job is true."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each["type"] in types and each["status"] == "True" for each in conditions)


def _flags(job: Manifest) -> str:
    return f"-n {job['metadata']['namespace']} {job['metadata']['name']}"


def check_foreign_jobs(facts: Facts) -> list[Line]:
    """Look for Jobs of an operator or a chart that migrate what schemagate migrates."""
    if isinstance(facts.gateways, Unread) or isinstance(facts.jobs, Unread):
        unread = first_unread(facts.gateways, facts.jobs)
        return [unknown(Check.FOREIGN_JOBS, "whether somebody else migrates as well", unread)]
    records = {
        f"{record.namespace}/{record.name}": record for record in facts.gateways.records if record.spec.enabled
    }
    lines = []
    if doubled := [name for name in facts.gateways.doubled if name in records]:
        said = f"schemagate migrates, and the Gateway has the operator migrate too: {named(doubled)}"
        advice = "set migrationJob.enabled of the Gateway to false, or take spec.runner out of the record"
        lines.append(warn(Check.FOREIGN_JOBS, said, advice))
    for job in facts.jobs:
        meta = job["metadata"]
        name = f"{meta['namespace']}/{meta['name'].removesuffix(FOREIGN_SUFFIX)}"
        foreign = meta["name"].endswith(FOREIGN_SUFFIX) and name in records and name not in facts.gateways.external
        if not foreign or not _in_the_way(job, records[name]):
            continue
        said = f"Job {meta['namespace']}/{meta['name']} is not schemagate's and migrates what schemagate migrates"
        advice = (
            "let one of both do it: set spec.runner of the record to External, or have the operator or chart run "
            "none"
        )
        lines.append(warn(Check.FOREIGN_JOBS, said, advice))
    return lines or [ok(Check.FOREIGN_JOBS, "no Job of an operator or chart migrates beside schemagate")]


def _in_the_way(job: Manifest, record: Record) -> bool:
    if _is(job, "Complete", "Failed"):
        return False  # it migrates nothing any more
    uid = job["metadata"].get("uid", "")
    known = {done.job_uid for done in record.status.completed_hashes}
    known.add(record.status.job.uid if record.status.job else "")
    owners = job["metadata"].get("ownerReferences") or ()
    return uid not in known and not any(owner["kind"] == RECORD_KIND for owner in owners)


def check_coverage(facts: Facts) -> list[Line]:
    """Look for Gateways that nothing asks to guard."""
    if isinstance(facts.gateways, Unread):
        return [unknown(Check.COVERAGE, "which Gateways are guarded", facts.gateways)]
    lines = []
    count = facts.gateways.count
    if names := list(facts.gateways.ungoverned):
        said = f"{len(names)} of {count} Gateways roll out unguarded: {named(names)}"
        namespaces = {name.partition("/")[0] for name in names}
        where = namespaces.pop() if len(namespaces) == 1 else "NAMESPACE"
        lines.append(warn(Check.COVERAGE, said, f"kubectl label namespace {where} {ENFORCE}=warn"))
    if names := list(facts.gateways.disabled):
        said = f"the records of {len(names)} of {count} Gateways turn the guard off: {named(names)}"
        lines.append(warn(Check.COVERAGE, said, "set spec.enabled of the record to true"))
    if names := list(facts.gateways.unreadable):
        said = f"whether all Gateways are guarded cannot be told: {named(names)} cannot be read"
        lines.append(unclear(Check.COVERAGE, said, "see what is wrong with them: schemagate audit scan -A"))
    return lines or [ok(Check.COVERAGE, f"no Gateway of {count} is unguarded")]


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
