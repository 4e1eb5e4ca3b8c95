"""Why a migration failed, told from the pod's state and its log; and the log's tail, safe to show."""

import re
from dataclasses import dataclass

from webhook.policy.decision import printable
from webhook.policy.migration.redaction import redact
from webhook.policy.record import Failure, FailureClass

TAIL_LINES = 15
LINE_LIMIT = 300
_READ_LIMIT = 2000

# First match wins. Texts of Liquibase 4 (StandardLockService, ChangeLogParseException, MigrationFailedException)
# and of MySQL Connector/J 8 and 9.
_LOG: tuple[tuple[FailureClass, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (
            FailureClass.LOCK_HELD,
            r"could not acquire change ?log lock|currently locked by|waiting for changelog lock",
        ),
        (FailureClass.AUTH_FAILED, r"access denied for user|authentication.{0,40}fail"),
        (
            FailureClass.DATABASE_UNREACHABLE,
            r"communications link failure|unknown host|connection refused|unknown database|no route to host",
        ),
        (
            FailureClass.CHANGESET_FAILED,
            r"migration failed for change ?set|validation failed|liquibase.*exception",
        ),
    )
)
_HOLDER = re.compile(r"currently locked by ([^\n]{1,200})", re.IGNORECASE)
_CHANGESET = re.compile(r"change ?set ([^\s]{1,200})", re.IGNORECASE)
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
    tail = redacted_tail(end.log)
    kind = next((kind for kind, pattern in _LOG if pattern.search(end.log)), None)
    reasons = (*end.reasons, end.obstacle.partition(":")[0])
    known = (known for reason, known in _REASONS.items() if reason in reasons)
    kind = kind or next(known, FailureClass.UNKNOWN)
    return Failure(classification=kind, message=_message(kind, end, tail), log_tail=tail)


def redacted_tail(log: str) -> str:
    """Give the last lines of a log, printable and without credentials."""
    # Bounded before it is searched: whoever writes the log chooses its text.
    lines = [line[:_READ_LIMIT] for line in log[-64 * 1024 :].splitlines() if line.strip()]
    return "\n".join(printable(redact(line), LINE_LIMIT) for line in lines[-TAIL_LINES:])


def _message(kind: FailureClass, end: PodEnd, tail: str) -> str:
    pattern = {FailureClass.LOCK_HELD: _HOLDER, FailureClass.CHANGESET_FAILED: _CHANGESET}.get(kind)
    found = pattern.search(tail) if pattern else None
    if found and kind is FailureClass.LOCK_HELD:
        return printable(f"the schema lock is held by {found[1]}", LINE_LIMIT)
    if found:
        return printable(f"changeset {found[1].rstrip(':')} failed", LINE_LIMIT)
    if end.obstacle and _REASONS.get(end.obstacle.partition(":")[0]) is kind:
        # What never ran has an exit code all the same, once it is deleted: 137.
        return printable(f"{_MEANING[kind]}: {redact(end.obstacle)}", LINE_LIMIT)
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
