"""Why a migration failed, told from the pod's state and its log."""

from dataclasses import dataclass

from webhook.policy.decision import printable
from webhook.policy.migration.migration_log import LINE_LIMIT, finding, interrupted, redacted_tail
from webhook.policy.record import Failure, FailureClass
from webhook.policy.redaction import redact

# First found wins: what stopped the pod before the deadline that it then ran into.
_REASONS = {
    "ImagePullBackOff": FailureClass.IMAGE_PULL,
    "ErrImagePull": FailureClass.IMAGE_PULL,
    "InvalidImageName": FailureClass.IMAGE_PULL,
    "CreateContainerConfigError": FailureClass.CONFIGURATION,
    "FailedCreate": FailureClass.JOB_NOT_STARTED,
    "Unschedulable": FailureClass.JOB_NOT_STARTED,
    "Evicted": FailureClass.EVICTED,
    "DeadlineExceeded": FailureClass.DEADLINE_EXCEEDED,
}


@dataclass(frozen=True, slots=True)
class PodEnd:
    """How the last pod of a failed Job ended: reasons of Job and pod, exit code, log text.

    ``obstacle`` is what kept its pod from running (``obstacles``), a reason and what was said of it.
    """

    reasons: tuple[str, ...] = ()
    exit_code: int | None = None
    log: str = ""
    obstacle: str = ""


def classify(end: PodEnd) -> Failure:
    """Give the failure's class, a message of one line, and the redacted tail of the log.

    The log speaks before the reason: a held lock and a slow migration both end at the deadline, and only the
    log tells them apart.
    """
    told = finding(end.log)
    reasons = (*end.reasons, end.obstacle.partition(":")[0])
    known = next((known for reason, known in _REASONS.items() if reason in reasons), FailureClass.UNKNOWN)
    kind = told.classification if told else known
    message = (told.message if told else "") or _message(kind, end)
    return Failure(classification=kind, message=message, log_tail=redacted_tail(end.log))


def _message(kind: FailureClass, end: PodEnd) -> str:
    if end.obstacle and _REASONS.get(end.obstacle.partition(":")[0]) is kind:
        # What never ran has an exit code all the same, once it is deleted: 137.
        return printable(f"{_MEANING[kind]}: {redact(end.obstacle)}", LINE_LIMIT)
    changeset = interrupted(end.log)
    if changeset:
        return printable(f"{_MEANING[kind]} while changeset {changeset} ran", LINE_LIMIT)
    code = f", exit code {end.exit_code}" if end.exit_code else ""
    return printable(f"{_MEANING[kind]}{code}", LINE_LIMIT)


_MEANING = {
    FailureClass.IMAGE_PULL: "the image could not be pulled",
    FailureClass.DATABASE_UNREACHABLE: "the database could not be reached",
    FailureClass.AUTH_FAILED: "the database refused the credentials",
    FailureClass.LOCK_HELD: "the schema lock is held",
    FailureClass.CHANGESET_FAILED: "a changeset failed",
    FailureClass.DEADLINE_EXCEEDED: "the Job ran into its deadline",
    FailureClass.EVICTED: "the pod was evicted",
    FailureClass.CONFIGURATION: "a Secret, ConfigMap or key that the pod needs is missing",
    FailureClass.JOB_NOT_STARTED: "the pod of the Job could not be started",
    FailureClass.UNKNOWN: "the migration pod failed",
}
