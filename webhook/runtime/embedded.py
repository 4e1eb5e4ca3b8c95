"""Webhooks and controller in one process, on a cluster in memory."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal

from webhook.audit.rejections.rejection import Rejected, fold
from webhook.controller.concerned import concerned, everything
from webhook.controller.reconcile import Reconciler
from webhook.embedded.cluster import Key
from webhook.embedded.jobs import LOCKED, SUCCESS, JobRunner
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.logs import logger
from webhook.runtime.front import Front
from webhook.runtime.process import utc_now
from webhook.settings import Settings

JobPolicy = Literal["complete", "fail", "wait"]
_UNSYNCED = "caches are not synced"


class EmbeddedGate(Front):
    """Webhooks and controller in one process, on an embedded cluster."""

    def __init__(
        self,
        cluster: EmbeddedControllerCluster,
        settings: Settings,
        *,
        jobs: JobPolicy = "wait",
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(cluster, settings, clock)
        self.cluster = cluster
        self.runner = JobRunner(cluster)
        self._jobs = jobs
        self._reconciler = Reconciler(cluster, clock, settings.default_mode)
        self._missing_parts.add(_UNSYNCED)
        self._dirty: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()
        cluster.subscribe(self._changed)

    async def start(self) -> None:
        """Reconcile what is stored, then listen. StartError names a port that is taken."""
        await self.open_ops()
        self._dirty |= everything(self.cluster)
        await self.settle()
        self._missing_parts.discard(_UNSYNCED)
        await self.open_webhooks()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop``, then drain and close."""
        news = self.ledger.run(lambda: self.ledger.flush(self.keep), self._keep_failed)
        await self.serve(stop, self._control(), news)
        await self.stop()

    async def stop(self) -> None:
        """Close: webhooks, what the ledger still holds, and the operations port last."""
        try:
            await self.close_webhooks()
            await self.ledger.flush(self.keep)
        finally:
            await self.ops.stop()

    async def settle(self) -> None:
        """Reconcile until nothing moves any more."""
        while self._dirty:
            namespace, name = min(self._dirty)
            self._dirty.discard((namespace, name))
            try:
                await self._reconciler.reconcile(namespace, name)
            except Exception:  # noqa: BLE001 # one Deployment that fails must not end the gate for all
                logger().exception("reconcile_failed", namespace=namespace, name=name)

    async def keep(self, namespace: str, name: str, news: Iterable[Rejected]) -> None:
        """Fold rejections into the record of a Deployment that is really there."""
        await self.cluster.write_rejections(namespace, name, lambda kept: fold(kept, news))

    def _keep_failed(self, error: Exception) -> None:
        logger().error("rejections_not_kept", error=type(error).__name__)

    async def _control(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.settle()
            if self._jobs == "wait":
                continue
            for namespace, name in self.runner.active():
                self.runner.finish(namespace, name, SUCCESS if self._jobs == "complete" else LOCKED)

    def _changed(self, key: Key) -> None:
        """Mark the Deployments that a change may concern."""
        self._dirty |= concerned(self.cluster, *key)
        self._wake.set()
