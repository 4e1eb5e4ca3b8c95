"""When a certificate is renewed, and why: policy, reasons, and a moment that each certificate fixes itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from certs.authority import BACKDATE, alternative_name
from certs.pair import KeyPair

_JITTER: Final = 0.1
"""How much of a lifetime two certificates of one age may be renewed apart, at most."""
_STEPS: Final = 1024


class Reason(StrEnum):
    """Why a certificate is renewed; the values suit a metric label."""

    MISSING = "Missing"
    UNREADABLE = "Unreadable"
    KEY_MISMATCH = "KeyMismatch"
    EXPIRING = "Expiring"
    CLOCK_BEHIND = "ClockBehind"
    """It is not valid yet: it was made by a clock that was ahead, or this one is behind."""
    NAMES_CHANGED = "NamesChanged"
    WRONG_AUTHORITY = "WrongAuthority"
    """Another authority issued it than the one that issues now."""
    FORCED = "Forced"


@dataclass(frozen=True, slots=True)
class Names:
    """What a leaf certifies: DNS names and addresses."""

    dns: tuple[str, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()

    def check(self) -> None:
        """Raise CertRefused when a certificate cannot have these names."""
        alternative_name(self.dns, self.addresses)

    def of(self, pair: KeyPair) -> bool:
        """Tell whether a pair certifies exactly these."""
        return set(pair.dns_names) == set(self.dns) and set(pair.ip_addresses) == set(self.addresses)


@dataclass(frozen=True, slots=True)
class Policy:
    """How long certificates live. ``settle``: how long all clients have held a new CA before a leaf shows it."""

    names: Names
    ca_lifetime: timedelta = timedelta(days=365)
    leaf_lifetime: timedelta = timedelta(days=90)
    settle: timedelta = timedelta(seconds=60)
    slack: timedelta = timedelta(hours=1)
    """For how long an ended certificate is still told from one that never was: clocks differ."""
    subject: str = "schemagate"
    """How the names of our own CA certificates begin."""


def renew_at(pair: KeyPair) -> datetime:
    """Give when a certificate is due: at two thirds of its life, less up to a tenth that its serial decides.

    Its life starts when it was made, an hour after its first moment: see `certs.authority.BACKDATE`.
    """
    start = pair.not_before + BACKDATE
    if start >= pair.not_after:
        start = pair.not_before
    share = 2 / 3 - _JITTER * (pair.serial % _STEPS) / _STEPS
    return start + (pair.not_after - start) * share


def ageing(pair: KeyPair, now: datetime) -> Reason | None:
    """Say why a certificate is renewed by its dates alone; None when it is not."""
    if now < pair.not_before:
        return Reason.CLOCK_BEHIND
    return Reason.EXPIRING if now >= renew_at(pair) else None
