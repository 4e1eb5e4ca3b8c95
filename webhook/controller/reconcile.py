"""Reconciling one Deployment: gather what is, ask the rules for a plan, carry it out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from webhook.audit.rejections.ending import Standing, followed
from webhook.claims import claims_of
from webhook.controller.intent import job_of
from webhook.controller.observe import observe
from webhook.controller.ports import Cluster
from webhook.errors import ForbiddenError, NameTakenError, RejectedError
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import Claims, Governance, govern, source_spec
from webhook.policy.migration.conditions import JOB_NOT_CREATED
from webhook.policy.migration.databases import database_key
from webhook.policy.migration.lifecycle import plan
from webhook.policy.migration.notices import Notice, notices
from webhook.policy.migration.observed import (
    ClearRetry,
    CreateJob,
    DeleteJob,
    JobPhase,
    MarkMigrated,
    Mirror,
    Observed,
    Plan,
    Refusal,
    Step,
    Unpause,
)
from webhook.policy.migration.obstacles import obstacle
from webhook.policy.migration.target import is_held
from webhook.policy.record import JobReference, Mode, Record, RecordStatus

PASSES = 8
"""How often one call plans again after taking steps; a plan that never settles is a bug, not a loop."""


Tell = Callable[[Record, Sequence[Notice]], None]
"""Takes what is worth an Event of a record; returns at once and never raises."""


def _nobody(_: Record, __: Sequence[Notice]) -> None:
    """Tell nobody."""


class Reconciler:
    """Brings a Deployment's migration one or more steps on. Safe to call at any time, any number of times.

    Different Deployments may be reconciled side by side, one and the same only one at a time.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Callable[[], datetime],
        default_mode: Mode = Mode.REJECT,
        tell: Tell = _nobody,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._default_mode = default_mode
        self._tell = tell
        self._taking: dict[str, tuple[str, str]] = {}
        self._refused: dict[tuple[str, str], tuple[type[Exception], Refusal]] = {}

    async def reconcile(self, namespace: str, name: str) -> Record | None:
        """Reconcile the Deployment of this name; gives its record as it is then, None when it has none."""
        record = await self._keep_record(namespace, name)
        if record is None:
            await self._let_go(namespace, name)
            self._refused.pop((namespace, name), None)
        for _ in range(PASSES):
            if record is None:
                return None
            try:
                record, settled = await self._pass(record)
            finally:
                self._taking = {taken: who for taken, who in self._taking.items() if who != (namespace, name)}
            if settled:
                return record
            record = self._cluster.record(namespace, name)
        return record

    async def _pass(self, record: Record) -> tuple[Record, bool]:
        """Plan once and carry it out; tells whether there was nothing to do."""
        governance = govern(self._claims(record.namespace, record.name))
        observed = await observe(self._cluster, record, governance, self._clock())
        _, refused = self._refused.get((record.namespace, record.name), (None, None))
        wanted = self._plan(replace(observed, refused=refused))
        wanted = replace(wanted, status=self._followed(observed, wanted.status))
        settled = wanted.status == record.status
        if not settled:
            told = notices(record.status, wanted.status, namespace=record.namespace, name=record.name)
            record = await self._cluster.write_status(record, wanted.status)
            self._tell(record, told)
        for step in wanted.steps:
            record = await self._take(step, record, governance)
        return record, settled and not wanted.steps

    def _followed(self, observed: Observed, status: RecordStatus) -> RecordStatus:
        """Give the status with what became of the rollouts that were turned away."""
        deployment = self._cluster.deployment(observed.record.namespace, observed.record.name)
        running = observed.target.running if observed.target else None
        standing = Standing.of(deployment, running, observed.governance)
        return replace(status, rejections=followed(status.rejections, status, standing, observed.now))

    def _plan(self, observed: Observed) -> Plan:
        """Plan; a database that another worker of this process is about to take counts as busy.

        Between its observation and the status that tells of it, this one may still see the database free.
        """
        wanted = plan(observed)
        desired = observed.target.desired if observed.target else None
        if desired is None or not any(isinstance(step, CreateJob) for step in wanted.steps):
            return wanted
        where = (observed.record.namespace, observed.record.name)
        taker = self._taking.setdefault(database_key(observed.record, desired), where)
        return wanted if taker == where else plan(replace(observed, busy="/".join(taker)))

    def _claims(self, namespace: str, name: str) -> Claims:
        deployment = self._cluster.deployment(namespace, name)
        metas = [deployment.metadata] if deployment else []
        return claims_of(self._cluster, namespace, name, metas, self._default_mode)

    async def _keep_record(self, namespace: str, name: str) -> Record | None:
        """Make, keep or delete the managed record as its source says; a user's own is never touched."""
        claims = self._claims(namespace, name)
        record = claims.record
        if record is not None and not record.managed:
            return record
        wish = source_spec(claims) if self._guards(namespace, name) else None
        if wish is None:
            if record is None or await self._migrates(record, govern(claims)):
                return record
            await self._cluster.delete_record(record)
            return None
        if record is None:
            return await self._cluster.create_record(namespace, name, wish[1])
        governance = govern(claims)
        if governance is not None and governance.spec != record.spec:
            return await self._cluster.write_spec(record, governance.spec)
        return record

    def _guards(self, namespace: str, name: str) -> bool:
        """Tell whether there is a Gateway to keep a record for."""
        deployment = self._cluster.deployment(namespace, name)
        if deployment is None:
            return self._cluster.gateway(namespace, name) is not None
        return gateway_container(deployment.template().spec, [deployment.metadata]) is not None

    async def _migrates(self, record: Record, governance: Governance | None) -> bool:
        """Tell whether a Job of the record runs: it would be deleted with its owner, amid its changes."""
        job = (await observe(self._cluster, record, governance, self._clock())).job
        return job is not None and job.ours and job.phase is JobPhase.ACTIVE

    async def _let_go(self, namespace: str, name: str) -> None:
        """Release a Deployment that we paused for a record that is gone, or nobody ever would.

        Only once it is gone: until then the gate, which knows no exemptions, would turn the release away.
        """
        deployment = self._cluster.deployment(namespace, name)
        if deployment is not None and is_held(deployment) and govern(self._claims(namespace, name)) is None:
            await self._release(namespace, name, deployment.metadata.resource_version)

    async def _release(self, namespace: str, name: str, version: str) -> None:
        """Let a Deployment go on; ForbiddenError when admission paused it again, which changes nothing stored.

        A webhook may hear later than we did of what sets it free, and nothing would wake us once it has.
        """
        await self._cluster.unpause(namespace, name, version)
        deployment = self._cluster.deployment(namespace, name)
        if deployment is not None and is_held(deployment) and deployment.metadata.resource_version == version:
            raise ForbiddenError(f"Deployment {namespace}/{name} was to go on, and admission paused it again")

    async def _take(self, step: Step, record: Record, governance: Governance | None) -> Record:
        where = (record.namespace, record.name)
        match step:
            case CreateJob(job=job):
                return await self._create(job, record, governance)
            case DeleteJob(job=job):
                await self._cluster.delete_job(record.namespace, job.name, job.uid)
            case Unpause(version=version):
                await self._release(*where, version)
            case MarkMigrated(mark=mark):
                await self._cluster.mark_migrated(*where, mark)
            case ClearRetry():
                await self._cluster.clear_retry(record)
            case Mirror(status=status):
                await self._cluster.mirror(*where, status)
        return self._cluster.record(*where) or record

    async def _create(self, job: JobReference, record: Record, governance: Governance | None) -> Record:
        """Create the Job of an intent that the status holds, and note its UID.

        Who refuses it is told in the record first, by another pass; from then on it is a failure like any other.
        A text that varies is told once: each status that we write wakes us, whatever the queue had us wait for.
        """
        where = (record.namespace, record.name)
        manifest = await job_of(self._cluster, record, governance, job)
        if manifest is None:
            return record  # the Deployment moved on meanwhile; the next pass plans anew
        try:
            uid = await self._cluster.create_job(manifest)
        except NameTakenError:
            return record  # the next observation tells ours from another's
        except (ForbiddenError, RejectedError) as error:
            kind, known = self._refused.get(where, (None, None))
            if kind is not type(error) or known is None or known.job != job.name:
                self._refused[where] = (type(error), Refusal(job.name, obstacle(JOB_NOT_CREATED, str(error))))
            if known is not None and known.job == job.name:
                raise
            return record
        self._refused.pop(where, None)
        return await self._cluster.write_status(record, replace(record.status, job=replace(job, uid=uid)))
