"""Taking note of a Job: which one is ours, how it ended, and what that says of its hash."""

from dataclasses import replace

from webhook.policy.migration.databases import known_database
from webhook.policy.migration.observed import JobPhase, Observed, ObservedJob, end_is_noted, ended_badly
from webhook.policy.record import (
    KEPT,
    Completion,
    Evidence,
    Failure,
    FailureClass,
    JobReference,
    RecordStatus,
)


def our_job(observed: Observed) -> ObservedJob | None:
    """Give the observed Job if it is the one that the status names: by UID once known, before that by owner."""
    reference, job = observed.record.status.job, observed.job
    if reference is None or job is None or job.name != reference.name:
        return None
    ours = job.uid == reference.uid if reference.uid else job.ours
    return job if ours else None


def note_job(observed: Observed) -> RecordStatus:
    """Take note of our Job: its UID, and how it ended. Success is for its own hash, wanted or not."""
    status, job = observed.record.status, our_job(observed)
    if job is None or status.job is None:
        return status
    reference = replace(status.job, uid=job.uid)
    status = replace(status, job=reference)
    if job.phase is JobPhase.ACTIVE:
        # Ending badly: what its pods said is noted while they are there.
        noted = job.failure is None or end_is_noted(status)
        return status if noted else replace(status, failure=better(status, job.failure or Failure()))
    if end_is_noted(status):
        return status
    if job.phase is JobPhase.SUCCEEDED and job.tampered is None:
        return replace(completed(status, completion_by(reference, job, observed, Evidence.JOB)), failure=None)
    return replace(status, failure=better(status, failure_of(job)))


def better(status: RecordStatus, found: Failure) -> Failure:
    """Give the failure that says more: a later look finds fewer pods and logs, and what it finds may be newer.

    The status holds none of another attempt: each begins without.
    """
    known = status.failure
    if known is None or not ended_badly(status):
        return found
    poorer = found.classification is FailureClass.UNKNOWN or (known.log_tail and not found.log_tail)
    richer = known.classification is FailureClass.UNKNOWN and found.classification is not FailureClass.UNKNOWN
    return known if poorer and not richer else found


def failure_of(job: ObservedJob) -> Failure:
    """Give why a Job that has ended counts as failed: one that succeeded does where its pod was tampered with."""
    if job.phase is JobPhase.SUCCEEDED:
        return Failure(classification=FailureClass.EVIDENCE_TAMPERED, message=job.tampered or "")
    return job.failure or Failure()


def completion_by(reference: JobReference, job: ObservedJob, observed: Observed, evidence: Evidence) -> Completion:
    """Give the completion of an attempt by the Job that was found complete, now."""
    return Completion(
        hash=reference.hash,
        image=reference.image,
        image_id=job.image_id,
        database=known_database(reference.database),
        time=observed.now,
        evidence=evidence,
        job_uid=job.uid,
        pod_uid=job.pod_uid,
    )


def completed(status: RecordStatus, done: Completion) -> RecordStatus:
    """Put a completion in front of the others; the oldest goes when they are too many."""
    return replace(status, completed_hashes=(done, *status.completed_hashes)[:KEPT])
