"""The operations port: liveness, readiness and metrics, in plain HTTP and without a request body."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

Readiness = Callable[[], Sequence[str]]
"""Gives what keeps the process from being ready, in words; empty when it is."""


@dataclass(frozen=True, slots=True)
class Ops:
    """What the operations port shows. ``exposition`` gives metrics in Prometheus' text format."""

    readiness: Readiness
    exposition: Callable[[], bytes]


class OpsServer:
    """Serves ``/healthz``, ``/readyz`` and ``/metrics``."""

    def __init__(self, ops: Ops) -> None:
        self._ops = ops
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 means any free one."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
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
