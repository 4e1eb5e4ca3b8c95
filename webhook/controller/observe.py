"""Gathering: everything that the plan for one Deployment depends on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from webhook.controller.intent import ConfigMaps, config_maps_for, job_of
from webhook.controller.ports import Observations
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import Governance
from webhook.policy.migration.evidence import is_made_by, tampering, witness
from webhook.policy.migration.failures import PodEnd, classify
from webhook.policy.migration.observed import JobPhase, Observed, ObservedJob
from webhook.policy.migration.target import Target, is_held, target_of
from webhook.policy.names import MIGRATED, MODE_SKIP
from webhook.policy.objects import Container
from webhook.policy.pod.schema_mode import arguments_known, effective_modes
from webhook.policy.record import Failure, JobReference, Phase, Record

_BUSY = frozenset({Phase.PENDING, Phase.RUNNING, Phase.SUPERSEDED})


async def observe(cluster: Observations, record: Record, governance: Governance | None, now: datetime) -> Observed:
    """Observe a record's Deployment, Job and database."""
    deployment = cluster.deployment(record.namespace, record.name)
    target, mark, self_migrated, skipping = None, "", False, False
    if deployment is not None:
        mark = deployment.metadata.annotation(MIGRATED) or ""
        if governance is None:
            target = Target(desired=None, running=None, held=is_held(deployment))
        else:
            wanted = gateway_container(deployment.template().spec, [deployment.metadata])
            running = [
                gateway_container(pod.spec, [deployment.metadata])
                for pod in cluster.pods_of(record.namespace, record.name)
            ]
            config_maps = await config_maps_for(cluster, record.namespace, [wanted, *running])
            target = target_of(deployment, governance, config_maps)
            skipping = any(_skips(container, config_maps) for container in running)
            same = all(container and wanted and container.image == wanted.image for container in running)
            told = all(arguments_known(container, config_maps) for container in running if container)
            self_migrated = bool(running) and same and told and not skipping
    return Observed(
        record=record,
        governance=governance,
        target=target,
        job=await _job(cluster, record, governance),
        now=now,
        self_migrated=self_migrated,
        busy=await _busy(cluster, record, target),
        migrated_mark=mark,
        skipping=skipping,
    )


def _skips(container: Container | None, config_maps: ConfigMaps) -> bool:
    return container is not None and MODE_SKIP in effective_modes(container, config_maps)


async def _job(cluster: Observations, record: Record, governance: Governance | None) -> ObservedJob | None:
    reference = record.status.job
    job = await cluster.job(record.namespace, reference.name) if reference else None
    if job is None or reference is None:
        return None
    uid = job["metadata"]["uid"]
    ours = uid == reference.uid
    if not reference.uid:
        built = await job_of(cluster, record, governance, reference)
        ours = built is not None and is_made_by(record.uid, built, job)
    phase = _phase(job)
    if phase is JobPhase.ACTIVE:
        return ObservedJob(job["metadata"]["name"], uid, phase, ours)
    pods = await cluster.job_pods(record.namespace, uid)
    if phase is JobPhase.FAILED:
        failure = await _failure(cluster, record.namespace, job, pods)
        return ObservedJob(job["metadata"]["name"], uid, phase, ours, failure=failure)
    pod_uid, image_id = witness(pods)
    return ObservedJob(
        job["metadata"]["name"], uid, phase, ours, tampering(job, pods), pod_uid=pod_uid, image_id=image_id
    )


def _phase(job: Mapping[str, Any]) -> JobPhase:
    for condition in job.get("status", {}).get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in {"Complete", "Failed"}:
            return JobPhase.SUCCEEDED if condition["type"] == "Complete" else JobPhase.FAILED
    return JobPhase.ACTIVE


async def _failure(cluster: Observations, namespace: str, job: Mapping[str, Any], pods: Any) -> Failure:
    """Classify by the conditions of the Job and the last pod's state and log."""
    reasons = [condition.get("reason", "") for condition in job["status"].get("conditions") or []]
    code, log = None, ""
    if pods:
        status = pods[-1].get("status", {})
        reasons.append(status.get("reason", ""))
        for state in status.get("containerStatuses") or []:
            kinds = state.get("state", {})
            reasons.append(kinds.get("waiting", {}).get("reason", ""))
            code = kinds.get("terminated", {}).get("exitCode", code)
        log = await cluster.pod_log(namespace, pods[-1]["metadata"]["name"])
    return classify(PodEnd(tuple(reason for reason in reasons if reason), code, log))


async def _busy(cluster: Observations, record: Record, target: Target | None) -> str | None:
    """Name the record that migrates the same database now: one at a time, across namespaces.

    A disabled record lets the Job that runs go on, so the phase alone does not tell.
    """
    database = target.desired.database if target and target.desired else None
    if database is None:
        return None
    for other in cluster.records():
        mine = (other.namespace, other.name) == (record.namespace, record.name)
        job = other.status.job
        if mine or job is None or job.database != database:
            continue
        if other.status.phase in _BUSY or await _active(cluster, other.namespace, job):
            return f"{other.namespace}/{other.name}"
    return None


async def _active(cluster: Observations, namespace: str, reference: JobReference) -> bool:
    job = await cluster.job(namespace, reference.name) if reference.uid else None
    return job is not None and job["metadata"]["uid"] == reference.uid and _phase(job) is JobPhase.ACTIVE
