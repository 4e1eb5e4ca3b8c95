import resource
import ssl

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs import CertError, CertRefused, KeyMismatch, KeyPair, ServingContext
from tests.certs.handshakes import DAY, NOW, connected, in_memory, issued, listening, shown, strict_client


def weak() -> KeyPair:
    """Give a sound pair that OpenSSL will not serve: an RSA key of 1024 bits."""
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([])
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW, NOW + DAY).sign(key, SHA256())
    return KeyPair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


async def test_a_handshake_shows_the_pair_and_speaks_http_1_1() -> None:
    pair = issued()
    client = strict_client()
    client.set_alpn_protocols(["h2", "http/1.1"])
    async with listening(ServingContext(pair)) as port, connected(port, context=client) as connection:
        assert connection.fingerprint == pair.fingerprint
        assert connection.tls.selected_alpn_protocol() == "http/1.1"
        assert connection.tls.version() == "TLSv1.3"
        assert await connection.echo(b"hello") == b"hello"


async def test_a_name_that_the_certificate_lacks_is_refused() -> None:
    async with listening(ServingContext(issued("gate.system.svc"))) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await shown(port, "gate.other.svc")


async def test_a_client_that_sends_no_name_is_served() -> None:
    client = strict_client()
    client.check_hostname = False
    pair = issued()
    async with listening(ServingContext(pair)) as port, connected(port, "", client) as connection:
        assert connection.fingerprint == pair.fingerprint


async def test_tls_1_2_is_the_oldest_version_unless_told_otherwise() -> None:
    client = strict_client()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    pair = issued()
    async with listening(ServingContext(pair)) as port, connected(port, context=client) as connection:
        assert connection.tls.version() == "TLSv1.2"
    newest = ServingContext(pair, minimum_version=ssl.TLSVersion.TLSv1_3)
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        in_memory(newest, client)


def test_the_settings_of_the_context() -> None:
    context = ServingContext(issued()).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


async def test_an_update_reaches_new_handshakes_while_an_open_connection_goes_on() -> None:
    old, new = issued(), issued()
    serving = ServingContext(old)
    context = serving.context
    async with listening(serving) as port, connected(port) as connection:
        assert await connection.echo(b"before") == b"before"
        assert serving.update(new) is True
        assert serving.context is context
        assert serving.pair == new
        assert await shown(port) == new.fingerprint
        assert connection.fingerprint == old.fingerprint
        assert await connection.echo(b"after") == b"after"


def test_the_same_bytes_are_no_update() -> None:
    pair = issued()
    serving = ServingContext(pair)
    assert serving.update(KeyPair.from_pem(pair.certificate_chain, pair.private_key)) is False
    assert serving.pair is pair


async def test_a_pair_that_openssl_refuses_leaves_the_live_context_working() -> None:
    pair, bad = issued(), weak()
    serving = ServingContext(pair)
    async with listening(serving) as port:
        with pytest.raises(CertRefused, match="2048 bits"):
            serving.update(bad)
        assert serving.pair is pair
        assert await shown(port) == pair.fingerprint
        assert serving.update(issued()) is True
        assert await shown(port) == serving.pair.fingerprint


def test_a_first_pair_that_openssl_refuses_is_an_error() -> None:
    bad = weak()
    with pytest.raises(CertRefused):
        ServingContext(bad)


async def test_a_key_of_another_certificate_leaves_the_live_context_working() -> None:
    old, new = issued(), issued()
    serving = ServingContext(old)
    async with listening(serving) as port:
        with pytest.raises(KeyMismatch):
            serving.update(KeyPair.from_pem(new.certificate_chain, old.private_key))
        assert await shown(port) == old.fingerprint


async def test_no_descriptor_left_is_an_error_that_leaves_the_live_context_working() -> None:
    old, new = issued(), issued()
    serving = ServingContext(old)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with listening(serving) as port:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            with pytest.raises(CertError, match="check open files"):
                serving.update(new)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert await shown(port) == old.fingerprint
        assert serving.update(new) is True
        assert await shown(port) == new.fingerprint


async def test_after_a_change_of_key_kind_no_client_sees_the_old_certificate() -> None:
    """OpenSSL keeps one certificate per kind of key in a context: the old one must not linger."""
    ca = trustme.CA()
    kinds = {}
    for kind in (trustme.KeyType.RSA, trustme.KeyType.ECDSA):
        leaf = ca.issue_cert("localhost", key_type=kind)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        kinds[kind] = KeyPair(chain, leaf.private_key_pem.bytes())
    client = strict_client(ca.cert_pem.bytes())
    wants_rsa = strict_client(ca.cert_pem.bytes())
    wants_rsa.maximum_version = ssl.TLSVersion.TLSv1_2
    wants_rsa.set_ciphers("ECDHE+aRSA")
    serving = ServingContext(kinds[trustme.KeyType.RSA])
    async with listening(serving) as port:
        assert await shown(port, context=wants_rsa) == kinds[trustme.KeyType.RSA].fingerprint
        serving.update(kinds[trustme.KeyType.ECDSA])
        assert await shown(port, context=client) == kinds[trustme.KeyType.ECDSA].fingerprint
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
        in_memory(serving, wants_rsa)


def test_a_session_from_before_an_update_is_resumed_after_it() -> None:
    serving, client = ServingContext(issued()), strict_client()
    first = in_memory(serving, client)
    serving.update(issued())
    assert in_memory(serving, client, first.session).session_reused is True
