"""The authorities that are kept: one that issues, one that will, and those whose leaves may still be served.

In storage they are a handful of named values, as a Kubernetes Secret holds them. Whatever part of that can be read
is used: a CA certificate without its key still belongs into the bundle.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from certs.authority import CertificateAuthority
from certs.bundle import certificates, encoded, fingerprint
from certs.errors import CertError, KeyMismatch
from certs.pair import KeyPair
from certs.renewal import Reason

CA_CERTIFICATE: Final = "ca.crt"
CA_KEY: Final = "ca.key"
NEXT_CERTIFICATE: Final = "next.crt"
NEXT_KEY: Final = "next.key"
PREVIOUS: Final = "previous.crt"
ENDS: Final = "ends.json"


@dataclass(frozen=True, slots=True)
class Trust:
    """``current`` issues; ``next`` will, once all clients hold it; of those before it only certificates are left.

    ``ends`` says by fingerprint when the last leaf ends that an authority issued; whoever is missing in it may
    have issued leaves that live as long as itself.
    """

    current: CertificateAuthority
    next: CertificateAuthority | None = None
    previous: tuple[x509.Certificate, ...] = ()
    ends: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """All CA certificates, the newest first."""
        issuing = [self.current] if self.next is None else [self.next, self.current]
        return (*(certificate_of(authority) for authority in issuing), *self.previous)

    def end(self, authority: x509.Certificate) -> datetime:
        """Give when the last leaf of an authority ends."""
        last = authority.not_valid_after_utc
        return min(self.ends.get(fingerprint(authority), last), last)

    def promoted(self) -> "Trust":
        """Give what it becomes when the next authority begins to issue."""
        assert self.next is not None  # noqa: S101 # asked only where there is one
        return replace(self, current=self.next, next=None, previous=(certificate_of(self.current), *self.previous))

    def without(self, gone: frozenset[str]) -> "Trust":
        """Give what it becomes when these previous authorities are forgotten."""
        kept = tuple(authority for authority in self.previous if fingerprint(authority) not in gone)
        ends = {name: end for name, end in self.ends.items() if name not in gone}
        return replace(self, previous=kept, ends=ends)

    def encode(self) -> dict[str, bytes]:
        """Give it as values to store."""
        stored = {
            CA_CERTIFICATE: self.current.certificate_pem,
            CA_KEY: self.current.private_key_pem,
            PREVIOUS: encoded(self.previous),
            ENDS: json.dumps({name: end.isoformat() for name, end in sorted(self.ends.items())}).encode(),
        }
        if self.next is not None:
            stored |= {NEXT_CERTIFICATE: self.next.certificate_pem, NEXT_KEY: self.next.private_key_pem}
        return stored


@dataclass(frozen=True, slots=True)
class Lost:
    """No authority that issues can be read: why, and the CA certificates that are left of it."""

    reason: Reason
    certificates: tuple[x509.Certificate, ...] = ()


def decode(stored: Mapping[str, bytes] | None) -> Trust | Lost:
    """Read what was stored: Lost(Missing) when nothing is. Damage to what issuing does not need is passed over."""
    if stored is None:
        return Lost(Reason.MISSING)
    left = certificates(b"\n".join(stored.get(name, b"") for name in (CA_CERTIFICATE, NEXT_CERTIFICATE, PREVIOUS)))
    try:
        current = CertificateAuthority.from_pem(stored.get(CA_CERTIFICATE, b""), stored.get(CA_KEY, b""))
    except KeyMismatch:
        return Lost(Reason.KEY_MISMATCH, left)
    except CertError:
        return Lost(Reason.UNREADABLE, left)
    following: CertificateAuthority | None = None
    if stored.get(NEXT_CERTIFICATE):
        try:
            following = CertificateAuthority.from_pem(stored[NEXT_CERTIFICATE], stored.get(NEXT_KEY, b""))
        except CertError:
            following = None
    issuing = {authority.fingerprint for authority in (current, following) if authority is not None}
    previous = tuple(authority for authority in left if fingerprint(authority) not in issuing)
    return Trust(current, following, previous, _ends(stored.get(ENDS, b"")))


def certificate_of(authority: CertificateAuthority) -> x509.Certificate:
    """Give the certificate of an authority."""
    return certificates(authority.certificate_pem)[0]


def _ends(text: bytes) -> dict[str, datetime]:
    """Read when last leaves end; what cannot be read is missing, and so counts as late as possible."""
    try:
        found = {str(name): datetime.fromisoformat(end) for name, end in json.loads(text or b"{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}
    return {name: end.astimezone(UTC) for name, end in found.items() if end.tzinfo is not None}


def stored_pair(values: Mapping[str, bytes] | None) -> KeyPair | Reason:
    """Give the serving pair that storage holds, or why it holds none; None: there is no such storage."""
    if values is None:
        return Reason.MISSING
    try:
        return KeyPair.from_pem(values.get("tls.crt", b""), values.get("tls.key", b""))
    except KeyMismatch:
        return Reason.KEY_MISMATCH
    except CertError:
        return Reason.UNREADABLE
