"""The webhook server in a thread of its own, and a client that sends whatever bytes it is told."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import pytest
import trustme

from webhook.admission.limits import Limits
from webhook.admission.server import Endpoint, Reply, WebhookServer

PATH = "/validate"
PATIENCE = 15.0
"""Seconds after which a test gives up on the server; nothing waits that long when all is well."""


@dataclass
class Recorder:
    started: int = 0
    finished: list[tuple[str, int]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def request_started(self) -> None:
        self.started += 1

    def request_finished(self, path: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.finished.append((path, status))

    def refused(self, reason: str) -> None:
        self.reasons.append(reason)


class EchoEndpoint:
    """Keeps the body and the time it was given, and answers what the test wants."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.seconds: list[float] = []
        self.entered = threading.Event()
        self.release: asyncio.Event | None = None
        self.reply = Reply(200, b'{"ok":true}')
        self.error: Exception | None = None

    async def __call__(self, body: bytes, *, deadline: float) -> Reply:
        self.bodies.append(body)
        self.seconds.append(deadline - asyncio.get_running_loop().time())
        self.entered.set()
        if self.error is not None:
            raise self.error
        if self.release is not None:
            await self.release.wait()
        return self.reply


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Peer:
    """One connection; blocking, so that a test reads like the exchange it describes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> Self:
        self.sock.sendall(data)
        return self

    def answer(self) -> Answer:
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        assert first.startswith("HTTP/1.")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._fill()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answer(int(first.split()[1]), headers, body)

    def _fill(self) -> None:
        data = self.sock.recv(65536)
        assert data, f"closed after {self._buffer!r}"
        self._buffer += data

    def wait_closed(self) -> bytes:
        """Return what came before the server closed the connection."""
        try:
            while data := self.sock.recv(65536):
                self._buffer += data
        except (ConnectionError, ssl.SSLError):
            pass
        return self._buffer


class Serving:
    """A running server as its tests see it."""

    def __init__(self, run: Callable[[Coroutine[Any, Any, Any]], Any], server: WebhookServer) -> None:
        self.run = run
        self.server = server
        self.endpoint = EchoEndpoint()
        self.recorder = Recorder()
        self.trusted = ssl.create_default_context()

    def tcp(self, receive_buffer: int | None = None) -> Peer:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(("127.0.0.1", self.server.port))
        except OSError:
            sock.close()
            raise
        return Peer(sock)

    def peer(self, receive_buffer: int | None = None) -> Peer:
        raw = self.tcp(receive_buffer).sock
        return Peer(self.trusted.wrap_socket(raw, server_hostname="localhost"))

    def exchange(self, request: bytes) -> Answer:
        with self.peer() as peer:
            return peer.send(request).answer()

    def assert_healthy(self) -> None:
        """A good request on a new connection is answered."""
        assert self.exchange(post(b'{"good":1}')).status == 200
        assert self.endpoint.bodies[-1] == b'{"good":1}'

    async def on_loop(self, call: Callable[[], object]) -> None:
        call()


def post(body: bytes = b"{}", target: str = PATH, **headers: str | None) -> bytes:
    """Build a request; a header given as None is left out."""
    lines: dict[str, str | None] = {
        "host": "localhost",
        "content_type": "application/json",
        "content_length": str(len(body)),
        **headers,
    }
    fields = (f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"POST {target} HTTP/1.1\r\n{''.join(fields)}\r\n".encode("latin-1") + body


def chunked(*chunks: bytes) -> bytes:
    """Build a request whose body is chunked and not ended."""
    head = post(b"", content_length=None, transfer_encoding="chunked")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


Serve = Callable[..., Any]
"""`serve(**limits)` is a context manager that yields a `Serving`."""


@pytest.fixture
def serve(
    server_tls: ssl.SSLContext,
    authority: trustme.CA,
) -> Serve:
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    return partial(_serve, server_tls, trusted)


@contextmanager
def _serve(
    tls: ssl.SSLContext,
    trusted: ssl.SSLContext,
    **limits: Any,
) -> Iterator[Serving]:
    loop = asyncio.new_event_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    thread = threading.Thread(target=loop.run_forever, name="server")
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)

    endpoint, recorder = EchoEndpoint(), Recorder()
    endpoints: dict[str, Endpoint] = {PATH: endpoint}
    server = WebhookServer(endpoints, tls, Limits(**limits), recorder)
    serving = Serving(run, server)
    serving.endpoint, serving.recorder, serving.trusted = endpoint, recorder, trusted
    try:
        run(server.start("127.0.0.1", 0))
        try:
            yield serving
        finally:
            run(server.stop())
        assert not complaints, complaints
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
