"""An API server that plays a script, over a real socket."""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from webhook.kube.api.client import Client
from webhook.kube.api.connection import connect

Step = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
TOKEN = "first-token"


@dataclass
class Asked:
    """A request that arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def watch(self) -> bool:
        return "watch" in self.query


@dataclass
class FakeApi:
    """Answers with the steps of two scripts, in order; the last step of each goes on for ever."""

    url: str = ""
    lists: deque[Step] = field(default_factory=deque)
    watches: deque[Step] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        async with self.came:
            self.asked.append(Asked(request.method, request.raw_path, request.query, request.headers, body))
            self.came.notify_all()
        script = self.watches if "watch" in request.query else self.lists
        step = script.popleft() if len(script) > 1 else script[0]
        return await step(request)

    def count(self, *, watch: bool) -> int:
        return sum(one.watch is watch for one in self.asked)

    async def until(self, lists: int = 0, watches: int = 0) -> None:
        """Wait until so many have been asked for."""
        async with self.came, asyncio.timeout(20):
            await self.came.wait_for(
                lambda: self.count(watch=False) >= lists and self.count(watch=True) >= watches
            )


@asynccontextmanager
async def serving(
    lists: list[Step] | None = None, watches: list[Step] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[FakeApi]:
    """Run a fake API server on a port of its own."""
    api = FakeApi(lists=deque(lists or [listed()]), watches=deque(watches or [silent()]))
    runner = web.ServerRunner(web.Server(api.handle), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    api.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    try:
        yield api
    finally:
        await runner.cleanup()


def kubeconfig(folder: Path, url: str, *, cluster: Any = None, user: Any = None, context: Any = None) -> Path:
    """Write a kubeconfig for that server."""
    path = folder / "config"
    path.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", **(context or {})}}],
                "clusters": [{"name": "k", "cluster": {"server": url, **(cluster or {})}}],
                "users": [{"name": "u", "user": {"token": TOKEN} if user is None else user}],
            }
        )
    )
    return path


@asynccontextmanager
async def client_of(api: FakeApi, folder: Path, **more: Any) -> AsyncGenerator[Client]:
    """A client that reaches the server by a kubeconfig."""
    client = await connect(kubeconfig(folder, api.url), **more)
    try:
        yield client
    finally:
        await client.close()


def item(name: str, version: int, *, uid: str = "", namespace: str = "team-a", **more: Any) -> dict[str, Any]:
    """An object."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
    }
    return {"metadata": metadata, **more}


def answer(body: object, status: int = 200, **headers: str) -> Step:
    """Answer with JSON."""

    async def step(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(
            status=status,
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )

    return step


def listed(*items: dict[str, Any], version: int = 10, token: str = "") -> Step:
    """Answer with a page of a list."""
    return answer({"metadata": {"resourceVersion": str(version), "continue": token}, "items": list(items)})


def status(code: int, reason: str = "", message: str = "no", **headers: str) -> Step:
    """Answer with a Status."""
    return answer({"kind": "Status", "code": code, "reason": reason, "message": message}, code, **headers)


def html(code: int) -> Step:
    """Answer as a proxy does."""

    async def step(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=code, text="<html>\nsecret page\n</html>", content_type="text/html")

    return step


def event(kind: str, thing: dict[str, Any]) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def stream(*chunks: bytes, after: str = "stay", gate: asyncio.Event | None = None) -> Step:
    """Answer a watch with these chunks, then `stay`, `end` or `cut` the connection."""

    async def step(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        if gate is not None:
            await gate.wait()
        for chunk in chunks:
            await response.write(chunk)
        if after == "stay":
            await asyncio.Event().wait()
        if after == "cut":
            assert request.transport is not None
            request.transport.abort()
        return response

    return step


def silent() -> Step:
    """A watch in which nothing happens."""
    return stream()


def hanging() -> Step:
    """No answer at all."""

    async def step(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return step
