"""Break-glass: letting one rollout through on a person's word, for a while, for one hash."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL
from webhook.policy.objects import ObjectMeta, UserInfo

RFC_3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
"""How ``schemagate.io/bypass-until`` is written, for the second lock too.

Go's ``time.RFC3339``, by which CEL reads it; ``fromisoformat`` takes more of ISO 8601, such as weeks.
"""
LONGEST = timedelta(hours=24)
"""How far ahead ``schemagate.io/bypass-until`` may lie, unless a setting says otherwise."""

# How the API server names and groups service accounts (k8s.io/apiserver/pkg/authentication/serviceaccount).
_ACCOUNT_PREFIX = "system:serviceaccount:"
_ACCOUNTS = "system:serviceaccounts"


class BypassRefusal(StrEnum):
    """Why break-glass is not honoured (CamelCase, closed set): the audit annotation and the denial tell it."""

    SERVICE_ACCOUNT = "ServiceAccount"
    DRY_RUN = "DryRun"
    NO_REASON = "NoReason"
    NO_HASH = "NoHash"
    OTHER_HASH = "OtherHash"
    NO_TIME = "NoTime"
    BAD_TIME = "BadTime"
    NO_TIME_ZONE = "NoTimeZone"
    CLOCK_UNKNOWN = "ClockUnknown"
    EXPIRED = "Expired"
    TOO_FAR_AHEAD = "TooFarAhead"
    NOT_AUTHORIZED = "NotAuthorized"
    ACCESS_UNKNOWN = "AccessUnknown"


@dataclass(frozen=True, slots=True)
class Bypass:
    """Break-glass annotations as found on a Deployment."""

    reason: str
    until: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """What counts of who asks and how: ``person`` is false for a service account.

    ``authorized`` is the API server's answer to whether the user holds the verb ``bypass``, None for no answer.
    """

    authorized: bool | None = False
    person: bool = True
    dry_run: bool = False


def bypass_of(meta: ObjectMeta) -> Bypass | None:
    """Give the break-glass annotations, or None when there is not even one of them."""
    reason, until, spec_hash = (meta.annotation(name) for name in (BYPASS_REASON, BYPASS_UNTIL, BYPASS_HASH))
    if reason is None and until is None and spec_hash is None:
        return None
    return Bypass((reason or "").strip(), (until or "").strip(), (spec_hash or "").strip().lower())


def is_person(user: UserInfo) -> bool:
    """Tell whether a user is no service account: neither by name nor by group."""
    return not user.username.startswith(_ACCOUNT_PREFIX) and _ACCOUNTS not in (user.groups or ())


def refusal(
    bypass: Bypass,
    spec_hash: str,
    *,
    now: datetime | None,
    requester: Requester,
    longest: timedelta = LONGEST,
) -> BypassRefusal | None:
    """Say why a bypass is not honoured, or give None when it is.

    ``spec_hash`` is the full hash of the rollout; the annotation names its first 16 digits or more. ``now`` is
    aware, None when the time is not known.
    """
    if not requester.person:
        return BypassRefusal.SERVICE_ACCOUNT
    if requester.dry_run:
        return BypassRefusal.DRY_RUN
    if not bypass.reason:
        return BypassRefusal.NO_REASON
    if not bypass.hash:
        return BypassRefusal.NO_HASH
    if len(bypass.hash) < 16 or not spec_hash.startswith(bypass.hash):
        return BypassRefusal.OTHER_HASH
    untimely = _untimely(bypass.until, now, longest)
    if untimely is not None:
        return untimely
    if requester.authorized is None:
        return BypassRefusal.ACCESS_UNKNOWN
    return None if requester.authorized else BypassRefusal.NOT_AUTHORIZED


def _untimely(text: str, now: datetime | None, longest: timedelta) -> BypassRefusal | None:
    if not text:
        return BypassRefusal.NO_TIME
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        return BypassRefusal.BAD_TIME
    if until.tzinfo is None:
        return BypassRefusal.NO_TIME_ZONE
    if re.fullmatch(RFC_3339, text) is None:
        return BypassRefusal.BAD_TIME
    if now is None:
        return BypassRefusal.CLOCK_UNKNOWN
    if until <= now:
        return BypassRefusal.EXPIRED
    return BypassRefusal.TOO_FAR_AHEAD if until - now > longest else None


def explained(why: BypassRefusal, spec_hash: str, *, longest: timedelta = LONGEST) -> str:
    """Give the words for a refusal: what is wrong, and so what to mend."""
    return _WORDS[why].format(hash=spec_hash[:16], longest=_span(longest))


def _span(longest: timedelta) -> str:
    hours, rest = divmod(longest, timedelta(hours=1))
    return f"{hours} h" if not rest else f"{int(longest.total_seconds())} s"


_WORDS = {
    BypassRefusal.SERVICE_ACCOUNT: "it takes a person, and the user is a service account",
    BypassRefusal.DRY_RUN: "a dry run leaves no record of it",
    BypassRefusal.NO_REASON: f"{BYPASS_REASON} is empty",
    BypassRefusal.NO_HASH: f"{BYPASS_HASH} is empty, it must be {{hash}}",
    BypassRefusal.OTHER_HASH: f"{BYPASS_HASH} must be {{hash}}",
    BypassRefusal.NO_TIME: f"{BYPASS_UNTIL} is empty, it must be an RFC 3339 time",
    BypassRefusal.BAD_TIME: f"{BYPASS_UNTIL} is no RFC 3339 time",
    BypassRefusal.NO_TIME_ZONE: f"{BYPASS_UNTIL} has no time zone",
    BypassRefusal.CLOCK_UNKNOWN: "the time is not known",
    BypassRefusal.EXPIRED: f"{BYPASS_UNTIL} has passed",
    BypassRefusal.TOO_FAR_AHEAD: f"{BYPASS_UNTIL} is more than {{longest}} ahead",
    BypassRefusal.NOT_AUTHORIZED: "the user does not hold the verb bypass on gatewaymigrations",
    BypassRefusal.ACCESS_UNKNOWN: (
        "the API server did not say whether the user holds the verb bypass on gatewaymigrations, try again"
    ),
}
