"""Gathering: everything that the plan for one Deployment depends on."""

from datetime import datetime

from webhook.controller.intent import Heading, config_maps_for, heading_of
from webhook.controller.jobs import external_of, impostors_of, is_active, job_of_record, migrates
from webhook.controller.ports import Observations
from webhook.policy.gateway import gateway_container
from webhook.policy.gateway_resource import MigrationStatus
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs
from webhook.policy.migration.conditions import JOB_NOT_CREATED
from webhook.policy.migration.databases import database_key
from webhook.policy.migration.observed import Observed
from webhook.policy.migration.target import Target, is_held
from webhook.policy.names import MIGRATED, MODE_SKIP
from webhook.policy.objects import Deployment
from webhook.policy.pod.schema_mode import arguments_known, effective_modes
from webhook.policy.record import Phase, Record, Runner


async def observe(cluster: Observations, record: Record, governance: Governance | None, now: datetime) -> Observed:
    """Observe a record's Deployment, Job and database."""
    stored = cluster.deployment(record.namespace, record.name)
    heading = await heading_of(cluster, record, governance) if governance else None
    target = heading.target if heading else None
    if governance is None and stored is not None:
        version = stored.metadata.resource_version
        target = Target(desired=None, running=None, held=is_held(stored), version=version)
    self_migrated, skipping, outdated = False, False, False
    if heading is not None and target is not None and _may_be_adopted(target, record):
        self_migrated, skipping, outdated = await _running(cluster, heading)
    desired = target.desired if target else None
    external, external_problem = None, ""
    if governance is not None and governance.runner is Runner.EXTERNAL and desired is not None:
        external, external_problem = await external_of(cluster, record, desired)
    return Observed(
        record=record,
        governance=governance,
        target=target,
        job=await job_of_record(cluster, record, governance, now),
        now=now,
        self_migrated=self_migrated,
        skipping=skipping,
        outdated=outdated,
        awaited=heading.awaited if heading else (),
        busy=_busy(cluster, record, desired)
        if desired and not record.status.completion(desired.spec_hash)
        else None,
        migrated_mark=_mark(stored),
        external=external,
        external_problem=external_problem,
        impostors=impostors_of(cluster, record, desired) if desired else (),
        mirror=_mirror(cluster, record),
    )


def _mark(deployment: Deployment | None) -> str:
    return (deployment.metadata.annotation(MIGRATED) or "") if deployment else ""


def _mirror(cluster: Observations, record: Record) -> MigrationStatus | None:
    gateway = cluster.gateway(record.namespace, record.name) if cluster.mirrors else None
    return (gateway.status.migration_status or MigrationStatus()) if gateway else None


def _may_be_adopted(target: Target, record: Record) -> bool:
    """Tell whether it is worth asking what runs: pods tell nothing of a hash that is complete already."""
    running = target.running if target.settled else None
    return running is not None and record.status.completion(running.spec_hash) is None


async def _running(cluster: Observations, heading: Heading) -> tuple[bool, bool, bool]:
    """Tell whether all pods migrated by themselves, whether one at least is in skip, whether they are outdated."""
    meta, wanted = heading.deployment.metadata, heading.container
    # Those of the template before may take minutes to end, and say nothing about this one.
    pods = [pod for pod in await cluster.pods_of(meta.namespace, meta.name) if pod.lives]
    running = [gateway_container(pod.spec, [meta]) for pod in pods]
    config_maps = {**heading.config_maps, **await config_maps_for(cluster, meta.namespace, running)}
    skipping = any(item and MODE_SKIP in effective_modes(item, config_maps) for item in running)
    same = all(item and wanted and item.image == wanted.image for item in running)
    told = all(arguments_known(item, config_maps) for item in running if item)
    started = min((pod.metadata.creation_timestamp for pod in pods if pod.metadata.creation_timestamp), default="")
    changed = max((item.metadata.changed for item in config_maps.values() if item), default="")
    # In whole seconds: an operator makes all of them in one.
    outdated = bool(started) and changed > started
    return bool(running) and same and told and not skipping, skipping, outdated


def _busy(cluster: Observations, record: Record, desired: MigrationInputs) -> str | None:
    """Name who migrates the same database now: one at a time, across namespaces.

    A disabled record lets the Job that runs go on, and one that is deleted leaves it for a while: the phase alone
    does not tell.
    """
    key = database_key(record, desired)
    for other in cluster.records():
        if (other.namespace, other.name) == (record.namespace, record.name):
            continue
        if _has(cluster, other, key) or _runs_elsewhere(other, record, desired):
            return f"{other.namespace}/{other.name}"
    return migrates(cluster, record, key) or None


def _has(cluster: Observations, other: Record, key: str) -> bool:
    """Tell whether a record's Job has the database of this key, or is about to."""
    status = other.status
    if status.job is None or status.job.database != key:
        return False
    if status.phase in {Phase.RUNNING, Phase.SUPERSEDED} or is_active(cluster, other.namespace, status.job):
        return True
    # One that is refused may be for ever.
    refused = any(item.reason == JOB_NOT_CREATED for item in status.conditions)
    return status.phase is Phase.PENDING and not status.job.uid and not refused


def _runs_elsewhere(other: Record, record: Record, desired: MigrationInputs) -> bool:
    """Tell whether an operator's or chart's Job runs at the same URL: a place means the same in one namespace."""
    status = other.status
    runs = status.job is None and status.phase is Phase.RUNNING and status.jdbc_url == desired.jdbc_url
    return runs and (desired.database is not None or other.namespace == record.namespace)
