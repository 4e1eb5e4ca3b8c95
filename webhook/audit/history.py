"""Rollouts that were turned away, as a history is asked for: one row each, and what to leave out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase

from webhook.audit.rejections.rows import audit_rows
from webhook.policy.record import Mode, Record, Rejection, RejectionDecision, RejectionEnd, Rejections


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One rollout that was, or would have been, turned away, ``times`` times.

    ``ended`` is None while it is open; ``passes`` is None where nobody can tell (in the API server's audit log),
    and ``outcome`` empty. Texts are printable, bounded, and hold no credentials.
    """

    namespace: str
    name: str
    decision: RejectionDecision | None
    reason: str
    mode: Mode | None
    hash: str
    user: str
    groups: tuple[str, ...] = ()
    from_image: str = ""
    to_image: str = ""
    bypass_reason: str = ""
    times: int = 1
    first: datetime | None = None
    last: datetime | None = None
    passes: bool | None = None
    ended: RejectionEnd | None = None
    ended_at: datetime | None = None
    outcome: str = ""

    @property
    def open(self) -> bool:
        """Whether nothing has come of it yet."""
        return self.ended is None

    def again(self, other: "Refusal") -> "Refusal":
        """Give both as one."""
        firsts = [item.first for item in (self, other) if item.first]
        lasts = [item.last for item in (self, other) if item.last]
        return replace(
            self,
            times=self.times + other.times,
            first=min(firsts, default=None),
            last=max(lasts, default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows are wanted; what is empty or None asks for nothing. ``user`` may hold ``*`` and ``?``.

    A row that came several times counts as the span from its first to its last; ``since`` and ``until`` are aware.
    """

    namespace: str = ""
    user: str = ""
    reasons: frozenset[str] = frozenset()
    modes: frozenset[Mode] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    open_only: bool = False

    def takes(self, row: Refusal) -> bool:
        """Tell whether a row is wanted; one without a time is in no span."""
        return (
            self.namespace in {"", row.namespace}
            and (not self.user or fnmatchcase(row.user, self.user))
            and (not self.reasons or row.reason in self.reasons)
            and (not self.modes or row.mode in self.modes)
            and (self.since is None or (row.last is not None and row.last >= self.since))
            and (self.until is None or (row.first is not None and row.first <= self.until))
            and (row.open or not self.open_only)
        )


def refusals_of(records: Iterable[Record]) -> list[Refusal]:
    """Give a row for every rejection that records keep, oldest first."""
    rows = [_refusal(record, entry) for record in records for entry in record.status.rejections.newest]
    return in_order(rows)


def in_order(rows: Iterable[Refusal]) -> list[Refusal]:
    """Give rows oldest first, those without a time before all."""
    return sorted(
        rows,
        key=lambda row: (
            row.first.timestamp() if row.first else 0.0,
            row.namespace,
            row.name,
            row.user,
            row.reason,
        ),
    )


def _refusal(record: Record, entry: Rejection) -> Refusal:
    alone = replace(record, status=replace(record.status, rejections=Rejections(newest=(entry,))))
    (row,) = audit_rows([alone])
    return Refusal(
        namespace=record.namespace,
        name=record.name,
        decision=entry.decision,
        reason=entry.reason,
        mode=entry.mode,
        hash=entry.hash,
        user=entry.user,
        groups=entry.groups,
        from_image=entry.from_image,
        to_image=entry.to_image,
        bypass_reason=entry.bypass_reason,
        times=entry.count,
        first=entry.first,
        last=entry.last,
        passes=entry.passes,
        ended=entry.ended,
        ended_at=entry.ended_at,
        outcome=row.outcome,
    )
