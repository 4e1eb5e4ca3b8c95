"""The thin client of an API server: JSON bytes in, JSON bytes out, and errors that say what they mean."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp
import msgspec

from webhook.errors import ClusterError, RejectedError, UnreachableError
from webhook.kube.api.answers import OversizedError, error_for
from webhook.kube.api.transport import Answer, Request, Transport
from webhook.kube.resources import target_of
from webhook.policy.decision import printable

T = TypeVar("T")
Fence = Callable[[], None]
Observe = Callable[[str, str, int, float], None]

JSON = "application/json"
ANSWER_LIMIT = 64 * 2**20
"""Longest answer that is held, in bytes: a page of a hundred objects, of which tenants choose the size."""

_ERROR_LIMIT = 2**20
_READS = frozenset({"GET", "HEAD"})
_UNAUTHORIZED = 401
_NO_ANSWER = 0


class Client:
    """Asks one API server. All views on it share one session.

    ``observe`` is told verb, resource (``jobs``, ``pods/log``; no names), status code (0: none came) and seconds
    of every try. ``fence`` is called right before each write is sent, and raises NotLeadingError to hold it back.
    What was sent may still arrive up to the request's timeout later, so a fence has to close that long before
    another replica may lead. aiohttp sends an idempotent request once more when a kept connection turns out to be
    dead: PUT and DELETE may thus be answered with the conflict that they caused.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        fence: Fence | None = None,
        limit: float = math.inf,
        observe: Observe | None = None,
    ) -> None:
        self._transport = transport
        self._fence = fence
        self._limit = limit
        self._observe = observe

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._transport.server

    def fenced(self, fence: Fence, limit: float) -> "Client":
        """Give a view whose writes are held back when ``fence`` raises, and given up after ``limit`` seconds."""
        return Client(self._transport, fence=fence, limit=limit, observe=self._observe)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: float = 10.0,  # noqa: ASYNC109 # of one request as a whole; callers need not know asyncio.timeout
        heard: Callable[[Answer], None] | None = None,
    ) -> bytes:
        """Ask, and give the body of the answer.

        ``body`` is encoded as JSON unless it is bytes already. What is not to be JSON (a pod's log) needs another
        ``accept``: a success that is no JSON counts as no answer. ``timeout`` is in seconds and covers everything:
        waiting for a connection, sending, reading, and the second try after a rotated token. ``heard`` is shown
        the answer that was a success, before its body. Raises one of the ClusterErrors.
        """
        asked = f"{method} {path}"
        if self._fence is not None and method not in _READS:
            timeout = min(timeout, self._limit)
        if method == "DELETE" and not target_of(path).named:
            raise RejectedError(f"{asked}: deleting a whole collection is never meant")
        headers = {"Accept": accept}
        data: bytes | None = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        request = Request(method, path, query or {}, headers, data, aiohttp.ClientTimeout(total=timeout))

        async def ask() -> bytes:
            async with await self._send(request) as answer:
                if heard is not None:
                    heard(answer)
                return await _whole(answer, asked, ANSWER_LIMIT)

        return await _translated(asked, timeout, ask)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        accept: str = JSON,
        connect_timeout: float = 10.0,
    ) -> "AsyncGenerator[Stream]":
        """Open an answer that has no end of its own (a watch), and close it at the end of the context.

        ``connect_timeout`` is in seconds, until the headers of the answer are there. Raises one of the
        ClusterErrors.
        """
        # The library waits for ever by default; the total is bounded by whoever reads, chunk by chunk.
        limits = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        request = Request("GET", path, query or {}, {"Accept": accept}, None, limits)
        answer = await _translated(str(request), connect_timeout, lambda: self._send(request))
        async with answer:
            yield Stream(answer, str(request))

    async def close(self) -> None:
        """Close the session, for all views."""
        await self._transport.close()

    async def _send(self, request: Request) -> Answer:
        """Give an answer that is a success; all others are errors."""
        answer = await self._try(request)
        if answer.status == _UNAUTHORIZED and self._transport.credentials.drop():
            # Not authenticated is not carried out, so a write may be repeated as well.
            async with answer:
                pass
            answer = await self._try(request)
        failed = not 200 <= answer.status < 300
        # A success that is no JSON is a page of something that stands between us and the API server.
        strange = request.headers["Accept"].startswith(JSON) and answer.content_type != JSON
        if not failed and not strange:
            return answer
        async with answer:
            if failed:
                raise error_for(str(request), answer.status, await _error_body(answer), answer.retry_after)
            raise UnreachableError(f"{request}: {answer.status} with a body that is no JSON")

    async def _try(self, request: Request) -> Answer:
        if self._transport.closed:
            raise UnreachableError(f"{request}: the client is closed")
        if self._fence is not None and request.method not in _READS:
            self._fence()
        started = time.monotonic()
        code = _NO_ANSWER
        try:
            answer = await self._transport.send(request)
            code = answer.status
            return answer
        finally:
            if self._observe is not None:
                verb = "WATCH" if "watch" in request.query else request.method
                self._observe(verb, target_of(request.path).label, code, time.monotonic() - started)


class Stream:
    """An open answer."""

    def __init__(self, answer: Answer, asked: str) -> None:
        self._answer = answer
        self._asked = asked

    async def read(self, idle_seconds: float) -> bytes:
        """Give what has arrived; empty at the end. Raises UnreachableError, TimeoutError when nothing comes."""
        # A connection whose other end is gone without a word looks like a quiet one for as long as TCP likes.
        async with asyncio.timeout(idle_seconds):
            try:
                return await self._answer.read()
            except (aiohttp.ClientError, OSError) as error:
                raise UnreachableError(f"{self._asked}: {_words(error)}") from error


async def _translated(asked: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except ClusterError:
        raise
    except TimeoutError as error:
        raise UnreachableError(f"{asked}: no answer in {seconds:g} s") from error
    # ValueError: a server URL or header that cannot be sent; EOFError: a proxy that hangs up during its handshake.
    except (aiohttp.ClientError, OSError, ValueError, EOFError) as error:
        raise UnreachableError(f"{asked}: {_words(error)}") from error


async def _whole(answer: Answer, asked: str, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := await answer.read():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise OversizedError(f"{asked}: the answer is longer than {limit} bytes")
    return b"".join(chunks)


async def _error_body(answer: Answer) -> bytes:
    try:
        return await _whole(answer, "", _ERROR_LIMIT)
    except (OversizedError, aiohttp.ClientError, OSError):
        # The status alone says what happened. (A timeout is an OSError too; the outer one goes on counting.)
        return b""


def _words(error: BaseException) -> str:
    # The text of a ValueError may be the header that is wrong, and a header may be the token.
    text = "" if isinstance(error, ValueError) and not isinstance(error, OSError) else str(error)
    return printable(f"{type(error).__name__} {text}".strip(), 300)
