"""``schemagate webhook``: one of N equal replicas that answer the API server."""

import asyncio

from webhook.errors import ClusterError, NameTakenError, StartError
from webhook.kube.api.client import Client
from webhook.kube.api.pace import Pace
from webhook.kube.cluster import WebhookCluster
from webhook.kube.outbox import Outbox
from webhook.logs import logger, said
from webhook.metrics.certificates import ServedMetrics
from webhook.runtime.certificates import ServedCertificate
from webhook.runtime.front import Front
from webhook.runtime.process import utc_now
from webhook.runtime.tls import Tls
from webhook.settings import Settings


class WebhookProcess(Front):
    """Serves the webhooks on copies of the cluster, and writes nothing but rejections into its own namespace."""

    def __init__(self, client: Client, settings: Settings, namespace: str, identity: str) -> None:
        pace = Pace(idle=settings.watch_idle_seconds)
        self.cluster = WebhookCluster(client, self._poisoned, pace)
        if settings.certificates == "files" and settings.tls_cert is None:
            raise StartError("SCHEMAGATE_CERTIFICATES=files: name them with --tls-cert and --tls-key")
        super().__init__(
            self.cluster, settings, utc_now, Tls(settings, utc_now(), later=settings.tls_cert is None)
        )
        metrics = ServedMetrics(self.telemetry.registry)
        self.certificate = ServedCertificate(
            client, namespace, settings, self.tls, self._looked, metrics, now=utc_now, pace=pace
        )
        self._outbox = Outbox(client, namespace, identity)

    def missing(self) -> list[str]:
        """Say what keeps the process from being ready; empty when it is."""
        return [*super().missing(), *self.cluster.unsynced(), *self.certificate.missing()]

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for the copies, serve until ``stop``, drain, close. It does not listen before it can judge.

        Raises what ended it before.
        """
        await self.open_ops()
        following = asyncio.create_task(self._follow_cluster())
        stopping = asyncio.create_task(stop.wait())
        syncing = asyncio.create_task(self._wait_complete())
        try:
            await asyncio.wait({following, stopping, syncing}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await following
            if syncing.done():
                await syncing
            if syncing.done() and not stop.is_set():
                await self.open_webhooks()
                await self.serve(stop, self.ledger.run(self._post, self._not_sent), _joined(following))
        finally:
            for task in (following, stopping, syncing):
                task.cancel()
            await asyncio.gather(following, stopping, syncing, return_exceptions=True)
            await self._close()

    async def _follow_cluster(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.cluster.run())
            group.create_task(self.certificate.run())

    async def _wait_complete(self) -> None:
        await self.cluster.wait_synced()
        await self.certificate.wait_loaded()

    async def _close(self) -> None:
        """Close the webhooks, hand over what the ledger still holds, and the operations port last."""
        try:
            await self.close_webhooks()
            await self._post()
        except ClusterError as error:
            self._not_sent(error)
        finally:
            await self.ops.stop()

    async def _post(self) -> None:
        await self.ledger.post(self._outbox.send)

    def _not_sent(self, error: Exception) -> None:
        if not isinstance(error, NameTakenError):  # the controller has not taken in the batch before: wait
            logger().error("rejections_not_sent", error=said(error))

    def _poisoned(self, kind: str, namespace: str, name: str, error: Exception) -> None:
        logger().error("object_unreadable", kind=kind, namespace=namespace, name=name, error=said(error))


async def _joined(task: asyncio.Task[None]) -> None:
    await task
