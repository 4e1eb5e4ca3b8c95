"""The life of a migration: what is observed goes in, the next status and the steps to take come out.

::

    (new) ──▶ Pending ──▶ Running ──▶ Complete
                 │  ▲        │  └────▶ Failed ──(Job deleted, retry, other inputs)──▶ Pending
                 ▼  │        ▼
              Waiting     Superseded ──(the old Job ends)──▶ Pending
       (same database busy)  (other inputs wanted; never killed amid its changes)

First the status takes note of how our Job stands (``note_job``), whatever is wanted now; then the wanted inputs
decide. The status is written before the steps are taken, and every step is safe to repeat: a controller that dies
in between finds its intent in the status (``job`` without ``uid``) and goes on from there.
"""

from dataclasses import replace

from webhook.policy.completions import completion_of
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.migration.adoption import adopt
from webhook.policy.migration.conditions import with_conditions
from webhook.policy.migration.databases import database_key
from webhook.policy.migration.job import job_name
from webhook.policy.migration.noting import better, completed, completion_by, failure_of, note_job, our_job
from webhook.policy.migration.observed import (
    ClearRetry,
    CreateJob,
    DeleteJob,
    JobPhase,
    MarkMigrated,
    Observed,
    Plan,
    Step,
    Unpause,
    ended_badly,
    rolls_out,
)
from webhook.policy.migration.telling import mirrored, remarks
from webhook.policy.record import (
    Evidence,
    Failure,
    FailureClass,
    JobReference,
    Phase,
    RecordStatus,
    Runner,
)

_SHORTEST_RETRY = len(short("0" * 64))


def plan(observed: Observed) -> Plan:
    """Give the next status and steps. A plan carried out and observed again ends in one without steps."""
    decided = _decide(_with_status(observed, note_job(observed)))
    steps = decided.steps
    if decided.status.phase is not Phase.FAILED and _retry_asked(observed, decided.status.spec_hash):
        # First of all: once the new Job exists, a retry that is still there would stand for another attempt.
        steps = (ClearRetry(), *steps)
    target = observed.target
    if target is not None and target.released and not any(isinstance(step, Unpause) for step in steps):
        # The mode was changed to one that stops nothing: what waits goes on at once, and migrates by itself.
        steps = (*steps, Unpause(target.version))
    status = replace(decided.status, observed_generation=observed.record.generation)
    steps = (*steps, *mirrored(observed, status))
    return Plan(with_conditions(status, observed.record.status, observed.now, remarks(observed, status)), steps)


def _decide(observed: Observed) -> Plan:
    wanted, governance, job = _wanted(observed), observed.governance, our_job(observed)
    status = observed.record.status
    active = status.job if job is not None and job.phase is JobPhase.ACTIVE else None
    if governance is None:
        return _disabled(observed, active)
    if active is not None and (wanted is None or active.hash != wanted.spec_hash):
        if wanted is not None and completion_of(status, wanted) and not governance.problem_with(wanted):
            # What has been migrated need not wait; the Job is kept in sight until it ends.
            done = _complete(observed, wanted)
            return replace(done, status=replace(done.status, job=active))
        steps = _wake(observed, None) if wanted is None else ()
        return Plan(replace(status, phase=Phase.SUPERSEDED, complete=False, failure=None), steps)
    if wanted is None:
        kept = status.failure if ended_badly(status) else None
        if observed.awaited:
            made = status.job if status.job and status.job.uid else None
            return Plan(replace(status, phase=Phase.PENDING, complete=False, failure=kept, job=made))
        return Plan(replace(status, phase=Phase.DISABLED, complete=False, failure=kept), _wake(observed, None))
    problem = governance.problem_with(wanted)
    if problem:
        failure = Failure(classification=FailureClass.INVALID_INPUTS, message=problem)
        return Plan(_fresh(status, wanted, Phase.FAILED, failure))
    if active is None:
        observed = _with_status(observed, adopt(observed))
    if completion_of(observed.record.status, wanted) is not None:
        return _complete(observed, wanted)
    if governance.runner is Runner.EXTERNAL and active is None:
        return _external(observed, wanted)
    return _migrate(observed, wanted)


def _wanted(observed: Observed) -> MigrationInputs | None:
    """Give the inputs to be migrated; None without a database, or for a Gateway that cannot be told to skip."""
    governance, target = observed.governance, observed.target
    if governance is None or target is None or target.desired is None:
        return None
    return None if governance.too_old(target.desired) else target.desired


def _disabled(observed: Observed, active: JobReference | None) -> Plan:
    """Let go of everything, but for a Job amid its changes."""
    status, job = observed.record.status, our_job(observed)
    kept = status.failure if ended_badly(status) else None
    steps: tuple[Step, ...] = ()
    if status.job is not None and job is not None and active is None:
        steps = (DeleteJob(status.job),)
    return Plan(replace(status, phase=Phase.DISABLED, complete=False, failure=kept), steps + _wake(observed, None))


def _complete(observed: Observed, inputs: MigrationInputs) -> Plan:
    """Complete once is complete; wake what waits for it."""
    status = _fresh(observed.record.status, inputs, Phase.COMPLETE)
    done = completion_of(status, inputs)
    completion_time = done.time if done else None
    # An attempt that this completion is not of began at another time, perhaps later.
    ours = done is not None and status.job is not None and done.job_uid == status.job.uid != ""
    start_time = status.start_time if ours else None
    status = replace(status, complete=True, start_time=start_time, completion_time=completion_time)
    return Plan(status, _wake(observed, inputs))


def _wake(observed: Observed, complete: MigrationInputs | None) -> tuple[Step, ...]:
    """Let a Deployment go on that we hold; tell an operator that retries a denied one that it may pass now."""
    target = observed.target
    if target is not None and target.held:
        return (Unpause(target.version),)
    if target is None or complete is None or target.running in (None, complete):
        return ()  # None: there is no Deployment yet that could be marked
    mark = short(complete.spec_hash)
    return (MarkMigrated(mark),) if observed.migrated_mark != mark else ()


def _external(observed: Observed, inputs: MigrationInputs) -> Plan:
    """Follow the Job of an operator or chart; none of ours."""
    status, job = observed.record.status, observed.external
    if job is None:
        return Plan(_untimed(_fresh(status, inputs, Phase.PENDING)))
    reference = JobReference(name=job.name, hash=inputs.spec_hash, image=inputs.image)
    reference = replace(reference, uid=job.uid, database=inputs.database or "")
    if job.phase is JobPhase.SUCCEEDED and job.tampered is None:
        done = completion_by(reference, job, observed, Evidence.EXTERNAL)
        return _complete(_with_status(observed, completed(replace(status, job=None), done)), inputs)
    if job.phase is JobPhase.ACTIVE:
        return Plan(_untimed(_fresh(status, inputs, Phase.RUNNING)))
    same = status.phase is Phase.FAILED and status.spec_hash == inputs.spec_hash and status.job is None
    failure = better(status, failure_of(job)) if same else failure_of(job)
    return Plan(_untimed(_fresh(status, inputs, Phase.FAILED, failure)))


def _untimed(status: RecordStatus) -> RecordStatus:
    """Take off what is told of an attempt of ours: there is none."""
    return replace(status, job=None, start_time=None, completion_time=None)


def _migrate(observed: Observed, inputs: MigrationInputs) -> Plan:
    """Run the Job for these inputs, which are not complete. A failure blocks until somebody acts on it."""
    status, job = observed.record.status, our_job(observed)
    reference = status.job
    if reference is None or reference.hash != inputs.spec_hash:
        return _start(observed, inputs, attempt=1)
    if job is not None and job.phase is JobPhase.ACTIVE:
        return Plan(_fresh(status, inputs, Phase.RUNNING, status.failure if job.failure else None))
    if not reference.uid:
        # The intent of a pass that got no further. A name taken by a Job not ours is neither adopted nor freed.
        taken = observed.job is not None and observed.job.name == reference.name
        avoided = reference.name if taken else reference.avoided
        return _start(observed, inputs, attempt=reference.attempts + taken, avoided=avoided)
    deleted = job is None and ended_badly(status)
    if deleted or _retry_asked(observed, inputs.spec_hash):
        return _start(observed, inputs, attempt=reference.attempts + 1)
    if job is not None:
        return Plan(_fresh(status, inputs, Phase.FAILED, status.failure))
    vanished = Failure(
        classification=FailureClass.JOB_VANISHED,
        message=f"Job {reference.name} vanished while it ran; what it did to the schema is not known",
    )
    return Plan(_fresh(status, inputs, Phase.FAILED, vanished))


def _start(observed: Observed, inputs: MigrationInputs, *, attempt: int, avoided: str = "") -> Plan:
    """Write down the attempt, and make its Job unless the database is busy or pods migrate it by themselves."""
    status, record = observed.record.status, observed.record
    reference = JobReference(
        name=job_name(record.namespace, record.name, inputs.spec_hash, attempt),
        hash=inputs.spec_hash,
        attempts=attempt,
        image=inputs.image,
        database=database_key(record, inputs),
        avoided=avoided,
    )
    # An attempt that is tried again keeps its time: a status that changed by itself would wake us for ever.
    again = status.phase is Phase.PENDING and status.job == reference
    started = status.start_time if again and status.start_time else observed.now
    if rolls_out(observed, inputs.spec_hash):
        # A first attempt leaves no trace, so that the pods may be adopted once they are there.
        pending = _untimed(_fresh(status, inputs, Phase.PENDING))
        return Plan(replace(pending, job=reference if attempt > 1 else None))
    if observed.busy is not None:
        waiting = replace(_fresh(status, inputs, Phase.WAITING), job=reference)
        return Plan(replace(waiting, start_time=None, completion_time=None))
    pending = replace(_fresh(status, inputs, Phase.PENDING), job=reference)
    return Plan(replace(pending, start_time=started, completion_time=None), (CreateJob(reference),))


def _retry_asked(observed: Observed, spec_hash: str) -> bool:
    """Tell whether a person asks for another attempt at exactly this hash."""
    retry = observed.record.retry
    return len(retry) >= _SHORTEST_RETRY and spec_hash.startswith(retry)


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


def _with_status(observed: Observed, status: RecordStatus) -> Observed:
    return replace(observed, record=replace(observed.record, status=status))
