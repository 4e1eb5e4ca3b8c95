"""The migration Job: the Gateway's own pod template, less all that a one-shot migration must not carry.

Keep and drop follow what the operator (v1.2.2) and the chart (3.0.30) put into the template. Notably dropped: the
chart's postStart hook, which holds the admin password in clear text; the operator's init containers, one of which
changes another database; labels, which would put the pod behind the Gateway's Service.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonpatch

from webhook.policy.environment import ConfigMaps
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.names import (
    COMPONENT,
    GROUP,
    LICENSE_PATH,
    MANAGED_BY,
    MIGRATION_COMPONENT,
    MODE_LIQUIBASE_ONLY,
    MODE_LIQUIBASE_ONLY_WITH_UNLOCK,
    PRODUCT,
    RECORD_API_VERSION,
    RECORD_KIND,
    SSG_DATABASE_JDBC_URL,
)
from webhook.policy.objects import Container, view
from webhook.policy.record import JobReference, LogLevel, Record, RecordSpec
from webhook.policy.schema_mode import environment_patch

CONTAINER = "db-migration"
_NAME_LIMIT = 63

_POD_KEPT = (
    "imagePullSecrets",
    "securityContext",
    "serviceAccountName",
    "nodeSelector",
    "tolerations",
    "hostAliases",
    "dnsPolicy",
    "dnsConfig",
    "hostNetwork",
    "priorityClassName",
    "runtimeClassName",
    "terminationGracePeriodSeconds",
)
_CONTAINER_KEPT = ("image", "imagePullPolicy", "command", "args", "envFrom", "env", "resources", "securityContext")
_OPERATOR_INIT = ("graphman-static-init", "portal-init", "otk-install-init", "otk-db-init")
_PROXIES = ("cloud-sql-proxy", "cloudsql-proxy", "alloydb-auth-proxy", "rds-proxy", "db-proxy")
_BOOTSTRAP = "/opt/SecureSpan/Gateway/node/default/etc/bootstrap/"
_DROPPED_MOUNTS = (_BOOTSTRAP, "/graphman/", "/opt/docker/graphman")
_NOT_INJECTED = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "sidecar.opentelemetry.io/inject": "false",
    "instrumentation.opentelemetry.io/inject-java": "false",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a Job is made from: the stored pod template (whole), the gateway container's name in it, the inputs.

    ``config_maps`` are those that the container's environment refers to.
    """

    template: Mapping[str, Any]
    container: str
    inputs: MigrationInputs
    config_maps: ConfigMaps


def job_name(namespace: str, deployment: str, spec_hash: str, attempt: int) -> str:
    """Give the name of an attempt's Job: at most 63 characters, a number from the second attempt on.

    A long Deployment name is cut and told apart by a hash of namespace and name.
    """
    tail = f"-{MIGRATION_COMPONENT}-{spec_hash[:8]}" + (f"-{attempt}" if attempt > 1 else "")
    if len(deployment) + len(tail) > _NAME_LIMIT:
        digest = hashlib.sha256(f"{namespace}\0{deployment}".encode()).hexdigest()[:8]
        deployment = f"{deployment[: _NAME_LIMIT - len(tail) - 9].rstrip('-.')}-{digest}"
    return deployment + tail


def build_job(record: Record, spec: RecordSpec, reference: JobReference, request: JobRequest) -> dict[str, Any]:
    """Build the Job's manifest. Nothing in it comes from anywhere but the stored template and the spec."""
    labels = {
        "app.kubernetes.io/name": reference.name,
        COMPONENT: MIGRATION_COMPONENT,
        MANAGED_BY: PRODUCT,
        f"{GROUP}/hash": short(reference.hash),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": reference.name,
            "namespace": record.namespace,
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": RECORD_API_VERSION,
                    "kind": RECORD_KIND,
                    "name": record.name,
                    "uid": record.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "activeDeadlineSeconds": spec.active_deadline_seconds,
            "backoffLimit": spec.pod_attempts - 1,
            "completions": 1,
            "parallelism": 1,
            # An eviction is no verdict on the schema: it does not use up an attempt.
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
                ]
            },
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": {"labels": labels, "annotations": dict(_NOT_INJECTED)},
                "spec": _pod(spec, request),
            },
        },
    }


def _pod(spec: RecordSpec, request: JobRequest) -> dict[str, Any]:
    source = request.template.get("spec", {})
    gateway = next(item for item in source["containers"] if item["name"] == request.container)
    volumes = source.get("volumes") or []
    scratch = {volume["name"] for volume in volumes if "emptyDir" in volume}
    mounts = [mount for mount in gateway.get("volumeMounts") or [] if _mount_kept(mount["mountPath"])]
    init = [item for item in source.get("initContainers") or [] if _init_kept(item, mounts, scratch)]
    fed = {mount["name"] for item in init for mount in item.get("volumeMounts") or []}
    mounts = [mount for mount in mounts if mount["name"] not in scratch or mount["name"] in fed]
    used = fed | {mount["name"] for mount in mounts}
    container = {name: gateway[name] for name in _CONTAINER_KEPT if gateway.get(name)}
    container |= {"name": CONTAINER, "image": request.inputs.image, "volumeMounts": mounts}
    container["env"] = _environment(container, spec, request)
    pod: dict[str, Any] = {name: source[name] for name in _POD_KEPT if source.get(name)}
    pod |= {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [volume for volume in volumes if volume["name"] in used],
    }
    if init:
        pod["initContainers"] = init
    return pod


def _mount_kept(path: str) -> bool:
    return path == LICENSE_PATH or not path.startswith(_DROPPED_MOUNTS)


def _init_kept(item: Mapping[str, Any], mounts: list[Mapping[str, Any]], scratch: set[str]) -> bool:
    """Keep what fills a volume that stays, and database proxies; drop the operator's and the chart's own."""
    name = item["name"]
    if item.get("restartPolicy") == "Always":
        return name in _PROXIES
    if name in _OPERATOR_INIT or name.endswith("-otk-install-container"):
        return False
    fills = {mount["name"] for mount in item.get("volumeMounts") or []} & scratch
    return any(mount["name"] in fills for mount in mounts)


def _environment(container: Mapping[str, Any], spec: RecordSpec, request: JobRequest) -> list[dict[str, Any]]:
    """Give the environment with the migrating mode; telemetry exporters would keep the pod from ending."""
    override = bool(spec.jdbc_url) and request.inputs.jdbc_url.startswith("jdbc:")
    entries = [
        entry
        for entry in container.get("env") or []
        if not entry["name"].startswith("OTEL_") and not (override and entry["name"] == SSG_DATABASE_JDBC_URL)
    ]
    if override:
        entries.append({"name": SSG_DATABASE_JDBC_URL, "value": request.inputs.jdbc_url.replace("$(", "$$(")})
    injection = environment_patch(
        0,
        view(Container, {**container, "env": entries}),
        request.config_maps,
        mode=MODE_LIQUIBASE_ONLY_WITH_UNLOCK if spec.clear_locks else MODE_LIQUIBASE_ONLY,
        log_level=(spec.liquibase_log_level or LogLevel.INFO).value,
    )
    pod = {"spec": {"containers": [{"env": entries}]}}
    patched = jsonpatch.apply_patch(pod, [step.to_json() for step in injection.operations])
    env: list[dict[str, Any]] = patched["spec"]["containers"][0]["env"]
    return env
