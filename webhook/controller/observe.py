"""Gathering: everything that the plan for one Deployment depends on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from webhook.controller.ports import Observations
from webhook.policy.environment import config_maps_of
from webhook.policy.evidence import tampering, witness
from webhook.policy.failures import PodEnd, classify
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import Governance
from webhook.policy.migration import JobPhase, Observed, ObservedJob
from webhook.policy.names import MIGRATED, MODE_SKIP
from webhook.policy.objects import ConfigMap, Container, Deployment
from webhook.policy.record import Failure, Phase, Record
from webhook.policy.schema_mode import effective_modes
from webhook.policy.target import Target, target_of

ConfigMaps = Mapping[str, ConfigMap | None]
_BUSY = frozenset({Phase.PENDING, Phase.RUNNING, Phase.SUPERSEDED})


async def observe(cluster: Observations, record: Record, governance: Governance | None, now: datetime) -> Observed:
    """Observe a record's Deployment, Job and database."""
    deployment = cluster.deployment(record.namespace, record.name)
    target, mark, self_migrated = None, "", False
    if deployment is not None:
        mark = deployment.metadata.annotation(MIGRATED) or ""
        if governance is not None:
            config_maps = await config_maps_for(cluster, deployment)
            target = target_of(deployment, governance, config_maps)
            self_migrated = _self_migrated(cluster, deployment, config_maps)
    return Observed(
        record=record,
        governance=governance,
        target=target,
        job=await _job(cluster, record),
        now=now,
        self_migrated=self_migrated,
        busy=_busy(cluster, record, target),
        migrated_mark=mark,
    )


async def config_maps_for(cluster: Observations, deployment: Deployment) -> ConfigMaps:
    """Read the ConfigMaps that a Deployment's gateway container refers to."""
    container = gateway_container(deployment.template().spec, [deployment.metadata])
    names = config_maps_of(container) if container else frozenset[str]()
    namespace = deployment.metadata.namespace
    return {name: await cluster.config_map(namespace, name) for name in sorted(names)}


async def _job(cluster: Observations, record: Record) -> ObservedJob | None:
    reference = record.status.job
    job = await cluster.job(record.namespace, reference.name) if reference else None
    if job is None:
        return None
    uid = job["metadata"]["uid"]
    owners = job["metadata"].get("ownerReferences") or []
    ours = any(owner.get("controller") and owner.get("uid") == record.uid for owner in owners)
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


def _self_migrated(cluster: Observations, deployment: Deployment, config_maps: ConfigMaps) -> bool:
    """Tell whether every pod, and one at least, runs the stored image and not in skip."""
    wanted = gateway_container(deployment.template().spec, [deployment.metadata])
    pods = cluster.pods_of(deployment.metadata.namespace, deployment.metadata.name)
    containers = [gateway_container(pod.spec, [deployment.metadata]) for pod in pods]
    return bool(containers) and all(_migrates(container, wanted, config_maps) for container in containers)


def _migrates(container: Container | None, wanted: Container | None, config_maps: ConfigMaps) -> bool:
    if container is None or wanted is None or container.image != wanted.image:
        return False
    return MODE_SKIP not in effective_modes(container, config_maps)


def _busy(cluster: Observations, record: Record, target: Target | None) -> str | None:
    """Name the record that migrates the same database now: one at a time, across namespaces."""
    database = target.desired.database if target and target.desired else None
    if database is None:
        return None
    for other in cluster.records():
        mine = (other.namespace, other.name) == (record.namespace, record.name)
        job = other.status.job
        if not mine and job is not None and job.database == database and other.status.phase in _BUSY:
            return f"{other.namespace}/{other.name}"
    return None
