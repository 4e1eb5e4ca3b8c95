"""The serving half of a process: webhooks over TLS, the operations port, and what is noted of verdicts."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from certs import CertError, FilePairSource, ReloadOutcome
from webhook.admission.gather import Cluster, Gatherer
from webhook.admission.handlers import PATHS, endpoints
from webhook.admission.limits import Limits
from webhook.admission.notes import Notes
from webhook.admission.server import WebhookServer
from webhook.audit.decisions import DecisionLog
from webhook.audit.rejections.ledger import Ledger
from webhook.errors import StartError
from webhook.logs import logger
from webhook.metrics.admission import Telemetry
from webhook.runtime.ops import Ops, OpsServer
from webhook.runtime.process import calm_collector
from webhook.runtime.tls import Tls
from webhook.settings import Settings

CLOSING_SECONDS = 2.0
"""How long the decision log may go on writing once the webhooks are closed."""


class Front:
    """Serves the webhooks on what ``cluster`` knows. Whoever builds on it opens them once that is all there."""

    def __init__(
        self, cluster: Cluster, settings: Settings, clock: Callable[[], datetime], tls: Tls | None = None
    ) -> None:
        self.tls = tls or Tls(settings, clock())
        self.telemetry = Telemetry(PATHS)
        self.ledger = Ledger(self.telemetry.ledger_dropped.inc)
        self._settings = settings
        self._decisions = self._decision_log()
        notes = Notes(
            self.telemetry,
            self.ledger,
            clock,
            self._decisions,
            notable=settings.decision_log == "notable",
        )
        gatherer = Gatherer(cluster, settings.default_mode, settings.terms)
        self.server = WebhookServer(
            endpoints(gatherer, notes, clock),
            self.tls.serving.context,
            Limits(),
            self.telemetry,
            self.tls.clients.allows if self.tls.clients else lambda _: True,
        )
        self.ops = OpsServer(Ops(self.missing, self.telemetry.exposition))
        self._missing_parts = {"the server has not started"}
        if self.tls.loaded:
            self._show_expiry()

    @property
    def url(self) -> str:
        """Where the webhooks answer."""
        return f"https://{self._host}:{self.server.port}"

    @property
    def ops_url(self) -> str:
        """Where liveness, readiness and metrics are."""
        return f"http://{self._host}:{self.ops.port}"

    @property
    def _host(self) -> str:
        host = self._settings.host
        return f"[{host}]" if ":" in host else host

    def missing(self) -> list[str]:
        """Say what keeps the process from being ready; empty when it is."""
        return sorted(self._missing_parts)

    async def open_ops(self) -> None:
        """Open the operations port, first of all: a process that starts is alive, and says what it waits for."""
        await self._listen(self.ops, "--ops-port", self._settings.ops_port)

    async def open_webhooks(self) -> None:
        """Serve. StartError names a port that is taken."""
        await self._listen(self.server, "--port", self._settings.port)
        self._missing_parts.discard("the server has not started")
        if self._decisions is not None:
            self._decisions.start()
        calm_collector()

    async def serve(self, stop: asyncio.Event, *parts: Coroutine[Any, Any, None]) -> None:
        """Serve and do ``parts`` until ``stop``, then drain: not ready, serve on and close connections."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in parts]
            if self.tls.source is not None:
                tasks.append(group.create_task(self._follow(self.tls.source)))
            await stop.wait()
            self._missing_parts.add("draining")
            self.server.drain()
            await asyncio.sleep(self._settings.drain_seconds)
            for task in tasks:
                task.cancel()

    async def close_webhooks(self) -> None:
        """Answer what is in hand and close the webhooks, then write what the decision log still holds."""
        try:
            await self.server.stop()
        finally:
            if self._decisions is not None:
                await asyncio.to_thread(self._decisions.close, CLOSING_SECONDS)

    def _decision_log(self) -> DecisionLog | None:
        """Give the decision log, None when it is off or there is no standard output to write it to."""
        if self._settings.decision_log == "off":
            return None
        try:
            descriptor = sys.stdout.fileno()
        except (AttributeError, OSError, ValueError):  # None or closed: its number may be another file's by now
            logger().warning("decision_log_off", why="standard output is closed")
            return None
        return DecisionLog(
            descriptor,
            self.telemetry.decisions_dropped.inc,
            lambda why: logger().warning("decision_log_not_written", why=why),
        )

    async def _listen(self, server: WebhookServer | OpsServer, flag: str, port: int) -> None:
        host = self._settings.host
        try:
            await server.start(host, port)
        except (OSError, UnicodeError) as error:
            await self.ops.stop()
            said = getattr(error, "strerror", None) or str(error)
            raise StartError(f"--host {host} {flag} {port}: cannot listen there: {said}; give another") from None

    async def _follow(self, source: FilePairSource) -> None:
        await source.follow(
            self.tls.serving,
            interval=self._settings.reload_seconds,
            sleep=asyncio.sleep,
            report=self._reloaded,
        )

    def _reloaded(self, outcome: ReloadOutcome, error: CertError | None) -> None:
        self._looked(outcome.value, str(error or ""))

    def _looked(self, result: str, why: str) -> None:
        """Take note of a look at the certificate: ``reloaded``, ``unchanged``, ``held_back`` or ``failed``."""
        self.telemetry.certificate_reload(result)()
        if result == "failed":
            logger().error("certificate_reload_failed", error=why)
        if result == "held_back":
            logger().warning("certificate_held_back", why=why)
        if result == "reloaded":
            pair = self.tls.serving.pair
            logger().info("certificate_reloaded", serial=f"{pair.serial:x}", ends=pair.not_after.isoformat())
            self._show_expiry()

    def _show_expiry(self) -> None:
        self.telemetry.certificate_expiry.labels("leaf").set(self.tls.serving.pair.not_after.timestamp())
