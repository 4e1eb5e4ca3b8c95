"""HTTPS server of the admission webhook. It knows HTTP and time, and nothing of policy.

A fault of the caller is answered with 4xx and one line that says what was expected. A fault of
our own is answered with 500 and never with an AdmissionReview, so that the failurePolicy of the
webhook configuration decides and not the fault.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, Protocol, cast
from urllib.parse import parse_qs, urlsplit

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from webhook.admission.connections import Connection, Connections, Welcome
from webhook.admission.limits import Limits

_log = structlog.get_logger("schemagate.http")
_JSON = re.compile(r'application/json(?:\s*;\s*charset="?utf-8"?)?\s*', re.IGNORECASE | re.ASCII)
_UNKNOWN_PATH = "other"
_CLIENT_GONE = 499


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answers."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Endpoint(Protocol):
    """Answers one AdmissionReview."""

    async def __call__(self, body: bytes, *, deadline: float) -> Reply:
        """Answer `body` before the event loop's clock shows `deadline`."""


class HttpRecorder(Protocol):
    """What the server tells telemetry; every value comes from a closed set."""

    def request_started(self) -> None:
        """Count a request whose headers are complete."""

    def request_finished(self, path: str, status: int, seconds: float) -> None:
        """Count an answer; `path` is a known one or `other`, `status` 499 means that nobody waited for it."""

    def refused(self, reason: str) -> None:
        """Count a request or connection turned away."""


class _Refusal(Exception):  # noqa: N818 # not an error of ours
    def __init__(self, status: int, reason: str, line: str) -> None:
        super().__init__(line)
        self.reason = reason
        self.reply = _plain(status, line)


class _Route(NamedTuple):
    path: str
    endpoint: Endpoint | None
    seconds: float


class _Answer(web.StreamResponse):
    """An answer that is bytes already, head and body in one write.

    It implements the three members through which aiohttp's RequestHandler sends a response, and
    leaves the rest of StreamResponse uninitialised.
    """

    def __init__(self, wire: bytes, *, keep_alive: bool) -> None:
        self._wire = wire
        self._keep = keep_alive

    @property
    def keep_alive(self) -> bool:
        """Tell aiohttp whether to read another request."""
        return self._keep

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send everything in one write."""
        await request.writer.write(self._wire)
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: the end is sent."""


class WebhookServer:
    """Serves `endpoints` (path to endpoint) over HTTP/1.1 and TLS."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        tls: ssl.SSLContext,
        limits: Limits,
        recorder: HttpRecorder,
        welcome: Welcome = lambda _: True,
    ) -> None:
        self._endpoints = dict(endpoints)
        self._tls = tls
        self._limits = limits
        self._recorder = recorder
        self._welcome = welcome
        self._route = lru_cache(maxsize=64)(self._find_route)
        self._held_bytes = 0
        self._draining = False
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen on `host` and `port`; port 0 means any free one."""
        self._loop = asyncio.get_running_loop()
        self._http = web.Server(self._handle)
        self._connections = Connections(self._limits, self._recorder.refused, self._welcome)
        self._listener = await self._loop.create_server(
            lambda: Connection(self._connections, self._http),
            host,
            port,
            ssl=self._tls,
            ssl_handshake_timeout=self._limits.handshake_seconds,
            ssl_shutdown_timeout=self._limits.write_seconds,
            backlog=self._limits.backlog,
        )
        self._port = int(self._listener.sockets[0].getsockname()[1])

    @property
    def port(self) -> int:
        """The port listened on."""
        return self._port

    def drain(self) -> None:
        """Close every connection after its next answer; go on accepting new ones."""
        self._draining = True

    async def stop(self) -> None:
        """Stop listening, let requests that have begun finish in time, close the rest."""
        self.drain()
        if self._listener is None:
            return  # it never listened
        self._listener.close()
        await self._connections.finish()
        await self._http.shutdown(timeout=0.1)  # cancels the handlers that are left
        await self._connections.drop()

    def _find_route(self, target: str) -> _Route:
        """Look up a request target as sent; the API server sends a handful, so they are cached."""
        try:
            url = urlsplit(target)
        except ValueError:
            return _Route(_UNKNOWN_PATH, None, 0)
        endpoint = self._endpoints.get(url.path)
        if endpoint is None:
            return _Route(_UNKNOWN_PATH, None, 0)
        timeout = parse_qs(url.query).get("timeout", [""])[0]
        return _Route(url.path, endpoint, self._limits.decision_time(url.path, timeout))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast(Connection, request.protocol)
        if connection.writing_paused:  # the peer has yet to read our last answer
            await request.writer.drain()
        connection.begin()
        started = self._loop.time()
        self._recorder.request_started()
        route = self._route(request.raw_path)
        status = _CLIENT_GONE
        try:
            reply = await self._answer(request, connection, route, started)
            status = reply.status
        except _Refusal as refusal:
            self._recorder.refused(refusal.reason)
            reply = refusal.reply
            status = reply.status
        finally:
            self._held_bytes -= connection.held_bytes
            connection.held_bytes = 0
            now = self._loop.time()
            connection.end(now)
            self._recorder.request_finished(route.path, status, now - started)
        keep = not self._draining and request.keep_alive and request.content.is_eof()
        body = b"" if request.method == "HEAD" else reply.body
        head = _head(reply.status, reply.content_type, keep)
        return _Answer(b"%b%d\r\n\r\n%b" % (head, len(body), body), keep_alive=keep)

    async def _answer(
        self, request: web.BaseRequest, connection: Connection, route: _Route, started: float
    ) -> Reply:
        if route.endpoint is None:
            raise _Refusal(404, "path", f"expected one of the paths {', '.join(sorted(self._endpoints))}")
        await self._check(request)
        body = None
        try:
            # One timer for both waits: making one costs a tenth of a usual decision.
            async with asyncio.timeout_at(started + self._limits.body_seconds) as timer:
                body = await self._read(request, connection)
                deadline = started + route.seconds
                timer.reschedule(deadline)
                return await route.endpoint(body, deadline=deadline)
        except _Refusal:
            raise
        except Exception as error:  # noqa: BLE001 # whatever it is, it must not look like a decision
            late = isinstance(error, TimeoutError) and timer.expired()
            if late and body is None:
                line = f"expected the whole body within {self._limits.body_seconds:g} s"
                raise _Refusal(408, "slow_body", line) from None
            if late:
                _log.error("decision_late", path=route.path, seconds=route.seconds)
                return _plain(500, f"no decision within {route.seconds:g} s; the failurePolicy applies")
            _log.exception("endpoint_failed", path=route.path)
            return _plain(500, "internal error; the failurePolicy applies")

    async def _check(self, request: web.BaseRequest) -> None:
        """Refuse what can be refused by its headers."""
        headers = request.headers
        if request.version != HttpVersion11:
            raise _Refusal(505, "http_version", "expected HTTP/1.1")
        if request.method != "POST":
            raise _Refusal(405, "method", "expected method POST")
        media_type = headers.get("Content-Type", "")
        if media_type != "application/json" and not _JSON.fullmatch(media_type):
            raise _Refusal(415, "media_type", "expected Content-Type application/json in UTF-8")
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _Refusal(415, "encoding", "expected a body without Content-Encoding")
        announced = request.content_length
        if announced is not None:
            self._admit(announced, self._held_bytes + announced)
        expectation = headers.get("Expect")
        if expectation is not None:
            if expectation.lower() != "100-continue":
                raise _Refusal(417, "expectation", "expected no Expect header but 100-continue")
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # as aiohttp does: the answer proper has not begun

    async def _read(self, request: web.BaseRequest, connection: Connection) -> bytes:
        """Read the body, counting: an announced length may be missing."""
        content = request.content
        chunks = []
        try:
            while not content.at_eof():
                chunk = await content.readany()
                connection.held_bytes += len(chunk)
                self._held_bytes += len(chunk)
                self._admit(connection.held_bytes, self._held_bytes)
                chunks.append(chunk)
        except (web.RequestPayloadError, ConnectionError):
            raise _Refusal(400, "broken_body", "expected a complete body in valid framing") from None
        if not connection.held_bytes:
            raise _Refusal(400, "empty", "expected an AdmissionReview as body, got none")
        return b"".join(chunks)

    def _admit(self, size: int, all_sizes: int) -> None:
        if size > self._limits.max_body_bytes:
            raise _Refusal(413, "too_large", f"expected at most {self._limits.max_body_bytes} bytes of body")
        if all_sizes > self._limits.inflight_body_bytes:
            raise _Refusal(503, "busy", "too many bytes in flight, expected a call later")


def _plain(status: int, line: str) -> Reply:
    return Reply(status, line.encode() + b"\n", "text/plain; charset=utf-8")


@lru_cache(maxsize=64)
def _head(status: int, content_type: str, keep_alive: bool) -> bytes:  # noqa: FBT001 # a cache key
    """Build an answer's head up to the value of Content-Length."""
    allow = "Allow: POST\r\n" if status == HTTPStatus.METHOD_NOT_ALLOWED else ""
    close = "" if keep_alive else "Connection: close\r\n"
    phrase = HTTPStatus(status).phrase
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {content_type}\r\n{allow}{close}Content-Length: "
    return head.encode("ascii")
