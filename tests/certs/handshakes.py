"""What the tests of this folder share: strict readers, real handshakes, a Secret volume on disk."""

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from certs import CertificateAuthority, KeyPair, ServingContext

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
"""Real, as OpenSSL looks at the clock in each handshake; tests of dates name their own."""


@cache
def authority() -> CertificateAuthority:
    return CertificateAuthority.create("schemagate test CA", now=NOW, lifetime=10 * DAY)


def issued(name: str = "localhost") -> KeyPair:
    return authority().issue([name], now=NOW, lifetime=DAY)


def openssl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    binary = shutil.which("openssl")
    if binary is None:
        pytest.fail("these tests need the openssl command: apt-get install openssl")
    return subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)


def strict_client(trusted: bytes | None = None) -> ssl.SSLContext:
    """Give a client that reads as Python 3.13 does by default: VERIFY_X509_STRICT."""
    context = ssl.create_default_context(cadata=(trusted or authority().certificate_pem).decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def listening(serving: ServingContext) -> AsyncIterator[int]:
    """Serve an echo of lines over TLS on loopback; gives the port."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=serving.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def tls(self) -> ssl.SSLObject:
        found = self.writer.get_extra_info("ssl_object")
        assert isinstance(found, ssl.SSLObject)
        return found

    @property
    def fingerprint(self) -> str:
        der = self.tls.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der).fingerprint(SHA256()).hex()

    async def echo(self, word: bytes) -> bytes:
        self.writer.write(word + b"\n")
        await self.writer.drain()
        return (await self.reader.readline()).rstrip()


@asynccontextmanager
async def connected(
    port: int, name: str | None = "localhost", context: ssl.SSLContext | None = None
) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context or strict_client(), server_hostname=name
    )
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


async def shown(port: int, name: str = "localhost", context: ssl.SSLContext | None = None) -> str:
    """Give the fingerprint that a new handshake sees."""
    async with connected(port, name, context) as connection:
        assert await connection.echo(b"served") == b"served"
        return connection.fingerprint


def in_memory(
    serving: ServingContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLObject:
    """Play one handshake without sockets, for what asyncio hides.

    Its client cannot offer a session, and its server ends a failed handshake with no word of why.
    """
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(down, up, server_hostname="localhost", session=session)
    far = serving.context.wrap_bio(up, down, server_side=True)
    for step in (near.do_handshake, far.do_handshake, near.do_handshake, far.do_handshake):
        try:
            step()
        except ssl.SSLWantReadError:
            continue
    far.write(b"tickets go first")
    assert near.read(64) == b"tickets go first"
    return near


class SecretVolume:
    """A directory laid out and swapped as the kubelet does it (atomic_writer.go)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cert_path, self.key_path = root / "tls.crt", root / "tls.key"

    def prepare(self, version: str, chain: bytes, key: bytes) -> Path:
        state = self.root / f"..{version}"
        state.mkdir()
        (state / "tls.crt").write_bytes(chain)
        (state / "tls.key").write_bytes(key)
        return state

    def swap(self, version: str) -> None:
        temporary = self.root / "..data_tmp"
        temporary.symlink_to(f"..{version}")
        os.replace(temporary, self.root / "..data")  # noqa: PTH105 - the call the kubelet makes
        for path in (self.cert_path, self.key_path):
            if not path.is_symlink():
                path.symlink_to(f"..data/{path.name}")

    def publish(self, version: str, pair: KeyPair) -> None:
        self.prepare(version, pair.certificate_chain, pair.private_key)
        self.swap(version)
