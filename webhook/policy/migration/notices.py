"""What to tell about a change of status, as Kubernetes Events.

An Event is for who watches; the record's status and conditions are what counts. Nothing is told of a status that
did not change, so that a pass that is repeated repeats no Event.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.inputs import IMAGE_LIMIT, short
from webhook.policy.migration.conditions import FOREIGN_JOB, JOB_NOT_CREATED
from webhook.policy.migration.external import external_name
from webhook.policy.names import COMPONENT, MIGRATION_COMPONENT
from webhook.policy.record import Completion, Evidence, FailureClass, Phase, RecordStatus
from webhook.policy.redaction import safe

_PART_LIMIT = 400
# Longest text that is searched for credentials, since the search takes the square of it. More than is shown: of a
# credential that is cut, and so no longer told by what follows it, little or nothing is left to show.
_READ_LIMIT = 600
_IMAGE_LIMIT = 250


class NoticeKind(StrEnum):
    """The type of an Event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell: ``note`` is a printable line of at most 1024 characters, without credentials.

    ``on_deployment`` asks to tell it of the Deployment too, for who looks there to see why nothing rolls out.
    """

    kind: NoticeKind
    reason: str
    note: str
    on_deployment: bool = False


def notices(before: RecordStatus, after: RecordStatus, *, namespace: str, name: str) -> tuple[Notice, ...]:
    """Give what to tell of a change from one status to the next, causes first; no reason comes twice.

    ``namespace`` and ``name`` are those of the record, for the command that a failure names.
    """
    told = (
        *_attempt(before, after),
        *_phase(before, after),
        *_completions(before, after),
        *_failure(before, after, namespace, name),
        *_doubt(before, after),
    )
    return told if before != after else ()


def _attempt(before: RecordStatus, after: RecordStatus) -> Iterator[Notice]:
    """Tell of another attempt, whether a person asked for it or a name was taken."""
    job = after.job
    if job is None:
        return
    avoided = before.job.avoided if before.job else ""
    if job.avoided and job.avoided != avoided:
        note = f"the name {job.avoided} is taken by a Job that is not ours; {job.name} migrates instead"
        yield _warning("JobNameTaken", note)
    again = before.job is not None and before.job.hash == job.hash and before.job.attempts < job.attempts
    if again and before.phase is Phase.FAILED:
        yield _normal("RetryAccepted", f"attempt {job.attempts} at {short(job.hash)} as Job {job.name}")


def _phase(before: RecordStatus, after: RecordStatus) -> Iterator[Notice]:
    """Tell of a phase that was entered; the ends of a migration are told by what they leave behind."""
    entered = (before.phase, before.spec_hash) != (after.phase, after.spec_hash)
    what = f"{_image(after.image)} ({short(after.spec_hash)})"
    if after.phase is Phase.RUNNING and _started(before, after):
        job = f"Job {after.job.name}" if after.job else "the Job of the operator or chart"
        yield _normal("MigrationStarted", f"{job} migrates for {what}", on_deployment=True)
    elif after.phase is Phase.WAITING and entered:
        yield _normal("MigrationWaiting", _waiting(after, what), on_deployment=True)
    elif after.phase is Phase.SUPERSEDED and entered:
        job = f"Job {after.job.name}" if after.job else "a Job"
        yield _normal("MigrationSuperseded", f"other inputs are wanted; {job} runs to its end first")
    elif after.phase is Phase.DISABLED and before.phase not in {None, Phase.DISABLED}:
        yield _normal("Disabled", "nothing to migrate any more: disabled, gone, without a database, or too old")


def _started(before: RecordStatus, after: RecordStatus) -> bool:
    """Tell whether another Job runs than before: one that is superseded for a while goes on running."""
    # A complete status goes on naming the Job of other inputs that it found running.
    beside = before.phase is Phase.COMPLETE and before.job is not None and before.job.hash != before.spec_hash
    running = before.phase in {Phase.RUNNING, Phase.SUPERSEDED} or beside
    if after.job is None or before.job is None:
        return not running or before.spec_hash != after.spec_hash or after.job != before.job
    return not running or before.job.uid != after.job.uid


def _waiting(status: RecordStatus, what: str) -> str:
    """Say who has the database: the condition does, and where it does not, the database alone is named."""
    said = next((item for item in status.conditions if item.type == "Progressing" and item.message), None)
    if said is not None and said.reason == f"Migration{Phase.WAITING.value}":
        return _safe(said.message)
    database = status.job.database if status.job else ""
    return f"the migration for {what} waits for another one of {_safe(database) or 'the same database'}"


def _completions(before: RecordStatus, after: RecordStatus) -> Iterator[Notice]:
    new = [done for done in after.completed_hashes if before.completion(done.hash) is None]
    adopted = next((done for done in new if done.evidence is Evidence.ADOPTED), None)
    if adopted is not None:
        note = f"what runs is taken for migrated, without a Job: {_image(adopted.image)} ({short(adopted.hash)})"
        yield _normal("Adopted", note)
    done = next((done for done in new if done.evidence is not Evidence.ADOPTED), None)
    if done is not None:
        took = _took(after.start_time or before.start_time, done)
        note = f"migrated for {_image(done.image)} ({short(done.hash)}){took}; evidence: {done.evidence.value}"
        yield _normal("MigrationComplete", note, on_deployment=True)


def _took(start: datetime | None, done: Completion) -> str:
    """Say how long our own Job took; when another's started is not known."""
    if start is None or done.time is None or done.evidence is not Evidence.JOB or done.time < start:
        return ""
    minutes, seconds = divmod(int((done.time - start).total_seconds()), 60)
    return f" in {minutes} min {seconds} s" if minutes else f" in {seconds} s"


def _failure(before: RecordStatus, after: RecordStatus, namespace: str, name: str) -> Iterator[Notice]:
    """Tell of a failure with the next step; forged evidence is told whatever is wanted by now."""
    failure, old = after.failure, before.failure
    if failure is None:
        return
    kind = failure.classification
    same = old is not None and (old.classification, old.message) == (kind, failure.message)
    if after.phase is Phase.FAILED:
        attempts = [status.job and (status.job.name, status.job.uid) for status in (before, after)]
        same &= before.phase is Phase.FAILED and before.spec_hash == after.spec_hash and attempts[0] == attempts[1]
    elif kind is not FailureClass.EVIDENCE_TAMPERED:
        return
    if same:
        return
    said = f"{kind.value}: {_safe(failure.message) or 'the migration failed'}"
    reason = "EvidenceTampered" if kind is FailureClass.EVIDENCE_TAMPERED else "MigrationFailed"
    yield _warning(reason, f"{said}; {next_step(after, kind, namespace, name)}", on_deployment=True)


def _doubt(before: RecordStatus, after: RecordStatus) -> Iterator[Notice]:
    """Tell of a Job that is refused, or says that it is ours and is not.

    A taken name is told with the attempt that avoids it.
    """
    for reason in (JOB_NOT_CREATED, FOREIGN_JOB):
        known, said = (
            next((item.message for item in status.conditions if item.reason == reason), "")
            for status in (before, after)
        )
        if said and said != known:
            yield _warning(reason, _safe(said))


def next_step(status: RecordStatus, kind: FailureClass, namespace: str, name: str) -> str:
    """Give the one thing to do next. Commands must do what they say: not every failure ends by a retry."""
    if kind is FailureClass.INVALID_INPUTS:
        return "mend that; it is tried again by itself"
    mend = "mend that"
    if kind is FailureClass.EVIDENCE_TAMPERED:
        # Where every pod is changed, by whoever means well, no retry would ever help.
        exempt = f"labelled {COMPONENT}={MIGRATION_COMPONENT}" if status.job else "of this Job"
        mend = f"find out who interfered (a mutating webhook may have changed it: exempt pods {exempt})"
    if status.job is None:
        # The Job of an operator or chart: a retry is theirs, and both make it anew once it is gone.
        return f"{mend}, then run: kubectl delete job {external_name(name)} -n {namespace}"
    return f"{mend}, then run: schemagate retry {name} -n {namespace}"


def _image(image: str) -> str:
    return safe(image, _IMAGE_LIMIT, IMAGE_LIMIT)


def _safe(text: str) -> str:
    return safe(text, _PART_LIMIT, _READ_LIMIT)


def _normal(reason: str, note: str, *, on_deployment: bool = False) -> Notice:
    return Notice(NoticeKind.NORMAL, reason, printable(note, MESSAGE_LIMIT), on_deployment)


def _warning(reason: str, note: str, *, on_deployment: bool = False) -> Notice:
    return Notice(NoticeKind.WARNING, reason, printable(note, MESSAGE_LIMIT), on_deployment)
