"""A JSON client of an API server for tests, as administrator unless told otherwise, and waiting by polling."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

T = TypeVar("T")
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiError(Exception):
    """The API server refused; `status`, `reason` and `message` as it said, `body` whole."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.reason: str = body.get("reason", "")
        self.message: str = body.get("message", "")
        self.body = body
        super().__init__(f"{status} {self.reason}: {self.message}")


class Client:
    """Sends requests to one API server; use it as an asynchronous context."""

    def __init__(self, url: str, context: ssl.SSLContext, *, token: str | None = None) -> None:
        """Take the address, the TLS settings (which may hold a client certificate), and a bearer token or none."""
        self._url, self._context = url, context
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.warnings: list[str] = []
        """What the API server warned of in its last answer."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            self._url,
            connector=aiohttp.TCPConnector(ssl=self._context),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=30),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Read an object or a list."""
        return await self._json("GET", path, query=query)

    async def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Read the members of a list."""
        found: list[dict[str, Any]] = (await self.get(path, **query))["items"]
        return found

    async def text(self, path: str, **query: str) -> str:
        """Read what is no JSON, such as a log."""
        async with self._session.get(path, params=query) as answer:
            if answer.status >= 400:
                raise ApiError(answer.status, _decoded(await answer.text()))
            return await answer.text()

    async def post(self, path: str, body: object, **query: str) -> dict[str, Any]:
        """Create."""
        return await self._json("POST", path, body, query=query)

    async def put(self, path: str, body: object, **query: str) -> dict[str, Any]:
        """Replace."""
        return await self._json("PUT", path, body, query=query)

    async def patch(self, path: str, body: object, content_type: str = MERGE, **query: str) -> dict[str, Any]:
        """Change in part."""
        return await self._json("PATCH", path, body, content_type, query=query)

    async def delete(self, path: str, body: object = None, **query: str) -> dict[str, Any]:
        """Delete; `body` may hold DeleteOptions."""
        return await self._json("DELETE", path, body, query=query)

    async def exists(self, path: str) -> bool:
        """Tell whether there is such an object."""
        try:
            await self.get(path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def _json(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        *,
        query: dict[str, str],
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        async with self._session.request(method, path, params=query, data=data, headers=headers) as answer:
            decoded = _decoded(await answer.text())
            self.warnings = [_warning(header) for header in answer.headers.getall("Warning", [])]
            if answer.status >= 400:
                raise ApiError(answer.status, decoded)
            return decoded


async def until(condition: Callable[[], Awaitable[T]], seconds: float = 60, what: str = "") -> T:
    """Poll every 50 ms until the coroutine gives something true, and give that; TimeoutError after the time.

    An ApiError counts as not yet: what is waited for may still have to be created.
    """
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            value = await condition()
        except (ApiError, aiohttp.ClientConnectionError) as error:
            last = error
        else:
            if value:
                return value
            last = value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what or condition}; the last answer was {last!r}")
        await asyncio.sleep(0.05)


def _warning(header: str) -> str:
    """Give the text of `299 - "..."`."""
    return header.partition('"')[2].removesuffix('"').replace('\\"', '"').replace("\\\\", "\\")


def _decoded(text: str) -> dict[str, Any]:
    try:
        decoded = json.loads(text)
    except ValueError:
        return {"message": text}
    return decoded if isinstance(decoded, dict) else {"message": text}
