"""The operations port: liveness, readiness and metrics, in plain HTTP and without a request body."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

Readiness = Callable[[], Sequence[str]]
"""Gives what keeps the process from being ready, in words; empty when it is."""


class View(Protocol):
    """A page that people look at; ``headers`` go with it."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer, its Content-Type among them."""

    async def page(self) -> bytes:
        """Give the page; asked as often as anybody likes."""


@dataclass(frozen=True, slots=True)
class Ops:
    """What the operations port shows. ``exposition`` gives metrics in Prometheus' text format.

    ``view`` is shown as ``/audit`` while nothing keeps the process from being ready; None shows none.
    """

    readiness: Readiness
    exposition: Callable[[], bytes]
    view: View | None = None


class OpsServer:
    """Serves ``/healthz``, ``/readyz``, ``/metrics``, and ``/audit`` where there is a view."""

    def __init__(self, ops: Ops) -> None:
        self._ops = ops
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 means any free one."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        if self._ops.view is not None:
            app.router.add_get("/audit", self._audit)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    @property
    def port(self) -> int:
        """The port listened on."""
        if self._runner is None:
            raise RuntimeError("not started")
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and close."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        """Answer that the event loop turns; an outage of the API server must not restart the gate."""
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = self._ops.readiness()
        if missing:
            return web.Response(status=503, text="".join(f"not ready: {reason}\n" for reason in missing))
        return web.Response(text="ok\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._ops.exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _audit(self, request: web.Request) -> web.Response:
        # What is not complete yet would show Gateways as unguarded that are not.
        if self._ops.view is None or self._ops.readiness():
            return await self._readyz(request)
        return web.Response(body=await self._ops.view.page(), headers=self._ops.view.headers)
