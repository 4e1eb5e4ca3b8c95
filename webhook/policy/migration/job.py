"""The migration Job: the Gateway's own pod template, less all that a one-shot migration must not carry.

Keep and drop follow what the operator (v1.2.2) and the chart (3.0.30) put into the template. Notably dropped: the
chart's postStart hook, which holds the admin password in clear text; the operator's init containers, one of which
changes another database; labels, which would put the pod behind the Gateway's Service; and what the fence around
the controller (``manifests/base/50-fence.yaml``) lets no migration have, or the whole Job would be refused:
privileges, added capabilities, directories of the node and tokens, with the init containers that mount such a
volume.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.policy.environment import ConfigMaps
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.migration.databases import database_label
from webhook.policy.migration.job_environment import environment_of
from webhook.policy.names import (
    COMPONENT,
    DATABASE,
    HASH,
    LICENSE_PATH,
    MANAGED_BY,
    MIGRATION_COMPONENT,
    PRODUCT,
    RECORD_API_VERSION,
    RECORD_KIND,
)
from webhook.policy.record import JobReference, Record, RecordSpec

CONTAINER = "db-migration"
_NAME_LIMIT = 63
_DIGEST_DIGITS = 16

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
# Neither command nor args: what an entrypoint of somebody's own did would count as the migration of the image.
_CONTAINER_KEPT = (
    "image",
    "imagePullPolicy",
    "workingDir",
    "envFrom",
    "env",
    "resources",
    "securityContext",
)
# The operator's own, also with a suffix of its making: graphman-static-init-5e6b4b0d32.
_OPERATOR_INIT = ("graphman-static-init", "portal-init", "otk-install-init", "otk-db-init")
_PROXIES = ("cloud-sql-proxy", "cloudsql-proxy", "alloydb-auth-proxy", "rds-proxy", "db-proxy")
_BOOTSTRAP = "/opt/SecureSpan/Gateway/node/default/etc/bootstrap/"
# Bundles and services that a starting Gateway would load, and scripts that need what the Job does not have.
_DROPPED_MOUNTS = (
    _BOOTSTRAP,
    "/graphman/",
    "/opt/docker/graphman",
    "/opt/docker/graceful-shutdown.sh",
    "/opt/docker/rc.d/load-service-account-token.sh",
    "/opt/docker/rc.d/base/update-service-account-token.xml",
)
_NOT_INJECTED = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "sidecar.opentelemetry.io/inject": "false",
    "instrumentation.opentelemetry.io/inject-java": "false",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}


_Manifest = Mapping[str, Any]


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
    """Give the name of an attempt's Job: a DNS label, with a number from the second attempt on.

    A Deployment name that is too long, or holds dots, is cut and told apart by a hash of namespace and name.
    Such names are 63 characters long and all others shorter, so that none can be chosen to meet another.
    """
    tail = f"-{MIGRATION_COMPONENT}-{spec_hash[:8]}" + (f"-{attempt}" if attempt > 1 else "")
    room = _NAME_LIMIT - len(tail)
    if len(deployment) < room and "." not in deployment:
        return deployment + tail
    digest = hashlib.sha256(f"{namespace}\0{deployment}".encode()).hexdigest()
    readable = deployment.replace(".", "-")[: room - _DIGEST_DIGITS - 1]
    return f"{readable}-{digest}"[:room] + tail


def build_job(record: Record, spec: RecordSpec, reference: JobReference, request: JobRequest) -> dict[str, Any]:
    """Build the Job's manifest. Nothing in it comes from anywhere but the stored template and the spec."""
    labels = {
        "app.kubernetes.io/name": reference.name,
        COMPONENT: MIGRATION_COMPONENT,
        MANAGED_BY: PRODUCT,
        HASH: short(reference.hash),
    }
    if reference.database:
        labels[DATABASE] = database_label(reference.database)
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
                    # Not blockOwnerDeletion: some clusters grant that only with the right to change finalizers.
                    "controller": True,
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
                "metadata": {"labels": dict(labels), "annotations": dict(_NOT_INJECTED)},
                "spec": _pod(spec, request),
            },
        },
    }


def _pod(spec: RecordSpec, request: JobRequest) -> dict[str, Any]:
    source = request.template.get("spec", {})
    gateway = next(item for item in source["containers"] if item["name"] == request.container)
    volumes = [volume for volume in source.get("volumes") or [] if not _refused(volume)]
    present = {volume["name"] for volume in volumes}
    mounts = [
        mount
        for mount in gateway.get("volumeMounts") or []
        if mount["name"] in present and _mount_kept(mount["mountPath"])
    ]
    init = [_unprivileged(item) for item in _init_kept(source.get("initContainers") or [], mounts, volumes)]
    used = {
        mount["name"] for item in ({"volumeMounts": mounts}, *init) for mount in item.get("volumeMounts") or []
    }
    container = _unprivileged({name: gateway[name] for name in _CONTAINER_KEPT if gateway.get(name)})
    container |= {"name": CONTAINER, "image": request.inputs.image, "volumeMounts": mounts}
    container["env"] = environment_of(container, spec, request.inputs, request.config_maps)
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


def _refused(volume: _Manifest) -> bool:
    """Tell whether no migration may have this volume: a directory of the node, or a token."""
    sources = (volume.get("projected") or {}).get("sources") or []
    return "hostPath" in volume or any("serviceAccountToken" in source for source in sources)


def _unprivileged(container: _Manifest) -> dict[str, Any]:
    """Take out the privileges that no migration may have; capabilities that are dropped stay so."""
    context = _without("privileged", container.get("securityContext") or {})
    if "capabilities" in context:
        context["capabilities"] = _without("add", context["capabilities"] or {})
    rest = _without("securityContext", container)
    return {**rest, "securityContext": context} if context else rest


def _without(name: str, manifest: _Manifest) -> dict[str, Any]:
    return {key: item for key, item in manifest.items() if key != name}


def _init_kept(items: list[_Manifest], mounts: list[_Manifest], volumes: list[_Manifest]) -> list[_Manifest]:
    """Keep what fills a volume that stays, and database proxies; drop the operator's and the chart's own."""
    present = {volume["name"] for volume in volumes}
    scratch = {volume["name"] for volume in volumes if "emptyDir" in volume}
    needed = {mount["name"] for mount in mounts} & scratch
    kept: list[_Manifest] = []
    # From the last to the first: what a kept one reads may have been written by one before it.
    for item in reversed(items):
        mounted = {mount["name"] for mount in item.get("volumeMounts") or []}
        proxy = item.get("restartPolicy") == "Always"
        wanted = item["name"] in _PROXIES if proxy else not _of_a_distribution(item["name"]) and mounted & needed
        if wanted and mounted <= present:
            needed |= mounted & scratch
            kept.insert(0, item)
    return kept


def _of_a_distribution(name: str) -> bool:
    suffixed = tuple(f"{own}-" for own in _OPERATOR_INIT)
    return name in _OPERATOR_INIT or name.startswith(suffixed) or name.endswith("-otk-install-container")
