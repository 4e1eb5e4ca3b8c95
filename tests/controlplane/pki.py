"""Certificates of a throw-away control plane: its authority, its servers and its clients."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.authority import CertificateAuthority

LIFETIME: Final = timedelta(days=30)
LOOPBACK: Final = IPv4Address("127.0.0.1")
FIRST_SERVICE: Final = IPv4Address("10.0.0.1")
"""The Service `kubernetes`: the first address of the Service range."""


class Authority:
    """A fresh certificate authority, which writes what it issues into a folder."""

    def __init__(self, folder: Path, address: str = str(LOOPBACK)) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._addresses = tuple(dict.fromkeys((LOOPBACK, FIRST_SERVICE, IPv4Address(address))))
        self._authority = CertificateAuthority.create("schemagate test", now=datetime.now(UTC), lifetime=LIFETIME)
        self.ca_file = folder / "ca.crt"
        self.ca_file.write_bytes(self.ca_pem)

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate: what clients of this control plane trust."""
        return self._authority.certificate_pem

    def server(self, name: str, dns_names: Sequence[str] = ("localhost",)) -> tuple[Path, Path]:
        """Issue a certificate for these names and our addresses; give the files of certificate and key."""
        pair = self._authority.issue(
            dns_names, now=datetime.now(UTC), lifetime=LIFETIME, ip_addresses=self._addresses
        )
        return self._write(name, pair.certificate_chain, pair.private_key)

    def client(self, name: str, user: str, groups: Sequence[str] = ()) -> tuple[Path, Path]:
        """Issue a client certificate for a Kubernetes user; give the files of certificate and key."""
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        issuer = x509.load_pem_x509_certificate(self.ca_pem)
        signer = load_pem_private_key(self._authority.private_key_pem, password=None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, user)]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + LIFETIME - timedelta(hours=1))
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(signer, SHA256())
        )
        return self._write(name, certificate.public_bytes(Encoding.PEM), _pem(key))

    def signing_key(self, name: str) -> Path:
        """Make a bare private key, such as the one that signs tokens of service accounts."""
        path = self._folder / f"{name}.key"
        key = ec.generate_private_key(ec.SECP256R1())
        # Not PKCS #8: the API server finds the public half in this form alone.
        _write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        return path

    def _write(self, name: str, certificate: bytes, key: bytes) -> tuple[Path, Path]:
        certificate_file, key_file = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        certificate_file.write_bytes(certificate)
        _write_private(key_file, key)
        return certificate_file, key_file


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
