"""A certificate authority of our own: makes itself, is restored from PEM, issues server certificates.

Every extension is what strict readers ask for: RFC 5280 4.2.1, the checks behind `openssl verify
-x509_strict`, and Python, whose default client context is strict since 3.13 (`ssl.VERIFY_X509_STRICT`).
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.errors import AuthorityNotValid, CertRefused
from certs.pair import KeyPair

BACKDATE: Final = timedelta(hours=1)
"""How far back validity starts, so that a reader whose clock is slow does not refuse."""

COMMON_NAME_LIMIT: Final = 64
"""Characters in a common name at most (RFC 5280 A.1, ub-common-name)."""

DNS_NAME_LIMIT: Final = 253
"""Characters in a DNS name at most (RFC 1035 2.3.4: 255 octets on the wire)."""

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME: Final = re.compile(
    rf"(?:\*\.)?(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}",  # RFC 1123 2.1; a last label of digits is an address
    re.IGNORECASE | re.ASCII,
)


class CertificateAuthority:
    """Issues server certificates under one CA certificate; `create` or `from_pem` makes one.

    Holds the CA's private key in memory, never in repr. Time always comes in as an argument.
    """

    __slots__ = ("_certificate", "_key", "_pair")

    def __init__(self, pair: KeyPair) -> None:
        """Take the CA certificate, alone in its chain, with its key; raises CertRefused if it is no CA."""
        certificates = x509.load_pem_x509_certificates(pair.certificate_chain)
        if len(certificates) != 1:
            raise CertRefused("the authority's PEM holds a chain: give the CA certificate alone")
        key = load_pem_private_key(pair.private_key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise CertRefused("the authority's key is neither ECDSA nor RSA: make an authority with such a key")
        if not _may_sign(certificates[0]):
            raise CertRefused("the certificate may not sign others: give one with CA:TRUE and keyCertSign")
        self._certificate, self._key, self._pair = certificates[0], key, pair

    @classmethod
    def create(cls, common_name: str, *, now: datetime, lifetime: timedelta) -> Self:
        """Give a new self-signed authority, valid from an hour before `now` until `now + lifetime`.

        The name is 1 to 64 characters, else CertRefused. ValueError for a naive `now` or no lifetime.
        """
        if not 1 <= len(common_name) <= COMMON_NAME_LIMIT:
            raise CertRefused(f"the authority's name must have 1 to {COMMON_NAME_LIMIT} characters: shorten it")
        moment = _checked(now, lifetime)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - BACKDATE)
            .not_valid_after(moment + lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
            )
            .sign(key, SHA256())
        )
        return cls(KeyPair(certificate.public_bytes(Encoding.PEM), _key_pem(key)))

    @classmethod
    def from_pem(cls, certificate: bytes, key: bytes) -> Self:
        """Give the authority that PEM describes; raises CertUnreadable, KeyMismatch or CertRefused."""
        return cls(KeyPair(certificate, key))

    @property
    def pair(self) -> KeyPair:
        """The CA certificate with its key."""
        return self._pair

    @property
    def certificate_pem(self) -> bytes:
        """The CA certificate as PEM: what clients trust (a webhook's caBundle)."""
        return self._pair.certificate_chain

    @property
    def private_key_pem(self) -> bytes:
        """The CA's private key as unencrypted PEM: to store with `certificate_pem`, never to log."""
        return self._pair.private_key

    @property
    def not_after(self) -> datetime:
        """Last moment of the CA's validity, aware, UTC."""
        return self._pair.not_after

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the CA certificate's DER form, 64 lower-case hexadecimal digits."""
        return self._pair.fingerprint

    def issue(
        self,
        dns_names: Sequence[str],
        *,
        now: datetime,
        lifetime: timedelta,
        ip_addresses: Sequence[IPv4Address | IPv6Address] = (),
    ) -> KeyPair:
        """Give a fresh server certificate (ECDSA P-256) for these names and addresses, with its key.

        Valid from an hour before `now` until `now + lifetime`, both kept within the authority's own
        validity. Names live in the subject alternative name only; the subject is empty, as a service
        name may exceed the 64 characters of a common name, and so the extension is critical (RFC 5280
        4.2.1.6). Raises CertRefused for no name at all or one that is not a DNS name, AuthorityNotValid
        when `now` is outside the authority's validity, ValueError for a naive `now` or no lifetime.
        """
        moment = _checked(now, lifetime)
        issuer = self._pair
        if not issuer.not_before <= moment < issuer.not_after:
            raise AuthorityNotValid(
                f"the authority is valid from {issuer.not_before:%Y-%m-%dT%H:%M:%SZ} to "
                f"{issuer.not_after:%Y-%m-%dT%H:%M:%SZ}: make a new one, or set the clock right"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(moment - BACKDATE, issuer.not_before))
            .not_valid_after(min(moment + lifetime, issuer.not_after))
            .add_extension(alternative_name(dns_names, ip_addresses), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_authority_key_identifier(self._certificate), critical=False)
            .sign(self._key, SHA256())
        )
        return KeyPair(certificate.public_bytes(Encoding.PEM), _key_pem(key))

    def __repr__(self) -> str:
        return f"<CertificateAuthority {self._certificate.subject.rfc4514_string()} {self.fingerprint[:16]}>"


def _checked(now: datetime, lifetime: timedelta) -> datetime:
    """Give `now` in whole seconds, the grain of X.509 times."""
    if now.utcoffset() is None:
        raise ValueError("now must be an aware datetime: datetime.now(UTC)")
    if lifetime < timedelta(seconds=1):
        raise ValueError("lifetime must be a second or more")
    return now.replace(microsecond=0)


def _may_sign(certificate: x509.Certificate) -> bool:
    """Tell whether RFC 5280 lets this certificate sign others (4.2.1.3, 4.2.1.9)."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return constraints.ca
    return constraints.ca and usage.key_cert_sign


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Signing only: with elliptic curves TLS never encrypts with the certified key."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def alternative_name(
    dns_names: Sequence[str], ip_addresses: Sequence[IPv4Address | IPv6Address]
) -> x509.SubjectAlternativeName:
    """Give the extension that holds these names; CertRefused for none at all or one that is not a DNS name."""
    if isinstance(dns_names, str):
        raise TypeError("dns_names must be a sequence of names, not one string")
    for name in dns_names:
        if len(name) > DNS_NAME_LIMIT or not _DNS_NAME.fullmatch(name):
            raise CertRefused(
                f"{name!r} is not a DNS name: use letters, digits and hyphens between dots "
                "(an address goes into ip_addresses, an international name in its xn-- form)"
            )
    entries: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(dns_names)]
    entries += [x509.IPAddress(address) for address in dict.fromkeys(ip_addresses)]
    if not entries:
        raise CertRefused("a server certificate needs a name: give a DNS name or an address")
    return x509.SubjectAlternativeName(entries)


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Point to the issuer's key by the identifier it carries, or by its key when it carries none."""
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        key = issuer.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)  # noqa: S101 - see __init__
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
