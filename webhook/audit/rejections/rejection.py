"""Rollouts that were turned away, and how the record keeps them: the newest distinct ones, and a count of all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from webhook.policy.decision import printable
from webhook.policy.inputs import short
from webhook.policy.record import (
    KEPT,
    Mode,
    Rejection,
    RejectionDecision,
    Rejections,
)
from webhook.policy.record.wire import BYPASS_REASON_LIMIT, GROUPS_KEPT
from webhook.policy.redaction import redact_head

NEWCOMERS = 5
"""How many entries of a decision may push older ones out of a full record within a minute: more is a flood, and
counted alone."""
_MINUTE = timedelta(minutes=1)
USER_LIMIT = 128
IMAGE_LIMIT = 256
READ_LIMIT = 600
"""Longest part of a text that is searched for credentials, since the search takes the square of it."""
# Without one of these there is no credential that could be told; most texts are spared the search.
_SUSPICIOUS = ("//", "@", "authorization", "pass", "assw", "pwd", "secret", "token", "credential", "%", "user")


@lru_cache(maxsize=2048)
def _shown(text: str, limit: int) -> str:
    line = printable(text, 2 * READ_LIMIT)
    folded = line.casefold()
    suspicious = len(line) > READ_LIMIT or any(word in folded for word in _SUSPICIOUS)
    return printable(redact_head(line, READ_LIMIT) if suspicious else line, limit)


def shown(text: str, limit: int) -> str:
    """Give what is shown of a text that a request chose: one printable line, bounded, without credentials.

    ``limit`` is in characters, below ``READ_LIMIT``.
    """
    return _shown(text[: READ_LIMIT + 1], limit)  # one more tells that there is more


def telling(groups: Sequence[str]) -> tuple[str, ...]:
    """Give the groups that tell something of a person: the first 5, without those that everybody is in."""
    common = ("system:authenticated", "system:serviceaccounts")
    found = (group for group in groups if group not in common and not group.startswith("system:serviceaccounts:"))
    return tuple(group for group, _ in zip(found, range(GROUPS_KEPT), strict=False))


@dataclass(frozen=True, slots=True)
class Rejected:
    """One rollout that was, or would have been, turned away, ``times`` times. ``hash`` is the full one.

    ``decision`` is None in what an older replica hands over.
    """

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
    groups: tuple[str, ...] = ()
    mode: Mode | None = None
    decision: RejectionDecision | None = None
    bypass_reason: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two rejections one and the same."""
        what = (self.namespace, self.name, self.hash, self.reason, self.decision or "")
        return (*what, self.user, self.from_image, self.to_image)

    def again(self, other: "Rejected") -> "Rejected":
        """Give both as one."""
        first, last = min(self.first, other.first), max(self.last, other.last)
        return replace(self, first=first, last=last, times=self.times + other.times)


def fold(kept: Rejections, news: Iterable[Rejected]) -> Rejections:
    """Give the record's rejections with news added: newest first, at most 20 distinct ones, none uncounted.

    Anybody who reaches the webhook may invent denials, so that what is kept already is pushed out slowly.
    """
    for new in sorted(news, key=lambda item: item.last):
        kept = _fold(kept, new)
    return kept


def _fold(kept: Rejections, new: Rejected) -> Rejections:
    entry = Rejection(
        hash=short(new.hash),
        reason=new.reason,
        user=shown(new.user, USER_LIMIT),
        from_image=shown(new.from_image, IMAGE_LIMIT),
        to_image=shown(new.to_image, IMAGE_LIMIT),
        groups=tuple(shown(group, USER_LIMIT) for group in new.groups[:GROUPS_KEPT]),
        mode=new.mode,
        decision=new.decision,
        bypass_reason=shown(new.bypass_reason, BYPASS_REASON_LIMIT),
        count=new.times,
        first=new.first,
        last=new.last,
    )
    same = next((old for old in kept.newest if _what(old) == _what(entry)), None)
    if same is not None:
        anew = same.ended_at is not None and new.first > same.ended_at
        entry = replace(
            entry,
            count=same.count + new.times,
            first=new.first if anew else min(same.first or new.first, new.first),
            last=max(same.last or new.last, new.last),
        )
        if (
            same.ended_at is not None and new.last <= same.ended_at
        ):  # news that travelled longer than it took to end
            entry = replace(entry, passes=same.passes, ended=same.ended, ended_at=same.ended_at)
    others = tuple(old for old in kept.newest if old is not same)
    return replace(
        kept,
        count=kept.count + new.times,
        first=min(kept.first or new.first, new.first),
        last=max(kept.last or new.last, new.last),
        newest=kept.newest if same is None and _flooded(kept, new) else (entry, *others)[:KEPT],
    )


def _flooded(kept: Rejections, new: Rejected) -> bool:
    """Tell whether the record is full, and has taken in enough others of its decision within a minute of this one.

    Denials can be made up by whoever reaches the webhook, and must not keep out that somebody broke glass.
    """
    since = new.first - _MINUTE
    alike = (entry for entry in kept.newest if _decision(entry) is _decision(new))
    newcomers = sum(entry.first is not None and entry.first > since for entry in alike)
    return len(kept.newest) >= KEPT and newcomers >= NEWCOMERS


def _decision(entry: Rejection | Rejected) -> RejectionDecision:
    """Give what was done; older replicas told denials alone."""
    return entry.decision or RejectionDecision.DENIED


def _what(entry: Rejection) -> tuple[str, ...]:
    """Give what makes two entries one and the same."""
    return (entry.hash, entry.reason, entry.decision or "", entry.user, entry.from_image, entry.to_image)
