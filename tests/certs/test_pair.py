import traceback
from contextlib import suppress
from datetime import UTC, timedelta
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from certs import CertError, CertUnreadable, KeyMismatch, KeyPair
from tests.certs.handshakes import DAY, NOW, authority, issued, openssl

PAIR = issued()
OTHER = issued()


def test_the_leaf_is_read_on_construction() -> None:
    addresses: list[IPv4Address | IPv6Address] = [IPv4Address("127.0.0.1"), IPv6Address("::1")]
    pair = authority().issue(["a.svc", "b.svc"], now=NOW, lifetime=DAY, ip_addresses=addresses)
    leaf = x509.load_pem_x509_certificate(pair.certificate_chain)
    assert pair.not_before == NOW - timedelta(hours=1)
    assert pair.not_after == NOW + DAY
    assert pair.not_before.tzinfo is UTC
    assert pair.not_after.tzinfo is UTC
    assert pair.dns_names == ("a.svc", "b.svc")
    assert pair.ip_addresses == tuple(addresses)
    assert pair.serial == leaf.serial_number
    assert pair.fingerprint == sha256(leaf.public_bytes(Encoding.DER)).hexdigest()


def test_a_chain_from_elsewhere_is_read_by_its_leaf() -> None:
    root = trustme.CA()
    leaf = root.create_child_ca().issue_cert("elsewhere.example", key_type=trustme.KeyType.RSA)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    assert chain.count(b"BEGIN") > 1
    assert KeyPair.from_pem(chain, leaf.private_key_pem.bytes()).dns_names == ("elsewhere.example",)


def test_a_certificate_without_alternative_names_has_none() -> None:
    pair = KeyPair.from_pem(authority().certificate_pem, authority().private_key_pem)
    assert pair.dns_names == ()
    assert pair.ip_addresses == ()


def test_the_form_that_openssl_ecparam_writes_is_read(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    assert openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", str(key)).returncode == 0
    made = openssl("req", "-x509", "-new", "-key", str(key), "-subj", "/CN=x", "-out", str(certificate))
    assert made.returncode == 0
    assert b"EC PARAMETERS" in key.read_bytes()
    assert KeyPair.from_files(certificate, key).serial > 0


def test_equal_bytes_make_equal_pairs() -> None:
    twin = KeyPair.from_pem(PAIR.certificate_chain, PAIR.private_key)
    assert twin == PAIR
    assert hash(twin) == hash(PAIR)
    assert twin != OTHER


def test_a_pair_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        PAIR.private_key = OTHER.private_key  # type: ignore[misc]


def test_a_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(KeyMismatch, match="give both from one issue"):
        KeyPair.from_pem(PAIR.certificate_chain, OTHER.private_key)


def test_a_chain_in_the_wrong_order_is_refused() -> None:
    with pytest.raises(KeyMismatch, match="the leaf at the head"):
        KeyPair.from_pem(authority().certificate_pem + PAIR.certificate_chain, PAIR.private_key)


@pytest.mark.parametrize("cut", [1, 30, 300])
def test_a_half_written_certificate_is_unreadable(cut: int) -> None:
    with pytest.raises(CertUnreadable, match="certificate chain"):
        KeyPair.from_pem(PAIR.certificate_chain.rstrip()[:-cut], PAIR.private_key)


@pytest.mark.parametrize("cut", [1, 30, 300])
def test_a_half_written_second_certificate_is_unreadable(cut: int) -> None:
    chain = PAIR.certificate_chain + authority().certificate_pem.rstrip()[:-cut]
    with pytest.raises(CertUnreadable, match="half-written"):
        KeyPair.from_pem(chain, PAIR.private_key)


@pytest.mark.parametrize("cut", [1, 30, 150])
def test_a_half_written_key_is_unreadable(cut: int) -> None:
    with pytest.raises(CertUnreadable, match="private key"):
        KeyPair.from_pem(PAIR.certificate_chain, PAIR.private_key.rstrip()[:-cut])


def test_an_encrypted_key_is_refused_with_the_command_that_helps() -> None:
    key = load_pem_private_key(PAIR.private_key, password=None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    with pytest.raises(CertUnreadable, match="openssl pkey"):
        KeyPair.from_pem(PAIR.certificate_chain, locked)


@pytest.mark.parametrize("broken", ["certificate", "key", "mismatch"])
def test_errors_from_files_name_both_and_keep_their_kind(tmp_path: Path, broken: str) -> None:
    cert_path, key_path = tmp_path / "tls.crt", tmp_path / "tls.key"
    cert_path.write_bytes(PAIR.certificate_chain[: 100 if broken == "certificate" else None])
    key_path.write_bytes((OTHER if broken == "mismatch" else PAIR).private_key[: 99 if broken == "key" else None])
    with pytest.raises(KeyMismatch if broken == "mismatch" else CertUnreadable) as caught:
        KeyPair.from_files(cert_path, key_path)
    assert str(cert_path) in str(caught.value)
    assert str(key_path) in str(caught.value)


def test_files_give_the_pair_they_hold(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(PAIR.certificate_chain)
    (tmp_path / "k").write_bytes(PAIR.private_key)
    assert KeyPair.from_files(tmp_path / "c", tmp_path / "k") == PAIR


def test_repr_and_errors_hold_no_key_material() -> None:
    secrets = PAIR.private_key.decode().splitlines()[1:-1]
    said = [repr(PAIR), repr(authority())]
    cut = PAIR.private_key[:-40]
    for chain, key in [(OTHER.certificate_chain, PAIR.private_key), (PAIR.certificate_chain, cut), (cut, cut)]:
        with pytest.raises(CertError) as caught:
            KeyPair.from_pem(chain, key)
        said += traceback.format_exception(caught.value)
    assert not [secret for secret in secrets if secret in "".join(said)]
    assert "private_key" not in repr(PAIR)


@given(at=st.integers(0, 2000), put=st.binary(max_size=40), dropped=st.integers(0, 200), in_key=st.booleans())
def test_damaged_material_is_never_an_error_of_another_kind(
    at: int, put: bytes, dropped: int, in_key: bool
) -> None:
    def damaged(content: bytes) -> bytes:
        place = at % len(content)
        return content[:place] + put + content[place + dropped :]

    chain, key = PAIR.certificate_chain, PAIR.private_key
    with suppress(CertError):
        KeyPair.from_pem(chain if in_key else damaged(chain), damaged(key) if in_key else key)
