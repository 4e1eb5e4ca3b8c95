"""Rollouts that were turned away, and how the record keeps them: the newest distinct ones, and a count of all."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from webhook.policy.decision import printable
from webhook.policy.inputs import short
from webhook.policy.record import KEPT, Phase, Record, Rejection, Rejections

USER_LIMIT = 128
IMAGE_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Rejected:
    """One rollout turned away, ``times`` times. ``hash`` is the full one."""

    namespace: str
    name: str
    hash: str
    reason: str
    user: str
    from_image: str
    to_image: str
    first: datetime
    last: datetime
    times: int = 1

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two rejections one and the same."""
        return (self.namespace, self.name, self.hash, self.reason, self.user, self.from_image, self.to_image)

    def again(self, other: "Rejected") -> "Rejected":
        """Give both as one."""
        first, last = min(self.first, other.first), max(self.last, other.last)
        return replace(self, first=first, last=last, times=self.times + other.times)


def fold(kept: Rejections, news: Iterable[Rejected]) -> Rejections:
    """Give the record's rejections with news added: newest first, at most 20 distinct ones, none uncounted."""
    for new in sorted(news, key=lambda item: item.last):
        kept = _fold(kept, new)
    return kept


def _fold(kept: Rejections, new: Rejected) -> Rejections:
    entry = Rejection(
        hash=short(new.hash),
        reason=new.reason,
        user=printable(new.user, USER_LIMIT),
        from_image=printable(new.from_image, IMAGE_LIMIT),
        to_image=printable(new.to_image, IMAGE_LIMIT),
        count=new.times,
        first=new.first,
        last=new.last,
    )
    same = next((old for old in kept.newest if _what(old) == _what(entry)), None)
    if same is not None:
        entry = replace(
            entry,
            count=same.count + new.times,
            first=min(same.first or new.first, new.first),
            last=max(same.last or new.last, new.last),
        )
    others = tuple(old for old in kept.newest if old is not same)
    return replace(
        kept,
        count=kept.count + new.times,
        first=min(kept.first or new.first, new.first),
        last=max(kept.last or new.last, new.last),
        newest=(entry, *others)[:KEPT],
    )


def _what(entry: Rejection) -> tuple[str, ...]:
    """Give what makes two entries one and the same."""
    return (entry.hash, entry.reason, entry.user, entry.from_image, entry.to_image)


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
        )
        for record in records
        for entry in record.status.rejections.newest
    ]
    return sorted(rows, key=lambda row: (row.first is not None, row.first, row.deployment))


def _outcome(record: Record, entry: Rejection) -> str:
    """Say whether the rollout would pass now, and if not, what it waits for."""
    status = record.status
    done = next((done for done in status.completed_hashes if short(done.hash) == entry.hash), None)
    if done is not None:
        waited = (done.time - entry.first).total_seconds() if done.time and entry.first else 0
        return f"migrated {max(0, round(waited))} s later ({done.evidence}), passes now"
    if short(status.spec_hash) != entry.hash or status.phase is None:
        return "blocked: not migrated"
    if status.phase is Phase.FAILED and status.failure:
        return f"blocked: {status.phase} ({status.failure.classification})"
    return f"blocked: {status.phase}"


def _tag(image: str) -> str:
    return image.rpartition("/")[2]
