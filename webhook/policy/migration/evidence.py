"""Whether a Job that says Complete really migrated.

Anyone who may edit Jobs and pods in a namespace can make a Job complete without a pod, patch the image of its pod,
or have a pod of his own adopted (tried on Kubernetes 1.36). So success counts only when the pods that ran are the
ones the Job asked for.

Compared is what decides over the work. The API server fills in the rest, the same way in a stored Job and in its
pods, or in the pods alone (node, tolerations, resources, security context).
"""

from collections.abc import Mapping, Sequence
from typing import Any

Manifest = Mapping[str, Any]
_CONTAINER_FIELDS = (
    "image",
    "command",
    "args",
    "workingDir",
    "env",
    "envFrom",
    "volumeMounts",
    "volumeDevices",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "restartPolicy",
)
_IMAGE_ID_LIMIT = 1024
# Admission plugin ServiceAccount of the API server (Kubernetes 1.36): five random characters follow the name.
_TOKEN_PATH, _TOKEN_VOLUME = "/var/run/secrets/kubernetes.io/serviceaccount", "kube-api-access-"
_POD_FIELDS = ("hostAliases", "dnsPolicy", "dnsConfig", "hostNetwork", "runtimeClassName")


def tampering(job: Manifest, pods: Sequence[Manifest]) -> str | None:
    """Say what is wrong with the evidence of a Job that is Complete, or give None when it holds.

    ``job`` is the stored Job, ``pods`` the stored pods around it, read live; only those that its UID controls
    count.
    """
    spec, status = job.get("spec") or {}, job.get("status") or {}
    if spec.get("completions", 1) != 1 or status.get("succeeded") != 1:
        return "the Job completed without exactly one succeeded pod"
    if spec.get("manualSelector") or spec.get("managedBy"):
        return "the Job was not run by the Job controller alone"
    uid = (job.get("metadata") or {}).get("uid")
    owned = [pod for pod in pods if uid and controller_of(pod) == uid]
    if sum(_succeeded(pod) for pod in owned) != 1:
        return "the pod that succeeded is not there to be checked"
    return next((wrong for pod in owned if (wrong := _pod(job, pod))), None)


def is_made_by(record_uid: str, built: Manifest, job: Manifest) -> bool:
    """Tell whether a stored Job of our name may be the one built for the record, or does at least the same.

    To be asked when the UID of the Job is not known: the controller died before it wrote it down, or somebody
    was quicker with the name.
    """
    return bool(record_uid) and controller_of(job) == record_uid and _difference(_work(built), _work(job)) is None


def witness(job: Manifest, pods: Sequence[Manifest]) -> tuple[str, str]:
    """Give the UID and the image ID of the pod of this Job that succeeded, or empty strings."""
    uid = (job.get("metadata") or {}).get("uid")
    for pod in pods:
        if uid and controller_of(pod) == uid and _succeeded(pod):
            states = pod["status"].get("containerStatuses") or [{}]
            return (pod.get("metadata") or {}).get("uid", ""), states[0].get("imageID", "")[:_IMAGE_ID_LIMIT]
    return "", ""


def controller_of(manifest: Manifest) -> str | None:
    """Give the UID of what controls an object, None when nothing does."""
    owners = (manifest.get("metadata") or {}).get("ownerReferences") or []
    return next((owner.get("uid") for owner in owners if owner.get("controller")), None)


def _succeeded(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") == "Succeeded"


def _work(job: Manifest) -> Manifest:
    """Give the pod spec of a Job's template."""
    pod: Manifest = ((job.get("spec") or {}).get("template") or {}).get("spec") or {}
    return pod


def _pod(job: Manifest, pod: Manifest) -> str | None:
    ran = pod.get("spec") or {}
    if ran.get("ephemeralContainers"):
        return "a pod of the Job had an ephemeral container"
    return _difference(_work(job), ran) or (_end(pod) if _succeeded(pod) else None)


def _difference(wanted: Manifest, ran: Manifest) -> str | None:
    wanted, ran = _plain(wanted), _plain(_without_token(wanted, ran))
    for part in ("containers", "initContainers"):
        wrong = _containers(wanted.get(part, []), ran.get(part, []))
        if wrong:
            return wrong
    for name in _POD_FIELDS:
        if (wanted.get(name) or None) != (ran.get(name) or None):
            return f"{name} of the pod is not that of the Job"
    if _by_name(wanted.get("volumes", [])) != _by_name(ran.get("volumes", [])):
        return "volumes of the pod are not those of the Job"
    return None


def _without_token(wanted: Manifest, ran: Manifest) -> Manifest:
    """Take out the account's token, which the API server mounts into every pod that does not refuse it.

    A template that says nothing of it, as those of operators and charts do, is no less fulfilled by that.
    """
    if wanted.get("automountServiceAccountToken") is False:
        return ran
    mounted = {"mountPath": _TOKEN_PATH, "readOnly": True}
    names = {
        volume["name"]
        for volume in ran.get("volumes") or []
        if volume.get("name", "").startswith(_TOKEN_VOLUME) and volume.keys() == {"name", "projected"}
    } - _by_name(wanted.get("volumes") or []).keys()

    def bare(container: Manifest) -> Manifest:
        mounts = container.get("volumeMounts") or []
        return {
            **container,
            "volumeMounts": [
                mount
                for mount in mounts
                if mount.get("name") not in names or mount != {**mounted, "name": mount["name"]}
            ],
        }

    parts = {part: [bare(item) for item in ran.get(part) or []] for part in ("containers", "initContainers")}
    return {
        **ran,
        **parts,
        "volumes": [item for item in ran.get("volumes") or [] if item.get("name") not in names],
    }


def _containers(wanted: Sequence[Manifest], ran: Sequence[Manifest]) -> str | None:
    if [container.get("name") for container in wanted] != [container.get("name") for container in ran]:
        return "containers of the pod are not those of the Job"
    for asked, got in zip(wanted, ran, strict=True):
        changed = [name for name in _CONTAINER_FIELDS if (asked.get(name) or None) != (got.get(name) or None)]
        if changed:
            return f"{changed[0]} of the pod's container {asked.get('name')} is not that of the Job"
    return None


def _by_name(volumes: Sequence[Manifest]) -> dict[Any, Manifest]:
    return {volume.get("name"): volume for volume in volumes}


def _plain(value: Any) -> Any:
    """Drop what is as good as absent: null, false and empty text; the API server leaves most of it out."""
    if isinstance(value, Mapping):
        return {
            key: _plain(item)
            for key, item in value.items()
            if item is not None and item is not False and item != ""
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _end(pod: Manifest) -> str | None:
    """Check the end of the pod that succeeded; a patched image makes the kubelet start a container once more."""
    for state in (states := pod["status"].get("containerStatuses") or []):
        terminated = (state.get("state") or {}).get("terminated") or {}
        if terminated.get("exitCode") != 0:
            return "the pod did not exit with 0"
        if state.get("restartCount"):
            return "a container of the pod was started more than once"
    return None if states else "the pod did not exit with 0"
