"""Certificates for a TLS server: where they come from, and how they reach the handshake.

A `KeyPair` is the currency: a chain and its key, checked when made, so a broken one never exists. Three
sources give pairs. `CertificateAuthority` makes them: it creates itself or is restored from PEM, and issues
leaves that strict readers accept. `FilePairSource` reads them from two files, as a mounted Secret holds
them, from one state of the directory, and can follow the files as they change. `trust.stored_pair` reads one
from values that somebody stored. One sink takes pairs: `ServingContext` owns the `ssl.SSLContext` that a
listener uses all its life, and shows each new handshake the newest good pair while open connections go on.

Whoever issues for several servers keeps a `trust`: the authorities, as they are stored. `renewal` says when a
certificate is due and why, `plan` what to do next about all of them, from the `situation` as it is observed;
`bundle` is what clients trust, and `choice` which of two leaves a server shows them.

No part has a clock: time and waiting come in as arguments. Each failure is a `CertError`, whose message
says what to do and never quotes key material; a failed reload leaves the last good pair in use. Nothing here
knows of Kubernetes or of the webhook, and only the standard library and `cryptography` are needed.
"""

from certs.authority import CertificateAuthority
from certs.clients import AllowedClients
from certs.errors import AuthorityNotValid, CertError, CertRefused, CertUnreadable, KeyMismatch
from certs.files import FilePairSource, ReloadOutcome, ReloadReport
from certs.pair import KeyPair
from certs.serving import ServingContext

__all__ = [
    "AllowedClients",
    "AuthorityNotValid",
    "CertError",
    "CertRefused",
    "CertUnreadable",
    "CertificateAuthority",
    "FilePairSource",
    "KeyMismatch",
    "KeyPair",
    "ReloadOutcome",
    "ReloadReport",
    "ServingContext",
]
