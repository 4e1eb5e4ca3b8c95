from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs import (
    AuthorityNotValid,
    CertificateAuthority,
    CertRefused,
    KeyMismatch,
    KeyPair,
    ServingContext,
)
from tests.certs.handshakes import DAY, NOW, authority, issued, listening, openssl, shown, strict_client

LONG = f"{'g' * 63}.{'n' * 63}.svc"
SERVICE = ["gate", "gate.system", "gate.system.svc", "gate.system.svc.cluster.local"]
HOUR = timedelta(hours=1)
YEAR = 365 * DAY

KINDS: list[tuple[list[str], list[str], str]] = [
    (SERVICE, [], "gate.system.svc"),
    (["*.system.svc"], [], "gate.system.svc"),
    ([LONG], [], LONG),
    (["localhost"], ["127.0.0.1", "::1"], "127.0.0.1"),
    ([], ["127.0.0.1"], "127.0.0.1"),
]


def leaf_of(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate_chain)


def ca_certificate(ca: CertificateAuthority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(ca.certificate_pem)


def listed(certificate: x509.Certificate) -> dict[type[x509.ExtensionType], tuple[bool, x509.ExtensionType]]:
    return {type(entry.value): (entry.critical, entry.value) for entry in certificate.extensions}


def usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def issue(dns: Sequence[str], addresses: Sequence[str], ca: CertificateAuthority | None = None) -> KeyPair:
    return (ca or authority()).issue(
        dns, now=NOW, lifetime=DAY, ip_addresses=[ip_address(address) for address in addresses]
    )


def foreign(
    *, ca: bool, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | None = None
) -> tuple[bytes, bytes]:
    """Give a self-signed certificate with BasicConstraints and nothing else, as a poor tool makes it."""
    signer = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "foreign")])
    certificate = (
        x509.CertificateBuilder(name, name, signer.public_key(), 7, NOW - HOUR, NOW + YEAR)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else SHA256())
    )
    pem = signer.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem


def test_every_extension_of_the_authority() -> None:
    certificate = ca_certificate(authority())
    identifier = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    assert listed(certificate) == {
        x509.BasicConstraints: (True, x509.BasicConstraints(ca=True, path_length=0)),
        x509.KeyUsage: (True, usage(signs=True)),
        x509.SubjectKeyIdentifier: (False, identifier),
        x509.AuthorityKeyIdentifier: (
            False,
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
        ),
    }


def test_every_extension_of_a_leaf() -> None:
    addresses: list[IPv4Address | IPv6Address] = [IPv4Address("127.0.0.1"), IPv6Address("::1")]
    leaf = leaf_of(authority().issue(SERVICE, now=NOW, lifetime=DAY, ip_addresses=addresses))
    names = [*(x509.DNSName(name) for name in SERVICE), *(x509.IPAddress(one) for one in addresses)]
    issuer = x509.SubjectKeyIdentifier.from_public_key(ca_certificate(authority()).public_key())
    assert listed(leaf) == {
        x509.SubjectAlternativeName: (True, x509.SubjectAlternativeName(names)),
        x509.BasicConstraints: (True, x509.BasicConstraints(ca=False, path_length=None)),
        x509.KeyUsage: (True, usage(signs=False)),
        x509.ExtendedKeyUsage: (False, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
        x509.SubjectKeyIdentifier: (False, x509.SubjectKeyIdentifier.from_public_key(leaf.public_key())),
        x509.AuthorityKeyIdentifier: (
            False,
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer),
        ),
    }


def test_names_keys_and_signatures() -> None:
    certificate, leaf = ca_certificate(authority()), leaf_of(issued())
    assert certificate.subject == certificate.issuer == leaf.issuer
    assert certificate.subject.rfc4514_string() == "CN=schemagate test CA"
    assert not list(leaf.subject)
    for one in (certificate, leaf):
        key = one.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
        assert isinstance(one.signature_hash_algorithm, SHA256)
        one.verify_directly_issued_by(certificate)


def test_serials_are_random_positive_and_long() -> None:
    serials = {issued().serial for _ in range(20)}
    assert len(serials) == 20
    assert all(0 < serial < 2**159 for serial in serials)  # RFC 5280 4.1.2.2: 20 octets at most
    assert max(serials) > 2**128


def test_validity_starts_an_hour_back_and_ends_after_the_lifetime() -> None:
    now = datetime(2030, 1, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    ca = CertificateAuthority.create("x", now=now, lifetime=YEAR)
    pair = ca.issue(["x"], now=now + DAY, lifetime=DAY)
    second = now.replace(microsecond=0)
    assert ca_certificate(ca).not_valid_before_utc == second - HOUR
    assert ca.not_after == second + YEAR
    assert (pair.not_before, pair.not_after) == (second + DAY - HOUR, second + 2 * DAY)


def test_another_time_zone_is_the_same_moment() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    assert authority().issue(["x"], now=there, lifetime=DAY).not_after == NOW + DAY


def test_a_leaf_stays_within_the_validity_of_its_authority() -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    ca = CertificateAuthority.create("x", now=start, lifetime=DAY)
    early = ca.issue(["x"], now=start - HOUR, lifetime=HOUR)
    assert early.not_before == start - HOUR
    late = ca.issue(["x"], now=start + DAY - timedelta(seconds=1), lifetime=YEAR)
    assert late.not_after == ca.not_after


@pytest.mark.parametrize("offset", [DAY, 2 * DAY, -2 * HOUR])
def test_an_authority_out_of_date_issues_nothing(offset: timedelta) -> None:
    ca = CertificateAuthority.create("x", now=NOW, lifetime=DAY)
    with pytest.raises(AuthorityNotValid, match="make a new one"):
        ca.issue(["x"], now=NOW + offset, lifetime=HOUR)


@pytest.mark.parametrize(
    ("now", "lifetime"),
    [(NOW.replace(tzinfo=None), DAY), (NOW, timedelta()), (NOW, -DAY), (NOW, timedelta(milliseconds=9))],
)
def test_a_naive_date_or_no_lifetime_is_a_wrong_argument(now: datetime, lifetime: timedelta) -> None:
    with pytest.raises(ValueError):
        CertificateAuthority.create("x", now=now, lifetime=lifetime)
    with pytest.raises(ValueError):
        authority().issue(["x"], now=now, lifetime=lifetime)


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_common_name_has_1_to_64_characters(name: str) -> None:
    with pytest.raises(CertRefused, match="1 to 64"):
        CertificateAuthority.create(name, now=NOW, lifetime=DAY)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        "a b",
        "-a",
        "a-",
        "a.",
        "10.0.0.1",
        "::1",
        "*",
        "*.",
        "a.*.b",
        "ä.example",
        "a\n",
        "a\0b",
        "x" * 64,
        ".".join(["x" * 62] * 5),
    ],
)
def test_what_is_no_dns_name_is_refused(name: str) -> None:
    with pytest.raises(CertRefused, match="is not a DNS name"):
        authority().issue([name], now=NOW, lifetime=DAY)


@pytest.mark.parametrize("name", ["a", "A.svc", "1a", "a.1b", "xn--4ca.example", "*.a", "x" * 63, "a--b.svc"])
def test_what_is_a_dns_name_is_taken(name: str) -> None:
    assert issued(name).dns_names == (name,)


def test_a_name_given_twice_is_listed_once() -> None:
    assert issue(["a", "b", "a"], ["::1", "::1"]).dns_names == ("a", "b")


def test_no_name_at_all_is_refused_and_one_string_is_a_wrong_argument() -> None:
    with pytest.raises(CertRefused, match="needs a name"):
        authority().issue([], now=NOW, lifetime=DAY)
    with pytest.raises(TypeError):
        authority().issue("localhost", now=NOW, lifetime=DAY)


def test_a_restored_authority_is_the_same_authority() -> None:
    restored = CertificateAuthority.from_pem(authority().certificate_pem, authority().private_key_pem)
    assert restored.certificate_pem == authority().certificate_pem
    assert restored.fingerprint == authority().fingerprint
    leaf_of(issue(["x"], [], restored)).verify_directly_issued_by(ca_certificate(authority()))


def test_only_a_usable_authority_is_restored() -> None:
    leaf = issued()
    two = authority().certificate_pem * 2
    odd = foreign(ca=True, key=ed25519.Ed25519PrivateKey.generate())
    for certificate, key, said in [
        (leaf.certificate_chain, leaf.private_key, "may not sign others"),
        (*foreign(ca=False), "may not sign others"),
        (two, authority().private_key_pem, "alone"),
        (*odd, "neither ECDSA nor RSA"),
    ]:
        with pytest.raises(CertRefused, match=said):
            CertificateAuthority.from_pem(certificate, key)
    with pytest.raises(KeyMismatch):
        CertificateAuthority.from_pem(authority().certificate_pem, leaf.private_key)


def test_an_authority_without_key_identifier_is_pointed_to_by_its_key() -> None:
    ca = CertificateAuthority.from_pem(*foreign(ca=True, key=rsa.generate_private_key(65537, 2048)))
    pointer = leaf_of(issue(["x"], [], ca)).extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    own = x509.SubjectKeyIdentifier.from_public_key(ca_certificate(ca).public_key())
    assert pointer.value.key_identifier == own.digest


@pytest.mark.parametrize(("dns", "addresses", "asked"), KINDS)
def test_openssl_accepts_each_kind_in_strict_mode(
    tmp_path: Path, dns: list[str], addresses: list[str], asked: str
) -> None:
    ca_path, leaf_path = tmp_path / "ca.pem", tmp_path / "leaf.pem"
    ca_path.write_bytes(authority().certificate_pem)
    leaf_path.write_bytes(issue(dns, addresses).certificate_chain)
    option = "-verify_ip" if addresses else "-verify_hostname"
    strict = ["verify", "-x509_strict", "-check_ss_sig", "-CAfile", str(ca_path)]
    run = openssl(*strict, "-purpose", "sslserver", option, asked, str(leaf_path))
    assert run.returncode == 0, run.stderr
    run = openssl(*strict, str(ca_path))
    assert run.returncode == 0, run.stderr
    run = openssl(*strict, "-verify_hostname", "other.example", str(leaf_path))
    assert "hostname mismatch" in run.stderr


@pytest.mark.parametrize(("dns", "addresses", "asked"), KINDS)
async def test_python_accepts_each_kind_in_strict_mode(dns: list[str], addresses: list[str], asked: str) -> None:
    pair = issue(dns, addresses)
    async with listening(ServingContext(pair)) as port:
        assert await shown(port, asked) == pair.fingerprint


async def test_a_bundle_of_two_authorities_accepts_leaves_of_both() -> None:
    """The state in the middle of a rotation: same name, two keys."""
    other = CertificateAuthority.create("schemagate test CA", now=NOW, lifetime=DAY)
    client = strict_client(authority().certificate_pem + other.certificate_pem)
    for ca in (authority(), other):
        pair = issue(["localhost"], [], ca)
        async with listening(ServingContext(pair)) as port:
            assert await shown(port, context=client) == pair.fingerprint


async def test_an_authority_made_elsewhere_can_be_used() -> None:
    made = trustme.CA(key_type=trustme.KeyType.RSA)
    ca = CertificateAuthority.from_pem(made.cert_pem.bytes(), made.private_key_pem.bytes())
    pair = issue(["localhost"], [], ca)
    async with listening(ServingContext(pair)) as port:
        assert await shown(port, context=strict_client(ca.certificate_pem)) == pair.fingerprint
