"""Does somebody lead, and do all mean the same time: Lease and clocks."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from webhook.policy.diagnosis.facts import Facts, Manifest
from webhook.policy.diagnosis.line import Check, Line, Unread, fail, ok, unclear, unknown, warn

LEASE: Final = "schemagate-controller"
_LASTS: Final = 15
"""Seconds that a Lease lasts that does not say so."""
_LONGEST: Final = 300
"""Seconds that ours may last, by its setting."""
_CLOCKS_APART: Final = timedelta(seconds=30)
_LOGS: Final = "logs -l app.kubernetes.io/component=controller"
_GO_BY_IT: Final = "certificates and bypasses go by it"


def duration_of(lease: Manifest) -> float:
    """Give how many seconds a Lease lasts."""
    seconds = (lease.get("spec") or {}).get("leaseDurationSeconds")
    return float(min(seconds, _LONGEST)) if isinstance(seconds, int) and seconds > 0 else _LASTS


def looks_held(lease: Manifest | None, now: datetime) -> bool:
    """Tell whether the times of a Lease alone say that its holder leads.

    They do not for a leader whose clock is behind, nor in the moment between two leaders: read it again later.
    """
    if lease is None or not (lease.get("spec") or {}).get("holderIdentity"):
        return False
    renewed = _renewed(lease)
    return renewed is not None and abs(now - renewed) <= _lasts(lease)


def moved(before: Manifest | None, after: Manifest | None) -> bool:
    """Tell whether somebody took or renewed a Lease between two readings of it."""
    told = [(each or {}).get("spec") or {} for each in (before, after)]
    same = all(told[0].get(field) == told[1].get(field) for field in ("holderIdentity", "renewTime"))
    return not same and bool(told[1].get("holderIdentity"))


def check_leader(facts: Facts) -> list[Line]:
    """Look whether a controller leads: nobody else migrates, releases or renews."""
    if isinstance(facts.lease, Unread):
        return [unknown(Check.LEADER, "whether a controller leads", facts.lease)]
    logs = f"see why none leads: kubectl -n {facts.namespace} {_LOGS}"
    if facts.lease is None:
        return [fail(Check.LEADER, f"no controller ever led: there is no Lease {LEASE}", logs)]
    holder, renewed = (facts.lease.get("spec") or {}).get("holderIdentity"), _renewed(facts.lease)
    if not holder or renewed is None:
        return [fail(Check.LEADER, f"no controller leads: nobody holds Lease {LEASE}", logs)]
    # Its holder's clock wrote the time: what it is off by is no matter where it goes on being renewed.
    if not facts.lease_moved and not looks_held(facts.lease, facts.lease_time):
        seconds = int((facts.lease_time - renewed).total_seconds())
        when = f"{seconds} s ago" if seconds >= 0 else f"{-seconds} s from now"
        said = f"{holder} holds Lease {LEASE}, but renewed it {when}, and not while this was asked"
        return [fail(Check.LEADER, said, logs)]
    return [ok(Check.LEADER, f"{holder} leads")]


def check_clocks(facts: Facts) -> list[Line]:
    """Compare the clocks of the API server, of the leader and of whoever asks."""
    if not facts.timed:
        said = "the API server tells no time: its answers have no header Date"
        return [unclear(Check.CLOCKS, said, "see what takes it away in between, or compare the clocks by hand")]
    lines = []
    apart = facts.local_time - facts.server_time
    if abs(apart) > _CLOCKS_APART:
        said = f"this computer's clock is {_off(apart)} that of the API server"
        lines.append(warn(Check.CLOCKS, said, f"set the clock that is wrong: {_GO_BY_IT}"))
    leads = _leads(facts)
    if leads is not None and abs(leads) > _CLOCKS_APART:
        said = f"the leader's clock is {_off(leads)} that of the API server"
        lines.append(warn(Check.CLOCKS, said, f"set the clock of its node: {_GO_BY_IT}"))
    whose = "API server and this computer" if leads is None else "API server, leader and this computer"
    return lines or [ok(Check.CLOCKS, f"{whose} are less than {int(_CLOCKS_APART.total_seconds())} s apart")]


def _leads(facts: Facts) -> timedelta | None:
    """Give how far the clock of whoever leads is ahead, by its last renewal; None without a leader."""
    if not isinstance(facts.lease, Mapping):
        return None
    renewed = _renewed(facts.lease)
    if renewed is None or not (facts.lease_moved or looks_held(facts.lease, facts.lease_time)):
        return None
    apart = renewed - facts.lease_time
    # It renews three times in what the Lease lasts: so much may have gone by since.
    return apart if apart > timedelta() else min(apart + _lasts(facts.lease) / 3, timedelta())


def _off(apart: timedelta) -> str:
    seconds = int(abs(apart).total_seconds())
    return f"{seconds} s {'ahead of' if apart > timedelta() else 'behind'}"


def _lasts(lease: Manifest) -> timedelta:
    return timedelta(seconds=duration_of(lease))


def _renewed(lease: Manifest) -> datetime | None:
    """Give when a Lease was renewed, None for what is no aware moment."""
    try:
        moment = datetime.fromisoformat(str((lease.get("spec") or {}).get("renewTime")))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
