"""Break-glass: letting one rollout through on a person's word, for a while, for one hash."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL
from webhook.policy.objects import ObjectMeta

LONGEST = timedelta(hours=24)
"""How far ahead ``schemagate.io/bypass-until`` may lie."""


@dataclass(frozen=True, slots=True)
class Bypass:
    """Break-glass annotations as found on a Deployment."""

    reason: str
    until: str
    hash: str


def bypass_of(meta: ObjectMeta) -> Bypass | None:
    """Give the break-glass annotations, or None when there is not even one of them."""
    reason, until, spec_hash = (meta.annotation(name) for name in (BYPASS_REASON, BYPASS_UNTIL, BYPASS_HASH))
    if reason is None and until is None and spec_hash is None:
        return None
    return Bypass((reason or "").strip(), (until or "").strip(), (spec_hash or "").strip().lower())


def refusal(bypass: Bypass, spec_hash: str, *, now: datetime, authorized: bool) -> str | None:
    """Say why a bypass is not honoured, or give None when it is.

    ``spec_hash`` is the full hash of the rollout; the annotation names its first 16 digits or more. ``now`` is
    aware. ``authorized`` is the API server's answer to whether the user holds the verb ``bypass``.
    """
    if not bypass.reason:
        return f"{BYPASS_REASON} is empty"
    if len(bypass.hash) < 16 or not spec_hash.startswith(bypass.hash):
        return f"{BYPASS_HASH} must be {spec_hash[:16]}"
    try:
        until = datetime.fromisoformat(bypass.until)
    except ValueError:
        return f"{BYPASS_UNTIL} is no RFC 3339 time"
    if until.tzinfo is None:
        return f"{BYPASS_UNTIL} has no time zone"
    if until <= now:
        return f"{BYPASS_UNTIL} has passed"
    if until > now + LONGEST:
        return f"{BYPASS_UNTIL} is more than {LONGEST // timedelta(hours=1)} h ahead"
    return None if authorized else "the user does not hold the verb bypass on gatewaymigrations"
