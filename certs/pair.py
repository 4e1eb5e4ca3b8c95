"""A certificate chain and its private key as one checked value."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from certs.errors import CertUnreadable, KeyMismatch
from certs.reading import read_files

_CERTIFICATE_BEGIN: Final = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
_CHAIN_ADVICE: Final = "give complete PEM certificates, the leaf first (a half-written file needs a later try)"
_KEY_ADVICE: Final = "give one complete, unencrypted PEM key (openssl pkey -in old.key -out new.key)"
UNPARSABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for material it cannot take (its x509 reference, "Exceptions")."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain, leaf first, with the leaf's private key; one that exists is sound.

    Takes both as PEM, the key unencrypted; the other fields are read from the leaf. Raises CertUnreadable
    when either cannot be parsed and KeyMismatch when they do not belong together. Dates are not judged:
    there is no clock here. Two pairs are equal when their bytes are.
    """

    certificate_chain: bytes
    """PEM, the leaf first, then the certificates that lead to the authority, if any."""
    private_key: bytes = field(repr=False)
    """PEM, unencrypted; kept out of repr."""
    not_before: datetime = field(init=False, compare=False)
    """First moment of validity, aware, UTC."""
    not_after: datetime = field(init=False, compare=False)
    """Last moment of validity, aware, UTC."""
    dns_names: tuple[str, ...] = field(init=False, compare=False)
    """DNS entries of the subject alternative name, in the order of the certificate."""
    ip_addresses: tuple[IPv4Address | IPv6Address, ...] = field(init=False, compare=False)
    """Address entries of the subject alternative name."""
    serial: int = field(init=False, compare=False)
    """The issuer's number for the leaf."""
    fingerprint: str = field(init=False, compare=False)
    """SHA-256 of the leaf's DER form, 64 lower-case hexadecimal digits."""

    def __post_init__(self) -> None:
        with _unreadable("certificate chain", _CHAIN_ADVICE):
            leaf = _leaf(self.certificate_chain)
            names = _alternative_names(leaf)
            certified = _public_bytes(leaf.public_key())
        with _unreadable("private key", _KEY_ADVICE):
            held = _public_bytes(load_pem_private_key(self.private_key, password=None).public_key())
        if certified != held:
            raise KeyMismatch(
                "the private key does not belong to the first certificate: give both from one issue, the "
                "leaf at the head of the chain (while the files are being replaced this passes by itself)"
            )
        self._derive("not_before", leaf.not_valid_before_utc)
        self._derive("not_after", leaf.not_valid_after_utc)
        self._derive("dns_names", tuple(names.get_values_for_type(x509.DNSName)))
        self._derive("ip_addresses", tuple(names.get_values_for_type(x509.IPAddress)))
        self._derive("serial", leaf.serial_number)
        self._derive("fingerprint", leaf.fingerprint(SHA256()).hex())

    def _derive(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the one way to fill a derived field of a frozen dataclass

    @classmethod
    def from_pem(cls, chain: bytes, key: bytes) -> Self:
        """Give the pair made of a PEM chain and a PEM key; raises CertUnreadable or KeyMismatch."""
        return cls(chain, key)

    @classmethod
    def from_files(cls, cert_path: Path, key_path: Path) -> Self:
        """Give the pair that two PEM files hold; raises CertUnreadable or KeyMismatch, naming the files.

        Both are read from one state of their directory (see `certs.reading`), so that the swap of a
        mounted Secret never gives a mixed pair.
        """
        chain, key = read_files(cert_path, key_path)
        try:
            return cls(chain, key)
        except (CertUnreadable, KeyMismatch) as error:
            raise type(error)(f"{cert_path} with {key_path}: {error}") from error


@contextmanager
def _unreadable(what: str, advice: str) -> Iterator[None]:
    try:
        yield
    except UNPARSABLE as error:
        raise CertUnreadable(f"cannot read the {what}: {advice}") from error


def _leaf(chain: bytes) -> x509.Certificate:
    """Give the first certificate; ValueError unless every certificate that begins can be read."""
    certificates = x509.load_pem_x509_certificates(chain)
    if len(certificates) != len(_CERTIFICATE_BEGIN.findall(chain)):
        raise ValueError("the last certificate is cut off")  # cryptography drops it in silence
    return certificates[0]


def _alternative_names(leaf: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
