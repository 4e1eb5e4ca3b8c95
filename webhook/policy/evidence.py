"""Whether a Job that says Complete really migrated.

Anyone who may edit Jobs and pods in a namespace can make a Job complete without a pod, patch the image of its pod,
or have a pod of his own adopted (tried on Kubernetes 1.36). So success counts only when the pods that ran are the
ones the Job asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Manifest = Mapping[str, Any]
_CONTAINER_FIELDS = ("image", "command", "args", "env", "envFrom")
_POD_FIELDS = ("hostAliases", "dnsPolicy", "dnsConfig", "hostNetwork")


def tampering(job: Manifest, pods: Sequence[Manifest]) -> str | None:
    """Say what is wrong with the evidence of a Job that is Complete, or give None when it holds.

    ``job`` is the stored Job, ``pods`` all stored pods that its UID controls.
    """
    spec, status = job.get("spec", {}), job.get("status", {})
    if spec.get("completions", 1) != 1 or status.get("succeeded") != 1:
        return "the Job completed without exactly one succeeded pod"
    if spec.get("manualSelector") or spec.get("managedBy"):
        return "the Job was not run by the Job controller alone"
    succeeded = [pod for pod in pods if pod.get("status", {}).get("phase") == "Succeeded"]
    if len(succeeded) != 1:
        return "the pod that succeeded is not there to be checked"
    return next((wrong for pod in pods if (wrong := _pod(job, pod))), None)


def witness(pods: Sequence[Manifest]) -> tuple[str, str]:
    """Give the UID and the image ID of the pod that succeeded, or empty strings."""
    for pod in pods:
        if pod.get("status", {}).get("phase") == "Succeeded":
            states = pod["status"].get("containerStatuses") or [{}]
            return pod.get("metadata", {}).get("uid", ""), states[0].get("imageID", "")
    return "", ""


def _pod(job: Manifest, pod: Manifest) -> str | None:
    wanted, ran = job["spec"]["template"]["spec"], pod.get("spec", {})
    if ran.get("ephemeralContainers"):
        return "a pod of the Job had an ephemeral container"
    for part in ("containers", "initContainers"):
        wrong = _containers(wanted.get(part) or [], ran.get(part) or [])
        if wrong:
            return wrong
    changed = [name for name in _POD_FIELDS if (wanted.get(name) or None) != (ran.get(name) or None)]
    if changed:
        return f"{changed[0]} of the pod is not that of the Job"
    volumes = {volume["name"]: volume for volume in ran.get("volumes") or []}
    if any(volumes.get(volume["name"]) != volume for volume in wanted.get("volumes") or []):
        return "volumes of the pod are not those of the Job"
    return _exit(pod)


def _containers(wanted: Sequence[Manifest], ran: Sequence[Manifest]) -> str | None:
    if [container["name"] for container in wanted] != [container["name"] for container in ran]:
        return "containers of the pod are not those of the Job"
    for asked, got in zip(wanted, ran, strict=True):
        changed = [name for name in _CONTAINER_FIELDS if (asked.get(name) or None) != (got.get(name) or None)]
        if changed:
            return f"{changed[0]} of the pod's container {asked['name']} is not that of the Job"
    return None


def _exit(pod: Manifest) -> str | None:
    if pod.get("status", {}).get("phase") != "Succeeded":
        return None
    codes = [
        state.get("state", {}).get("terminated", {}).get("exitCode")
        for state in pod["status"].get("containerStatuses") or []
    ]
    return None if codes and not any(code != 0 for code in codes) else "the pod did not exit with 0"
