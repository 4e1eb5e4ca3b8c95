"""Observing migration Jobs: by their copies while they run, and live, with their pods, once they have ended."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from webhook.controller.intent import config_maps_for, job_of
from webhook.controller.ports import Manifest, Observations
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.migration.databases import database_label
from webhook.policy.migration.evidence import is_made_by, tampering, witness
from webhook.policy.migration.external import external_job, external_name
from webhook.policy.migration.failures import PodEnd, classify
from webhook.policy.migration.job_views import Job
from webhook.policy.migration.observed import JobPhase, ObservedJob, end_is_noted
from webhook.policy.migration.obstacles import obstacle, obstacle_of_job
from webhook.policy.names import COMPONENT, DATABASE, HASH, MANAGED_BY, MIGRATION_COMPONENT, PRODUCT
from webhook.policy.objects import PodSpec, view
from webhook.policy.record import Failure, JobReference, Record

AWAITED_SECONDS = 5.0
"""How long the pod of a new Job is waited for before somebody asks why there is none."""


async def job_of_record(
    cluster: Observations, record: Record, governance: Governance | None, now: datetime
) -> ObservedJob | None:
    """Observe the Job that the status names. Copies tell while it runs; what counts is read live."""
    reference = record.status.job
    if reference is None:
        return None
    copy = _copy(cluster, record.namespace, reference)
    if copy is not None and _phase(copy) is JobPhase.ACTIVE:
        obstacle = await _obstacle(cluster, record, copy, now)
        failure = await _failing(cluster, record, copy)
        return ObservedJob(reference.name, reference.uid, JobPhase.ACTIVE, failure=failure, obstacle=obstacle)
    if copy is not None and end_is_noted(record.status):
        return ObservedJob(reference.name, reference.uid, _phase(copy), tampered="not looked at again")
    # A copy that lags must not say that a Job is gone: that would start another.
    job = await cluster.job(record.namespace, reference.name)
    if job is None:
        return None
    uid = job["metadata"]["uid"]
    ours = uid == reference.uid
    if not reference.uid:
        built = await job_of(cluster, record, governance, reference)
        ours = built is not None and is_made_by(record.uid, built, job)
    return await _ended(cluster, record.namespace, job, ours=ours)


async def external_of(
    cluster: Observations, record: Record, inputs: MigrationInputs
) -> tuple[ObservedJob | None, str]:
    """Observe the Job of an operator or chart that migrates these inputs, or say why none counts."""
    manifest = await cluster.job(record.namespace, external_name(record.name))
    gateway = cluster.gateway(record.namespace, record.name)
    uid = gateway.metadata.uid if gateway else None
    containers = _pod_spec(manifest).containers if manifest else ()
    config_maps = await config_maps_for(cluster, record.namespace, containers or ())
    verdict = external_job(manifest, name=record.name, inputs=inputs, gateway_uid=uid, config_maps=config_maps)
    if manifest is None or verdict is not None:
        return None, verdict or ""
    return await _ended(cluster, record.namespace, manifest, ours=True), ""


def _pod_spec(job: Manifest) -> PodSpec:
    return view(PodSpec, ((job.get("spec") or {}).get("template") or {}).get("spec") or {})


def impostors_of(cluster: Observations, record: Record, inputs: MigrationInputs) -> tuple[str, ...]:
    """Name the Jobs that carry our labels and the wanted hash, say Complete, and are not known to be ours."""
    if record.status.completion(inputs.spec_hash) is not None:
        return ()
    known = record.status.job.uid if record.status.job else ""
    reference = record.status.job
    return tuple(
        sorted(
            job.metadata.name
            for job in cluster.jobs(record.namespace)
            if _says_ours(job, inputs)
            and job.metadata.uid != known
            and (known or reference is None or job.metadata.name != reference.name)
            and job.condition("Complete") is not None
        )
    )


def is_active(cluster: Observations, namespace: str, reference: JobReference) -> bool:
    """Tell whether the Job of a status still runs, by its copy."""
    copy = _copy(cluster, namespace, reference)
    return copy is not None and _phase(copy) is JobPhase.ACTIVE


def migrates(cluster: Observations, record: Record, key: str) -> str:
    """Name a Job of ours, in any namespace, that migrates a database now and is not the record's own.

    Its record may be gone, or made anew: a Job runs on until the garbage collector finds it.
    """
    own, label = record.status.job.uid if record.status.job else "", database_label(key)
    for job in cluster.jobs(""):
        labels = job.metadata.labels or {}
        said = (labels.get(COMPONENT), labels.get(MANAGED_BY), labels.get(DATABASE))
        ours = said == (MIGRATION_COMPONENT, PRODUCT, label) and job.metadata.uid != own
        if ours and _phase(job) is JobPhase.ACTIVE:
            return f"Job {job.metadata.namespace}/{job.metadata.name}"
    return ""


def awaits_pod(cluster: Observations, record: Record) -> bool:
    """Tell whether our Job has no pod that runs or is about to, or is not among the copies: neither tells why."""
    reference = record.status.job
    if reference is None or not reference.uid:
        return False
    copy = _copy(cluster, record.namespace, reference)
    return copy is None or (_phase(copy) is JobPhase.ACTIVE and not copy.status.active)


def _copy(cluster: Observations, namespace: str, reference: JobReference) -> Job | None:
    if not reference.uid:
        return None
    return next((job for job in cluster.jobs(namespace) if job.metadata.uid == reference.uid), None)


def _says_ours(job: Job, inputs: MigrationInputs) -> bool:
    labels = job.metadata.labels or {}
    said = (labels.get(COMPONENT), labels.get(MANAGED_BY), labels.get(HASH))
    return said == (MIGRATION_COMPONENT, PRODUCT, short(inputs.spec_hash))


def _phase(job: Job) -> JobPhase:
    if job.condition("Complete"):
        return JobPhase.SUCCEEDED
    return JobPhase.FAILED if job.condition("Failed") else JobPhase.ACTIVE


async def _obstacle(cluster: Observations, record: Record, copy: Job, now: datetime) -> str:
    """Say why a Job gets nowhere: by its pod, or, when it has had time and has none, by what was told of it."""
    suspended = copy.condition("Suspended")
    if suspended is not None:
        return obstacle(suspended.reason, "somebody else suspended the Job; it goes on once spec.suspend is false")
    seen = cluster.obstacle(record.namespace, copy.metadata.uid)
    started = record.status.start_time
    if seen or copy.status.active or (started is not None and (now - started).total_seconds() < AWAITED_SECONDS):
        return seen
    return obstacle_of_job(await cluster.job_events(record.namespace, copy.metadata.uid))


async def _failing(cluster: Observations, record: Record, copy: Job) -> Failure | None:
    """Classify a Job that is about to fail: at its deadline its pods are deleted before it says Failed.

    (Job controller, Kubernetes 1.31 and later: condition FailureTarget first, Failed once the pods are gone.)
    """
    target = copy.condition("FailureTarget")
    if target is None or end_is_noted(record.status):
        return record.status.failure if target else None
    pods = await cluster.job_pods(record.namespace, copy.metadata.uid)
    return await _failure(cluster, record.namespace, copy, pods)


async def _ended(cluster: Observations, namespace: str, job: Manifest, *, ours: bool) -> ObservedJob:
    """Observe a whole Job, with its pods where it has ended."""
    seen = view(Job, job)
    name, uid, phase = seen.metadata.name, seen.metadata.uid, _phase(seen)
    if phase is JobPhase.ACTIVE:
        return ObservedJob(name, uid, phase, ours)
    pods = await cluster.job_pods(namespace, uid)
    if phase is JobPhase.FAILED:
        return ObservedJob(name, uid, phase, ours, failure=await _failure(cluster, namespace, seen, pods))
    pod_uid, image_id = witness(job, pods)
    return ObservedJob(name, uid, phase, ours, tampering(job, pods), pod_uid=pod_uid, image_id=image_id)


async def _failure(cluster: Observations, namespace: str, job: Job, pods: Sequence[Mapping[str, Any]]) -> Failure:
    """Classify by the conditions of the Job and the last pod's state and log."""
    reasons = [condition.reason for condition in job.status.conditions or ()]
    code, log = None, ""
    if pods:
        last = max(pods, key=lambda pod: pod["metadata"].get("creationTimestamp") or "")
        status = last.get("status", {})
        reasons.append(status.get("reason", ""))
        for state in status.get("containerStatuses") or []:
            kinds = state.get("state", {})
            reasons.append(kinds.get("waiting", {}).get("reason", ""))
            code = kinds.get("terminated", {}).get("exitCode", code)
        log = await cluster.pod_log(namespace, last["metadata"]["name"])
    stuck = cluster.obstacle(namespace, job.metadata.uid)
    if not pods and not stuck:
        stuck = obstacle_of_job(await cluster.job_events(namespace, job.metadata.uid))
    return classify(PodEnd(tuple(reason for reason in reasons if reason), code, log, stuck))
