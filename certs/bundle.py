"""Bundles: the CA certificates that a client trusts, as PEM, and what they verify."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from certs.pair import UNPARSABLE, KeyPair

_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


def certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Give the certificates of a bundle that can be read, each once, in their order; damage is left out."""
    found: dict[str, x509.Certificate] = {}
    for block in _BLOCK.findall(pem):
        certificate = _parsed(block)
        if certificate is not None:
            found.setdefault(fingerprint(certificate), certificate)
    return tuple(found.values())


def encoded(bundle: Iterable[x509.Certificate]) -> bytes:
    """Give a bundle as PEM, each certificate once."""
    once = {fingerprint(certificate): certificate for certificate in bundle}
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in once.values())


def fingerprint(certificate: x509.Certificate) -> str:
    """Give SHA-256 of the DER form, in 64 hexadecimal digits."""
    return certificate.fingerprint(SHA256()).hex()


def fingerprints(pem: bytes) -> frozenset[str]:
    """Give the fingerprints of the certificates of a bundle that can be read."""
    return frozenset(fingerprint(certificate) for certificate in certificates(pem))


def valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Tell whether a certificate is valid at a moment."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


@lru_cache(maxsize=1024)
def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether a certificate bears the name and the signature of an issuer."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def verifies(bundle: bytes, pair: KeyPair, now: datetime) -> bool:
    """Tell whether a client that trusts the bundle accepts the pair's certificate at a moment, whatever its name.

    As Go reads it, and so the API server: any certificate of the bundle ends the search, and each on the way has
    to be valid.
    """
    chain = [certificate for certificate in certificates(pair.certificate_chain) if valid(certificate, now)]
    anchors = [certificate for certificate in certificates(bundle) if valid(certificate, now)]
    leaf = leaf_of(pair)
    return valid(leaf, now) and _anchored(leaf, chain, anchors)


def leaf_of(pair: KeyPair) -> x509.Certificate:
    """Give the first certificate of a pair."""
    return certificates(pair.certificate_chain)[0]


def _anchored(
    certificate: x509.Certificate, chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> bool:
    if certificate in anchors or any(issued_by(certificate, anchor) for anchor in anchors):
        return True
    rest = [other for other in chain if other != certificate]
    return any(issued_by(certificate, other) and _anchored(other, rest, anchors) for other in rest)


@lru_cache(maxsize=256)
def _parsed(block: bytes) -> x509.Certificate | None:
    try:
        certificate = x509.load_pem_x509_certificate(block)
        certificate.extensions  # noqa: B018 # read here, as what is damaged raises only when it is read
        certificate.public_key()
    except UNPARSABLE:
        return None
    return certificate
