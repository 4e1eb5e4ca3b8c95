"""``schemagate controller``: copies of the cluster in every replica, work in the one that leads."""

import asyncio
from collections.abc import Sequence

from webhook.audit.rejections.notices import notice_of
from webhook.audit.rejections.rejection import Rejected
from webhook.audit.scan.stock import Stock
from webhook.controller.concerned import concerned, everything
from webhook.controller.figures import figures
from webhook.controller.jobs import awaits_pod
from webhook.controller.queue import Key, WorkQueue
from webhook.controller.reconcile import Reconciler
from webhook.controller.rejections import take_in
from webhook.errors import ClusterError, NotLeadingError
from webhook.kube.api.client import Client
from webhook.kube.api.pace import Pace
from webhook.kube.certificates.keeper import CertificateKeeper
from webhook.kube.cluster import ControllerCluster
from webhook.kube.events.recorder import EventRecorder
from webhook.kube.events.stored import Reference
from webhook.kube.lease.elector import Elector
from webhook.kube.outbox import Inbox, Received
from webhook.kube.resources import DEPLOYMENTS, RECORDS
from webhook.kube.stocktaking import take_stock
from webhook.logs import logger, said
from webhook.metrics.certificates import KeeperMetrics
from webhook.metrics.controller import ControllerTelemetry
from webhook.metrics.migrations import ENDS, MigrationMetrics
from webhook.policy.migration.notices import Notice
from webhook.policy.names import GATEWAY_KIND
from webhook.policy.objects import Deployment
from webhook.policy.record import Evidence, Phase, Record, RecordStatus
from webhook.runtime.intake import Intake
from webhook.runtime.ops import Ops, OpsServer
from webhook.runtime.process import calm_collector, utc_now
from webhook.runtime.reports import PolicyReports
from webhook.runtime.scans import BackgroundScan
from webhook.runtime.view import AuditView, stock_of
from webhook.settings import Settings

RESYNC_SECONDS = 600.0
"""How often everything is looked at although nothing changed: a net under the watches."""
_LOOK_AGAIN = {Phase.PENDING: 15.0, Phase.WAITING: 15.0, Phase.RUNNING: 60.0, Phase.SUPERSEDED: 60.0}
_NO_POD = 10.0
"""How soon to look at a Job again that has no pod: nothing that is watched tells why."""
_MEASURE_SECONDS = 15.0
"""How often the Gateways are counted for the metrics."""
_ACTION = "Migrate"
_ADMIT = "Admit"


class ControllerProcess:
    """Follows the cluster, leads or waits to lead, and reconciles while it leads."""

    def __init__(self, client: Client, settings: Settings, namespace: str, identity: str) -> None:
        self.telemetry = ControllerTelemetry()
        self._settings = settings
        self._log = logger()
        self._elector = Elector(
            client,
            namespace,
            settings.lease_name,
            identity,
            duration=settings.lease_seconds,
            deadline=settings.lease_seconds * 2 / 3,
            renew=settings.lease_seconds / 3,
            attempt=settings.lease_seconds / 5,
            changed=self._leading,
        )
        # What is sent just before the deadline has ended when the Lease may be another's.
        writer = client.fenced(self._elector.fence, settings.lease_seconds / 3)
        pace = Pace(idle=settings.watch_idle_seconds)
        self.cluster = ControllerCluster(client, writer, self._changed, self._poisoned, pace)
        self._inbox = Inbox(client, writer, namespace, lambda: self._intake.arrived(), pace)
        self._intake = Intake(self._inbox.waiting, self._take_in, self._left, settings.gather_seconds)
        self._events = EventRecorder(writer, identity, self.telemetry.events_dropped.inc)
        self._queue = WorkQueue(self._failed)
        self._migrations = MigrationMetrics(self.telemetry.registry)
        self.telemetry.queue_depth.set_function(lambda: self._queue.depth)
        self._reconciler = Reconciler(self.cluster, utc_now, settings.default_mode, self._tell)
        self._certificates = CertificateKeeper(
            client,
            writer,
            namespace,
            settings,
            KeeperMetrics(self.telemetry.registry),
            now=utc_now,
            log=self._log,
            pace=pace,
        )
        self._reports = PolicyReports(
            client,
            writer,
            self._stock,
            wanted=settings.reports,
            seconds=settings.report_seconds,
            now=utc_now,
            log=self._log,
        )
        self._scan = BackgroundScan(
            lambda: take_stock(client, default_mode=settings.default_mode),
            self.telemetry.found,
            seconds=settings.scan_seconds,
            now=utc_now,
            log=self._log,
        )
        view = AuditView(self._stock, settings.context or client.server, utc_now) if settings.view else None
        self.ops = OpsServer(Ops(self._missing, self.telemetry.exposition, view))
        self._leads = False

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop``: then end the work in hand, give up the Lease, close. Raises what ended it before."""
        await self.ops.start(self._settings.host, self._settings.ops_port)
        try:
            async with asyncio.TaskGroup() as group:
                parts = (self.cluster.run(), self._inbox.run(), self._campaign(), self._stopped(stop))
                tasks = [group.create_task(part) for part in parts]
                await tasks[-1]
                for task in tasks:
                    task.cancel()
        finally:
            await self.ops.stop()

    async def _stopped(self, stop: asyncio.Event) -> None:
        await stop.wait()

    async def _campaign(self) -> None:
        """Wait to lead only once the copies are complete: a leader that knows nothing is of no use."""
        await self.cluster.wait_synced()
        calm_collector()
        await self._elector.run(self._lead)

    async def _lead(self) -> None:
        if self._settings.certificates == "files":
            self._log.info("certificates_left_alone", why="certificates is files: caBundle and leaf are another's")
        await self.cluster.catch_up()
        self._look_at_everything()
        self._leads = True
        only_lost: NotLeadingError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._queue.run(self._reconcile, workers=self._settings.workers))
                group.create_task(self._events.run())
                group.create_task(self._handed_over())
                group.create_task(self._resync())
                group.create_task(self._measure())
                group.create_task(self._reports.run())
                if self._settings.scan_seconds:
                    group.create_task(self._scanning())
                if self._settings.certificates != "files":
                    group.create_task(self._certificates.run())
                group.create_task(self.cluster.kind.follow(self._look_at_everything))
        except* NotLeadingError as lost:
            only_lost = NotLeadingError(str(lost.exceptions[0]))
        finally:
            self._leads = False
            self._migrations.stand()
        if only_lost is not None:  # the elector tells this from work that failed
            raise only_lost

    async def _reconcile(self, key: Key) -> float | None:
        with self.telemetry.reconciling():
            record = await self._reconciler.reconcile(*key)
        if record is None or record.status.phase is None:
            return None
        after = _LOOK_AGAIN.get(record.status.phase)
        return min(after, _NO_POD) if after and awaits_pod(self.cluster, record) else after

    async def _handed_over(self) -> None:
        """Take in what webhooks hand over, a moment after it arrives."""
        # While nobody led, rollouts may have been turned away whose records are still to be made.
        await self._queue.settle()
        await self._intake.run()

    async def _scanning(self) -> None:
        # What is not on record yet would look as if nobody had migrated it.
        await self._queue.settle()
        await self._scan.run()

    async def _take_in(self, received: Received, settled: bool) -> bool:  # noqa: FBT001 # the intake's callback
        batch = (received.uid, received.rejections, self._turned_away)
        taken = await take_in(self.cluster, *batch, final=settled)
        if taken.unsettled:
            return False
        await self._inbox.done(received)
        self.telemetry.rejections_left_out.inc(taken.left_out)
        return True

    def _left(self, error: Exception) -> None:
        self._log.warning("rejections_not_taken_in", error=f"{type(error).__name__}: {said(error)}")

    async def _measure(self) -> None:
        """Count what there is: the leader alone does, so that the replicas' figures add up."""
        while True:
            found = figures(self.cluster, self._settings.default_mode)
            since = found.waiting_since
            self._migrations.stand(
                phases=found.phases,
                waiting=found.waiting,
                waiting_seconds=max(0.0, (utc_now() - since).total_seconds()) if since else 0.0,
                migrated=found.migrated.timestamp() if found.migrated else 0.0,
                governed=found.governed,
                ungoverned=found.ungoverned,
            )
            await asyncio.sleep(_MEASURE_SECONDS)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            await self.cluster.kind.look()
            self._look_at_everything()

    def _look_at_everything(self) -> None:
        for key in everything(self.cluster):
            self._queue.add(key)

    def _changed(self, kind: str, namespace: str, name: str) -> None:
        if self._leads:  # who begins to lead looks at everything
            gateway = self.cluster.gateway_copies.get(namespace, name) if kind == GATEWAY_KIND else None
            if gateway is not None:
                self.cluster.kind.seen(gateway)
            for key in concerned(self.cluster, kind, namespace, name):
                self._queue.add(key)

    def _poisoned(self, kind: str, namespace: str, name: str, error: Exception) -> None:
        self.telemetry.unreadable.inc()
        self._log.error("object_unreadable", kind=kind, namespace=namespace, name=name, error=said(error))

    def _failed(self, key: Key, error: Exception) -> None:
        self.telemetry.reconcile_failed(error)
        known = isinstance(error, ClusterError)
        self._log.warning(
            "reconcile_failed", namespace=key[0], name=key[1], error=said(error), exc_info=None if known else error
        )

    def _leading(self, leading: bool) -> None:  # noqa: FBT001 # the elector's callback
        self.telemetry.leader.set(leading)

    def _tell(self, record: Record, told: Sequence[Notice]) -> None:
        """Write Events on the record, and on the Deployment where somebody would look for the cause."""
        where = (record.namespace, record.name)
        regarding = Reference(RECORDS.api_version, RECORDS.kind, *where, record.uid)
        deployment = self.cluster.deployment(*where)
        for notice in told:
            if notice.reason in ENDS:
                self._migrations.ended(ENDS[notice.reason], _seconds_of(record.status))
            self._log.info("migration", namespace=where[0], name=where[1], reason=notice.reason, note=notice.note)
            self._events.record(regarding, notice.kind.value, notice.reason, notice.note, _ACTION)
            if notice.on_deployment and deployment is not None:
                other = Reference(DEPLOYMENTS.api_version, DEPLOYMENTS.kind, *where, deployment.metadata.uid)
                self._events.record(other, notice.kind.value, notice.reason, notice.note, _ACTION, regarding)

    def _turned_away(self, record: Record, deployment: Deployment | None, news: Sequence[Rejected]) -> None:
        """Write Events on the Deployment, or on the record where there is none to look at."""
        where = (record.namespace, record.name)
        found = Reference(RECORDS.api_version, RECORDS.kind, *where, record.uid)
        regarding, related = found, None
        if deployment is not None:
            uid = deployment.metadata.uid
            regarding = Reference(DEPLOYMENTS.api_version, DEPLOYMENTS.kind, *where, uid)
            related = found
        for item in news:
            notice = notice_of(item)
            self._events.record(regarding, notice.kind.value, notice.reason, notice.note, _ADMIT, related)

    def _missing(self) -> list[str]:
        return self.cluster.unsynced()

    def _stock(self) -> Stock:
        return stock_of(self.cluster, self._settings.default_mode)


def _seconds_of(status: RecordStatus) -> float | None:
    """Give how long our own Job took that was found complete last, None where none was."""
    done = status.completed_hashes[0] if status.completed_hashes else None
    if done is None or done.evidence is not Evidence.JOB or done.time is None or status.start_time is None:
        return None
    return max(0.0, (done.time - status.start_time).total_seconds())
