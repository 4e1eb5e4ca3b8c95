"""What the log of a migration says: why it failed, in one line; and its tail, safe to show.

Read from logs of Liquibase 4.33 with MySQL Connector/J 9.4 on MariaDB 10.11 (``tests/testdata/migration_logs``).
A Java stack trace follows what counts, often longer than the tail that is shown.
"""

import re
from dataclasses import dataclass
from typing import Final

from webhook.policy.decision import printable
from webhook.policy.record import FailureClass
from webhook.policy.redaction import redact

TAIL_LINES: Final = 15
LINE_LIMIT: Final = 300
_BYTES: Final = 64 * 1024
_READ_LIMIT: Final = 2000

# First match wins; the group, where there is one, is what the message names. A changeset that failed comes first:
# its own reason may be a lost connection or a right that is missing, and then the schema is no longer what it was.
_ENDS: Final = tuple(
    (kind, re.compile(pattern, re.IGNORECASE | re.MULTILINE), message)
    for kind, pattern, message in (
        (
            FailureClass.CHANGESET_FAILED,
            r"migration failed for change ?set ([^\n]{1,200}?)(?::?\s*$|:\s)",
            "changeset {} failed",
        ),
        (
            FailureClass.CHANGESET_FAILED,
            r"^\s*([^\s\n][^\n]{0,200}?) was: \d+:\w+ but is now: \d+:\w+",
            "changeset {} was changed after it ran",
        ),
        (
            FailureClass.LOCK_HELD,
            r"currently locked by ([^\n]{1,200})",
            "the schema lock is held by {}",
        ),
        (FailureClass.LOCK_HELD, r"could not acquire change ?log lock", ""),
        (FailureClass.AUTH_FAILED, r"access denied for user|authentication.{0,40}fail", ""),
        (
            FailureClass.DATABASE_UNREACHABLE,
            r"((?:unknown ?host(?:exception)?: [^\s:]{1,253})|unknown database '[^'\n]{1,64}')",
            "the database could not be reached: {}",
        ),
        (
            FailureClass.DATABASE_UNREACHABLE,
            r"(connection refused|no route to host|network is unreachable|connect(?:ion)? timed out)",
            "the database could not be reached: {}",
        ),
        (FailureClass.DATABASE_UNREACHABLE, r"communications link failure|unknown host|unknown database", ""),
    )
)
_LAST_RESORT: Final = re.compile(
    r"migration failed for change ?set|validation failed|liquibase.*exception", re.IGNORECASE
)
_WAITS: Final = "waiting for changelog lock"
# The first is not logged at level off, the second at every level.
_HAS_THE_LOCK: Final = re.compile(r"successfully acquired change ?log lock|running changeset", re.IGNORECASE)
_RUNS: Final = re.compile(r"running changeset: ([^\n]{1,200})", re.IGNORECASE)
_SUMMARY: Final = "UPDATE SUMMARY"
_FRAME: Final = re.compile(r"\s+at [\w.$/@<>]+\(|\s+\.\.\. \d+ (?:more|common frames)")


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a migration failed by its log; ``message`` is empty where the log says no more than the class."""

    classification: FailureClass
    message: str = ""


def finding(log: str) -> Finding | None:
    """Give what the log says of the failure; None when it says nothing, as that of a migration that was killed."""
    log = log[-_BYTES:]
    for kind, pattern, message in _ENDS:
        if found := pattern.search(log):
            named = printable(message.format(redact(found[1])), LINE_LIMIT) if message else ""
            return Finding(kind, named)
    if _still_waits(log):
        return Finding(FailureClass.LOCK_HELD)
    return Finding(FailureClass.CHANGESET_FAILED) if _LAST_RESORT.search(log) else None


def interrupted(log: str) -> str:
    """Give the changeset that was running when the log ended, so that it may be half applied; empty for none."""
    started = list(_RUNS.finditer(log[-_BYTES:]))
    if not started or _SUMMARY in started[-1].string[started[-1].end() :]:
        return ""
    return printable(redact(started[-1][1]), LINE_LIMIT)


def redacted_tail(log: str) -> str:
    """Give the last lines of a log without stack frames, printable and without credentials."""
    # Bounded before it is searched: whoever writes the log chooses its text.
    lines = [line[:_READ_LIMIT] for line in log[-_BYTES:].splitlines() if line.strip() and not _FRAME.match(line)]
    return "\n".join(printable(redact(line), LINE_LIMIT) for line in lines[-TAIL_LINES:])


def _still_waits(log: str) -> bool:
    """Tell whether the lock was waited for to the end: who got it after a wait may have failed in another way."""
    waits = log.lower().rfind(_WAITS)
    return waits >= 0 and not _HAS_THE_LOCK.search(log, waits)
