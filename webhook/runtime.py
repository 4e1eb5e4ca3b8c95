"""The composition root: builds every part once, hands it over, starts and stops all in order."""

import asyncio
import gc
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Literal

from certs import CertError, CertificateAuthority, FilePairSource, KeyPair, ReloadOutcome, ServingContext
from webhook.admission.gather import Gatherer
from webhook.admission.handlers import PATHS, endpoints
from webhook.admission.limits import Limits
from webhook.admission.notes import Notes
from webhook.admission.ops import Ops, OpsServer
from webhook.admission.server import WebhookServer
from webhook.audit.ledger import Ledger
from webhook.audit.rejection import Rejected, fold
from webhook.controller.reconcile import Reconciler
from webhook.embedded.cluster import Key
from webhook.embedded.jobs import LOCKED, SUCCESS, JobRunner
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import StartError
from webhook.policy.record import Phase
from webhook.settings import Settings
from webhook.telemetry import Telemetry, logger

JobPolicy = Literal["complete", "fail", "wait"]
_LOCAL_LIFETIME = timedelta(days=7)


def utc_now() -> datetime:
    """Give the time, aware, in UTC."""
    return datetime.now(UTC)


def calm_collector() -> None:
    """Keep the garbage collector from stalling the event loop.

    What lives for ever need not be walked by every collection, and requests leave little behind, so that it may be
    looked at seldom. Thresholds count objects made and not yet freed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1000)


class Tls:
    """The serving certificate: from files that are followed, or made on the spot by an authority of its own."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        self.source: FilePairSource | None = None
        self.authority_pem: bytes | None = None
        try:
            if settings.tls_cert is not None and settings.tls_key is not None:
                self.source = FilePairSource(settings.tls_cert, settings.tls_key)
                pair = self.source.load()
            else:
                pair, self.authority_pem = _local_pair(now)
            self.serving = ServingContext(pair)
        except CertError as error:
            raise StartError(str(error)) from None

    def client_context(self) -> ssl.SSLContext:
        """Give a client's context that trusts the certificate made on the spot, and nothing else."""
        if self.authority_pem is None:
            raise StartError("the certificate comes from files: its authority is not known here")
        return ssl.create_default_context(cadata=self.authority_pem.decode("ascii"))


def _local_pair(now: datetime) -> tuple[KeyPair, bytes]:
    authority = CertificateAuthority.create("schemagate local", now=now, lifetime=_LOCAL_LIFETIME)
    addresses = [ip_address("127.0.0.1"), ip_address("::1")]
    pair = authority.issue(["localhost"], now=now, lifetime=_LOCAL_LIFETIME, ip_addresses=addresses)
    return pair, authority.certificate_pem


class EmbeddedGate:
    """Webhooks and controller in one process, on an embedded cluster."""

    def __init__(
        self,
        cluster: EmbeddedControllerCluster,
        settings: Settings,
        *,
        jobs: JobPolicy = "wait",
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.cluster = cluster
        self.runner = JobRunner(cluster)
        self.tls = Tls(settings, clock())
        self.telemetry = Telemetry(PATHS)
        self.ledger = Ledger(self.telemetry.ledger_dropped.inc)
        self._settings = settings
        self._jobs = jobs
        self._reconciler = Reconciler(cluster, clock, settings.default_mode)
        notes = Notes(self.telemetry, self.ledger, logger(), clock)
        gatherer = Gatherer(cluster, settings.default_mode)
        self.server = WebhookServer(
            endpoints(gatherer, notes, clock), self.tls.serving.context, Limits(), self.telemetry
        )
        self.ops = OpsServer(Ops(self._missing, self.telemetry.exposition))
        self._missing_parts = {"caches are not synced", "the server has not started"}
        self._dirty: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()
        cluster.subscribe(self._changed)
        self.telemetry.certificate_expiry.labels("leaf").set(self.tls.serving.pair.not_after.timestamp())

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

    async def start(self) -> None:
        """Reconcile what is stored, then listen. StartError names a port that is taken."""
        # The operations port opens first: a process that starts is alive, and says what it waits for.
        await self._listen(self.ops, "--ops-port", self._settings.ops_port)
        for kind in ("Gateway", "Deployment", "GatewayMigration"):
            for key in self.cluster.keys(kind):
                self._changed(key)
        await self.settle()
        self._missing_parts.discard("caches are not synced")
        await self._listen(self.server, "--port", self._settings.port)
        self._missing_parts.discard("the server has not started")
        calm_collector()

    async def _listen(self, server: WebhookServer | OpsServer, flag: str, port: int) -> None:
        host = self._settings.host
        try:
            await server.start(host, port)
        except (OSError, UnicodeError) as error:
            await self.ops.stop()
            said = getattr(error, "strerror", None) or str(error)
            raise StartError(f"--host {host} {flag} {port}: cannot listen there: {said}; give another") from None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop``, then drain: not ready, serve on and close connections, close."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._control()),
                group.create_task(self.ledger.run(self.keep, self._keep_failed)),
            ]
            if self.tls.source is not None:
                tasks.append(group.create_task(self._follow(self.tls.source)))
            await stop.wait()
            self._missing_parts.add("draining")
            self.server.drain()
            await asyncio.sleep(self._settings.drain_seconds)
            for task in tasks:
                task.cancel()
        await self.stop()

    async def stop(self) -> None:
        """Close: webhooks, what the ledger still holds, and the operations port last."""
        try:
            await self.server.stop()
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

    async def _follow(self, source: FilePairSource) -> None:
        await source.follow(
            self.tls.serving,
            interval=self._settings.reload_seconds,
            sleep=asyncio.sleep,
            report=self._reloaded,
        )

    def _reloaded(self, outcome: ReloadOutcome, error: CertError | None) -> None:
        self.telemetry.certificate_reload(outcome.value)()
        if error is not None:
            logger().error("certificate_reload_failed", error=str(error))
        if outcome is ReloadOutcome.RELOADED:
            self.telemetry.certificate_expiry.labels("leaf").set(self.tls.serving.pair.not_after.timestamp())

    def _changed(self, key: Key) -> None:
        """Mark the Deployments that a change may concern."""
        kind, namespace, name = key
        if kind in {"Deployment", "Gateway", "GatewayMigration"}:
            self._dirty.add((namespace, name))
            if kind == "GatewayMigration":  # whoever waits for the database of this one may go on now
                waiting = (item for item in self.cluster.records() if item.status.phase is Phase.WAITING)
                self._dirty |= {(item.namespace, item.name) for item in waiting}
        else:
            where = name if kind == "Namespace" else namespace
            found = (*self.cluster.keys("GatewayMigration"), *self.cluster.keys("Deployment"))
            self._dirty |= {(space, owner) for _, space, owner in found if space == where}
        self._wake.set()

    def _missing(self) -> list[str]:
        return sorted(self._missing_parts)
