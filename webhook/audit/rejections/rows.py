"""The rejections that records keep as lines of the audit, with what came of each in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from webhook.policy.inputs import short
from webhook.policy.reasons import BEYOND_MIGRATION
from webhook.policy.record import (
    Mode,
    Phase,
    Record,
    RecordStatus,
    Rejection,
    RejectionDecision,
    RejectionEnd,
)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A line of the audit: who was turned away, why, and what came of it."""

    deployment: str
    user: str
    reason: str
    hash: str
    change: str
    times: int
    first: datetime | None
    last: datetime | None
    outcome: str
    groups: tuple[str, ...] = ()
    mode: Mode | None = None
    decision: RejectionDecision | None = None
    bypass_reason: str = ""
    passes: bool = False
    ended: RejectionEnd | None = None
    ended_at: datetime | None = None


def audit_rows(records: Iterable[Record]) -> list[AuditRow]:
    """Give a line for every kept rejection, oldest first."""
    rows = [
        AuditRow(
            deployment=f"{record.namespace}/{record.name}",
            user=entry.user,
            reason=entry.reason,
            hash=entry.hash,
            change=f"{_tag(entry.from_image) or 'new'} → {_tag(entry.to_image) or 'none'}",
            times=entry.count,
            first=entry.first,
            last=entry.last,
            outcome=_outcome(record, entry),
            groups=entry.groups,
            mode=entry.mode,
            decision=entry.decision,
            bypass_reason=entry.bypass_reason,
            passes=entry.passes,
            ended=entry.ended,
            ended_at=entry.ended_at,
        )
        for record in records
        for entry in record.status.rejections.newest
    ]
    return sorted(rows, key=lambda row: (row.first is not None, row.first, row.deployment))


def _outcome(record: Record, entry: Rejection) -> str:
    """Say how it ended; while it is open, whether the rollout would pass now, and if not, what it waits for."""
    status = record.status
    if entry.ended is RejectionEnd.MIGRATED:
        return f"migrated, and admitted {_span(entry.first, entry.ended_at)} after the first try"
    if entry.ended is not None:
        return ENDS[entry.ended]
    if entry.passes:
        return f"{_migrated(status, entry)}, passes now"
    if entry.reason in BEYOND_MIGRATION:
        return f"blocked: {entry.reason}"
    if short(status.spec_hash) != entry.hash or status.phase is None:
        return "blocked: not migrated"
    if status.phase is Phase.FAILED and status.failure:
        return f"blocked: {status.phase} ({status.failure.classification})"
    return f"blocked: {status.phase}"


ENDS: Final = {
    RejectionEnd.ABANDONED: "given up",
    RejectionEnd.BYPASSED: "let through by break-glass",
    RejectionEnd.OPENED: "let through unmigrated",
}
"""How a rollout ended that was not migrated and admitted, in words."""


def _migrated(status: RecordStatus, entry: Rejection) -> str:
    """Say when the hash was migrated, seen from the first try."""
    done = next((done for done in status.completed_hashes if short(done.hash) == entry.hash), None)
    if done is None:
        return "not migrated"
    before = done.time is not None and entry.first is not None and done.time < entry.first
    when = "before" if before else f"{_span(entry.first, done.time)} later"
    return f"migrated {when} ({done.evidence})"


def _span(begin: datetime | None, end: datetime | None) -> str:
    """Give the time from one moment to another, as a person says it."""
    seconds = max(0, round((end - begin).total_seconds())) if begin and end else 0
    minutes = seconds // 60
    if minutes < 2:
        return f"{seconds} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _tag(image: str) -> str:
    return image.rpartition("/")[2]
