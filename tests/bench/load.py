"""Load generator: keep-alive connections over TLS, one request at a time on each, every answer checked.

It writes as Go's transport does: one flush of 4 KiB with the headers, then the rest of the body.
Run it in another process than the server.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import cast

_GO_WRITE_BUFFER = 4096
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one run saw after its warm-up; an answer that is not 200, or none at all, is an error."""

    requests: int
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    per_second: float


def go_request(host: str, target: str, body: bytes) -> bytes:
    """Build a request with the headers in the order kube-apiserver's client sends them."""
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kube-apiserver-admission\r\n"
        f"Content-Length: {len(body)}\r\nAccept: application/json, */*\r\n"
        "Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
    )
    return head.encode("ascii") + body


async def run_load(
    host: str,
    port: int,
    ca: str | ssl.SSLContext,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
    warmup: float = 1.0,
) -> LoadResult:
    """Send `requests` in turn over `connections` for `seconds` after `warmup`; `ca` is PEM or a context."""
    context = ca if isinstance(ca, ssl.SSLContext) else ssl.create_default_context(cadata=ca)
    loop = asyncio.get_running_loop()
    begin = loop.time() + warmup
    seen = _Seen(begin, begin + seconds)
    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            own = cycle([*islice(requests, number % len(requests), None), *requests[: number % len(requests)]])
            group.create_task(_client(host, port, context, own, seen))
    times = sorted(seen.times)
    if not times:
        return LoadResult(0, seen.errors, 0.0, 0.0, 0.0, 0.0)
    return LoadResult(
        requests=len(times),
        errors=seen.errors,
        p50_ms=times[len(times) // 2] * 1000,
        p99_ms=times[len(times) * 99 // 100] * 1000,
        max_ms=times[-1] * 1000,
        per_second=len(times) / seconds,
    )


class _Seen:
    def __init__(self, begin: float, end: float) -> None:
        self.begin = begin
        self.end = end
        self.times: list[float] = []
        self.errors = 0


class _Client(asyncio.Protocol):
    """Reads one answer at a time and hands over its status, or 0 when the connection is gone."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._transport = None
        self._finish(0)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].lower()
        length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if not length:
            self._finish(0)
        elif len(self._received) >= end + 4 + int(length):
            self._received = self._received[end + 4 + int(length) :]
            self._finish(int(head[9:12]))

    def _finish(self, status: int) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, request: bytes) -> int:
        if self._transport is None:
            return 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request[:_GO_WRITE_BUFFER])
        if len(request) > _GO_WRITE_BUFFER:
            self._transport.write(request[_GO_WRITE_BUFFER:])
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def _client(host: str, port: int, context: ssl.SSLContext, requests: Iterator[bytes], seen: _Seen) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < seen.end:
        try:
            _, client = await loop.create_connection(_Client, host, port, ssl=context)
        except OSError:
            seen.errors += 1
            await asyncio.sleep(0.1)  # a server that refuses is not to be hammered
            continue
        while client.open and loop.time() < seen.end:
            started = time.perf_counter()  # uvloop's clock moves in milliseconds
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    status = await client.send(next(requests))
            except TimeoutError:
                status = 0
                client.close()
            took = time.perf_counter() - started
            if status != 200:
                seen.errors += 1
            elif loop.time() - took >= seen.begin:
                seen.times.append(took)
        client.close()
