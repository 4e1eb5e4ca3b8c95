"""An HTTPS proxy in front of the API server that numbers calls and lets a test act before and after each."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

Before = Callable[[int, str, str], Awaitable[None]]
After = Callable[[int, str, str, int], Awaitable[None]]

_OWN_TO_A_CONNECTION: Final = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOTHING_OF_OURS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class DropCallError(Exception):
    """Raised by a hook: the connection breaks, and the call is not forwarded, or its answer not sent."""


@dataclass(slots=True)
class Call:
    """One call that is no watch; `status` is None until the API server has answered."""

    number: int
    method: str
    path: str
    """Path with query, as sent."""
    status: int | None = None


async def forever() -> None:
    """Hold a call here: for a hook that is to keep the caller waiting until either side goes."""
    await asyncio.Event().wait()


async def _nothing(*_: object) -> None:
    """The hook of a test that has none."""


class CallProxy:
    """Forwards with the caller's own Authorization header; use it as an asynchronous context.

    Calls are numbered from 1 in the order of their arrival. Watches and followed logs pass as a stream and get
    neither number nor hook.
    """

    def __init__(self, upstream: str, *, ca_pem: bytes, server: ssl.SSLContext) -> None:
        """Take the API server's address, whom to trust there, and the TLS settings to serve with."""
        self._upstream, self._server = upstream.rstrip("/"), server
        self._trust = ssl.create_default_context(cadata=ca_pem.decode())
        self.before: Before = _nothing
        self.after: After = _nothing
        self.calls: list[Call] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trust, limit=0),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        application = web.Application(client_max_size=64 * 2**20)
        application.router.add_route("*", "/{path:.*}", self._handle)
        # A caller that goes takes its request along, so that nothing held lives longer than who waits for it.
        self._runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._server)
        await self._site.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._session.close()

    @property
    def url(self) -> str:
        """The proxy's address, for a kubeconfig."""
        return f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if any(request.query.get(name) in {"true", "1"} for name in ("watch", "follow")):
                return await self._stream(request)
            return await self._call(request)
        except (DropCallError, aiohttp.ClientConnectionError):
            # The caller sees what it would see of an API server that died: its connection breaks.
            if request.transport is not None:
                request.transport.abort()
            await forever()
            raise

    async def _call(self, request: web.Request) -> web.StreamResponse:
        call = Call(len(self.calls) + 1, request.method, request.raw_path)
        self.calls.append(call)
        body = await request.read()
        await self.before(call.number, call.method, call.path)
        async with self._forward(request, body) as answer:
            content = await answer.read()
        call.status = answer.status
        await self.after(call.number, call.method, call.path, answer.status)
        return web.Response(status=answer.status, body=content, headers=_passed(answer.headers))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        async with self._forward(request, b"") as answer:
            response = web.StreamResponse(status=answer.status, headers=_passed(answer.headers))
            response.enable_chunked_encoding()
            await response.prepare(request)
            with contextlib.suppress(aiohttp.ClientPayloadError, ConnectionResetError):
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        raise DropCallError  # broken on one side in the middle: to be seen as broken on the other

    def _forward(
        self, request: web.Request, body: bytes
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._session.request(
            request.method,
            URL(self._upstream + request.raw_path, encoded=True),
            headers=_passed(request.headers),
            data=body or None,
            skip_auto_headers=_NOTHING_OF_OURS,
            allow_redirects=False,
        )


def _passed(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Give the headers that belong to the message and not to one connection."""
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in _OWN_TO_A_CONNECTION
    )
