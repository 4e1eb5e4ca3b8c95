"""Connections of the webhook server: each one is counted, and none may linger in silence.

aiohttp bounds the idle time between requests, and nothing else: half-sent headers, a peer that
never speaks or one that never reads hold a connection for an hour. `Connection` adds a deadline
for whatever the peer owes us next, and `Connections` looks at all deadlines a few times a second,
which costs a request two assignments instead of a timer.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, NoReturn

from aiohttp import web

from webhook.admission.limits import Limits

_LINGER_SECONDS: Final = 1.0
Welcome = Callable[[Mapping[str, Any] | None], bool]
"""Tells of a client's verified certificate, as `ssl` gives it, whether it may come; None: none was asked for."""


class Phase(Enum):
    """What a connection waits for; the value is the reason given when the wait is over."""

    SILENT = "no_request"
    IDLE = "idle"
    HEADER = "slow_header"
    BUSY = "busy"
    STALLED = "answer_unread"


class Connection(web.RequestHandler):
    """aiohttp's protocol handler plus a deadline for what the peer owes us."""

    __slots__ = ("_limits", "_pool", "deadline", "held_bytes", "phase", "since")

    def __init__(self, pool: Connections, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=pool.limits.keepalive_seconds,
            access_log=None,  # type: ignore[arg-type]  # None is aiohttp's documented "off"
            auto_decompress=False,
            lingering_time=_LINGER_SECONDS,
        )
        self._limits = pool.limits
        self._pool = pool
        self.held_bytes = 0
        self._enter(Phase.SILENT, self._limits.first_byte_seconds)

    def _enter(self, phase: Phase, seconds: float) -> None:
        self.phase = phase
        self.since = self._loop.time()
        self.deadline = self.since + seconds

    def begin(self) -> None:
        """Note that a request's headers are complete; from here on the server minds the time."""
        self.phase = Phase.BUSY
        self.deadline = math.inf

    def end(self, now: float) -> None:
        """Note that a request has been decided."""
        self.phase = Phase.IDLE
        self.since = now

    def abort(self) -> None:
        """Drop the connection without waiting for the peer to agree."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter the pool; the pool may turn this connection or another one away."""
        super().connection_made(transport)
        self._enter(Phase.SILENT, self._limits.first_byte_seconds)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # asyncio's TLS does not report an answer stuck below it
            milliseconds = round(self._limits.write_seconds * 1000)
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        if not self._pool.welcome(transport.get_extra_info("peercert")):
            self._pool.refused("client")
            self.abort()
            return
        self._pool.add(self)

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser; the first of a request start its header deadline."""
        if self.phase is Phase.IDLE or self.phase is Phase.SILENT:
            self._enter(Phase.HEADER, self._limits.header_seconds)
        super().data_received(data)

    def pause_writing(self) -> None:
        """Give the peer a limited time to read what we sent."""
        super().pause_writing()
        self._enter(Phase.STALLED, self._limits.write_seconds)

    def resume_writing(self) -> None:
        """Forgive a peer that reads again."""
        super().resume_writing()
        self._enter(Phase.IDLE, math.inf)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave the pool."""
        self._pool.discard(self)
        if isinstance(exc, TimeoutError):  # the kernel's, see above
            self._pool.refused(Phase.STALLED.value)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 # quotes the peer's bytes, so it goes nowhere
    ) -> web.StreamResponse:
        """Answer bytes that are not HTTP: one line, no traceback in the log, connection closed."""
        if isinstance(exc, ConnectionError) or request.writer.output_size > 0:
            _lost(exc)
        self._pool.refused("malformed")
        line = "expected an HTTP/1.1 request that is well-formed" if status == 400 else "internal error"
        response = web.Response(status=status, text=line + "\n")
        response.force_close()
        return response


class Connections:
    """All open connections, at most `limits.max_connections`."""

    def __init__(self, limits: Limits, refused: Callable[[str], None], welcome: Welcome) -> None:
        self.limits = limits
        self.refused = refused
        self.welcome = welcome
        self._open: dict[Connection, None] = {}  # in order of arrival
        self._empty = asyncio.Event()
        waits = (limits.header_seconds, limits.first_byte_seconds, limits.write_seconds)
        self._interval = min(0.5, min(waits) / 4)
        self._sweep()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        """Take a connection in; if there is one too many, drop the one that is missed least."""
        self._open[connection] = None
        self._empty.clear()
        if len(self._open) > self.limits.max_connections:
            self.refused("connections")
            self._least_missed(connection).abort()

    def discard(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._open.pop(connection, None)
        if not self._open:
            self._empty.set()

    def _least_missed(self, newest: Connection) -> Connection:
        """Choose who owes us something, else who is idle longest, else the newest; work is never cut."""
        order = {Phase.SILENT: 0, Phase.HEADER: 0, Phase.STALLED: 0, Phase.IDLE: 1}
        others = [c for c in self._open if c is not newest and c.phase in order]
        return min(others, key=lambda c: (order[c.phase], c.since), default=newest)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [c for c in self._open if c.deadline < now]:
            self.refused(connection.phase.value)
            connection.abort()
        self._timer = loop.call_later(self._interval, self._sweep)

    async def finish(self) -> None:
        """Close what is idle and wait for what has begun, as long as the limits allow."""
        for connection in [c for c in self._open if c.phase in (Phase.IDLE, Phase.SILENT)]:
            connection.force_close()
        await self._gone(self.limits.shutdown_seconds)

    async def drop(self) -> None:
        """Abort what is still open."""
        self._timer.cancel()
        for connection in list(self._open):
            connection.abort()
        await self._gone(_LINGER_SECONDS)

    async def _gone(self, seconds: float) -> None:
        if self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()


def _lost(cause: BaseException | None) -> NoReturn:
    raise ConnectionError("nobody is left to answer") from cause
