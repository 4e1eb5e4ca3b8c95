"""The life of a migration: what is observed goes in, the next status and the steps to take come out.

::

    (new) ──▶ Pending ──▶ Running ──▶ Complete
                 │  ▲        │  └────▶ Failed ──(Job deleted, retry, other inputs)──▶ Pending
                 ▼  │        ▼
              Waiting     Superseded ──(the old Job ends)──▶ Pending
       (same database busy)  (other inputs wanted; never killed amid its changes)

The status is written before the step is taken, and every step is safe to repeat: a controller that dies in
between finds its intent in the status (``job`` without ``uid``) and goes on from there.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from webhook.policy.conditions import with_conditions
from webhook.policy.image import image_version, knows_modes
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.job import job_name
from webhook.policy.migration import (
    ClearRetry,
    CreateJob,
    DeleteJob,
    JobPhase,
    MarkMigrated,
    Observed,
    ObservedJob,
    Plan,
    Step,
    Unpause,
)
from webhook.policy.record import (
    KEPT,
    Completion,
    Evidence,
    Failure,
    FailureClass,
    JobReference,
    Phase,
    RecordStatus,
)
from webhook.policy.target import Target


def plan(observed: Observed) -> Plan:
    """Give the next status and steps. A plan carried out and observed again ends in one without steps."""
    next_plan = _settle_job(observed) or _plan_target(observed)
    status = replace(next_plan.status, observed_generation=observed.record.generation)
    return Plan(with_conditions(status, observed.record.status, observed.now), next_plan.steps)


def _settle_job(observed: Observed) -> Plan | None:
    """Take note of how a Job ended whose hash is not wanted any more, or let it run to its end."""
    status, job = observed.record.status, observed.job
    reference = status.job
    if reference is None or job is None or not _is_same(reference, job):
        return None
    target = observed.target
    desired = target.desired if target else None
    if observed.governance is None or (desired is not None and reference.hash == desired.spec_hash):
        return None
    if job.phase is JobPhase.ACTIVE:
        # What is complete already need not wait for it.
        free = target is not None and target.held and desired and status.completion(desired.spec_hash)
        return Plan(replace(status, phase=Phase.SUPERSEDED, complete=False), (Unpause(),) if free else ())
    if job.phase is JobPhase.SUCCEEDED and job.tampered is None:
        done = _completed(status, _completion(reference, job, observed.now))
        observed = replace(observed, record=replace(observed.record, status=replace(done, job=None)))
        return _plan_target(observed)
    return None


def _plan_target(observed: Observed) -> Plan:
    governance, target = observed.governance, observed.target
    status = observed.record.status
    if governance is None or target is None or target.desired is None:
        return _idle(observed)
    if knows_modes(image_version(target.desired.image, governance.spec.gateway_version)) is False:
        return _idle(observed)
    problem = target.desired.problem or governance.problem
    if problem:
        failure = Failure(classification=FailureClass.INVALID_INPUTS, message=problem)
        return Plan(_fresh(status, target.desired, Phase.FAILED, failure))
    adopted = _adopt(observed, target)
    if adopted is not None:
        return adopted
    if status.completion(target.desired.spec_hash) is not None:
        return _complete(observed, target, target.desired)
    return _migrate(observed, target.desired)


def _idle(observed: Observed) -> Plan:
    """Nothing to migrate: not governed, disabled, without a database, or a Gateway that cannot be told to skip."""
    steps: list[Step] = []
    status = replace(observed.record.status, phase=Phase.DISABLED, complete=False, failure=None)
    reference, job = status.job, observed.job
    if reference and job and _is_same(reference, job) and job.phase is not JobPhase.ACTIVE:
        steps.append(DeleteJob(reference))
        status = replace(status, job=None)
    if observed.target is not None and observed.target.held:
        steps.append(Unpause())
    return Plan(status, tuple(steps))


def _adopt(observed: Observed, target: Target) -> Plan | None:
    """Take what runs for complete: once as the baseline, later only where pods migrated by themselves."""
    running, status = target.running, observed.record.status
    if running is None or running.problem or not target.settled:
        return None
    baseline = not status.spec_hash and not status.completed_hashes
    if status.completion(running.spec_hash) is not None or not (baseline or observed.self_migrated):
        return None
    if observed.job is not None and observed.job.phase is JobPhase.ACTIVE:
        return None
    done = Completion(
        hash=running.spec_hash,
        image=running.image,
        database=running.database or "",
        time=observed.now,
        evidence=Evidence.ADOPTED,
    )
    adopted = _completed(_fresh(status, running, Phase.COMPLETE), done)
    return plan(replace(observed, record=replace(observed.record, status=adopted)))


def _complete(observed: Observed, target: Target, inputs: MigrationInputs) -> Plan:
    """Complete once is complete; wake what waits for it."""
    status = _fresh(observed.record.status, inputs, Phase.COMPLETE)
    status = replace(status, complete=True, completion_time=_completion_time(status, inputs))
    mark = short(inputs.spec_hash)
    if target.held:
        return Plan(status, (Unpause(),))
    waits = target.running != target.desired and observed.migrated_mark != mark
    return Plan(status, (MarkMigrated(mark),) if waits else ())


def _migrate(observed: Observed, inputs: MigrationInputs) -> Plan:
    status = observed.record.status
    reference = status.job if status.job and status.job.hash == inputs.spec_hash else None
    if reference is None:
        return _start(observed, inputs, attempt=1)
    if status.phase is Phase.FAILED and (again := _retry(observed, inputs, reference)):
        return again
    job = observed.job
    if job is None:
        return _without_job(observed, inputs, reference)
    if not _is_same(reference, job):
        # The name is taken by a Job that is not ours: it is neither adopted nor deleted.
        return _start(observed, inputs, attempt=reference.attempts + 1)
    reference = replace(reference, uid=job.uid)
    return _ENDINGS[job.phase](observed, inputs, reference, job)


def _without_job(observed: Observed, inputs: MigrationInputs, reference: JobReference) -> Plan:
    status = observed.record.status
    if not reference.uid:
        return _start(observed, inputs, attempt=reference.attempts)
    if status.phase is Phase.FAILED:
        return Plan(status)
    failure = Failure(
        classification=FailureClass.JOB_VANISHED,
        message=f"Job {reference.name} vanished while it ran; what it did to the schema is not known",
    )
    return Plan(replace(_fresh(status, inputs, Phase.FAILED, failure), job=reference))


def _retry(observed: Observed, inputs: MigrationInputs, reference: JobReference) -> Plan | None:
    """A failure blocks until somebody deletes the Job or annotates the record for exactly this hash."""
    status = observed.record.status
    asked = len(observed.record.retry) >= len(short("0" * 64)) and inputs.spec_hash.startswith(
        observed.record.retry
    )
    vanished = status.failure is not None and status.failure.classification is FailureClass.JOB_VANISHED
    gone = observed.job is None and bool(reference.uid) and not vanished
    if not asked and not gone:
        return None
    started = _start(observed, inputs, attempt=reference.attempts + 1)
    return Plan(started.status, (*started.steps, ClearRetry())) if asked else started


def _start(observed: Observed, inputs: MigrationInputs, *, attempt: int) -> Plan:
    status = observed.record.status
    if observed.busy is not None:
        return Plan(replace(_fresh(status, inputs, Phase.WAITING), job=None))
    record = observed.record
    reference = JobReference(
        name=job_name(record.namespace, record.name, inputs.spec_hash, attempt),
        hash=inputs.spec_hash,
        attempts=attempt,
        image=inputs.image,
        database=inputs.database or "",
    )
    pending = replace(_fresh(status, inputs, Phase.PENDING), job=reference)
    return Plan(replace(pending, start_time=observed.now, completion_time=None), (CreateJob(reference),))


def _active(observed: Observed, inputs: MigrationInputs, reference: JobReference, _: ObservedJob) -> Plan:
    return Plan(replace(_fresh(observed.record.status, inputs, Phase.RUNNING), job=reference))


def _succeeded(observed: Observed, inputs: MigrationInputs, reference: JobReference, job: ObservedJob) -> Plan:
    status = observed.record.status
    if job.tampered is not None:
        failure = Failure(classification=FailureClass.EVIDENCE_TAMPERED, message=job.tampered)
        return Plan(replace(_fresh(status, inputs, Phase.FAILED, failure), job=reference))
    done = _completed(
        replace(_fresh(status, inputs, Phase.COMPLETE), job=reference), _completion(reference, job, observed.now)
    )
    return _plan_target(replace(observed, record=replace(observed.record, status=done)))


def _failed(observed: Observed, inputs: MigrationInputs, reference: JobReference, job: ObservedJob) -> Plan:
    failure = job.failure or Failure()
    return Plan(replace(_fresh(observed.record.status, inputs, Phase.FAILED, failure), job=reference))


_ENDINGS: dict[JobPhase, Callable[[Observed, MigrationInputs, JobReference, ObservedJob], Plan]] = {
    JobPhase.ACTIVE: _active,
    JobPhase.SUCCEEDED: _succeeded,
    JobPhase.FAILED: _failed,
}


def _is_same(reference: JobReference, job: ObservedJob) -> bool:
    """Tell our Job from one that took its name: by UID once it is known, before that by owner."""
    return job.uid == reference.uid if reference.uid else job.ours


def _fresh(
    status: RecordStatus, inputs: MigrationInputs, phase: Phase, failure: Failure | None = None
) -> RecordStatus:
    """Give the status for these inputs; the Job of other inputs is dropped, that of these kept."""
    return replace(
        status,
        phase=phase,
        spec_hash=inputs.spec_hash,
        complete=False,
        image=inputs.image,
        jdbc_url=inputs.jdbc_url,
        job=status.job if status.job and status.job.hash == inputs.spec_hash else None,
        failure=failure,
    )


def _completion(reference: JobReference, job: ObservedJob, now: datetime) -> Completion:
    return Completion(
        hash=reference.hash,
        image=reference.image,
        image_id=job.image_id,
        database=reference.database,
        time=now,
        evidence=Evidence.JOB,
        job_uid=job.uid,
        pod_uid=job.pod_uid,
    )


def _completed(status: RecordStatus, done: Completion) -> RecordStatus:
    if status.completion(done.hash) is not None:
        return status
    return replace(status, completed_hashes=(done, *status.completed_hashes)[:KEPT], failure=None)


def _completion_time(status: RecordStatus, inputs: MigrationInputs) -> datetime | None:
    done = status.completion(inputs.spec_hash)
    return done.time if done else None
