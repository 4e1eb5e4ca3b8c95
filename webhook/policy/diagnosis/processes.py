"""Do both processes run, as one version and with the same settings: the Deployments of webhook and controller."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from webhook import __version__
from webhook.policy.diagnosis.facts import Facts, Manifest
from webhook.policy.diagnosis.line import Check, Line, Unread, fail, named, ok, unknown, warn
from webhook.policy.image import image_tag, parse_version

PROCESSES: Final = ("schemagate-webhook", "schemagate-controller")
_AGREE: Final = {"default_mode": "Reject", "certificates": "self-managed"}
"""Settings that both take from the same place, with their defaults."""
_UNTOLD: Final = "?"


def check_processes(facts: Facts) -> list[Line]:
    """Look for a Deployment that is missing, lags behind, or does not fit the other one or this program."""
    if isinstance(facts.deployments, Unread):
        return [unknown(Check.PROCESSES, "what is installed, and whether it runs", facts.deployments)]
    lines = list(_compared(facts.namespace, facts.deployments))
    containers = [found for item in facts.deployments.values() if (found := process_of(item))]
    images = sorted({str(container.get("image", "")) for container in containers})
    return lines or [ok(Check.PROCESSES, f"both run {named(images)}; this program is {__version__}")]


def process_of(deployment: Manifest | None) -> Manifest | None:
    """Give the container of the process itself: the one that is called as its part, or the first."""
    if deployment is None:
        return None
    containers = deployment["spec"]["template"]["spec"].get("containers") or ()
    part = deployment["metadata"]["name"].rpartition("-")[2]
    return next((each for each in containers if each.get("name") == part), next(iter(containers), None))


def setting_of(container: Manifest, name: str, unset: str = "") -> str:
    """Give a setting as its flag or its variable says; ``?`` for one from elsewhere, which cannot be told."""
    flag = f"--{name.replace('_', '-')}"
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    for at, word in enumerate(words):
        if word == flag and at + 1 < len(words):
            return str(words[at + 1])
        if word.startswith(f"{flag}="):
            return str(word.partition("=")[2])
    entries = [each for each in container.get("env") or () if each["name"] == f"SCHEMAGATE_{name.upper()}"]
    if entries:
        return _UNTOLD if entries[-1].get("valueFrom") else entries[-1].get("value") or unset
    return _UNTOLD if container.get("envFrom") else unset


def _compared(namespace: str, deployments: Mapping[str, Manifest | None]) -> Iterator[Line]:
    if missing := [name for name, item in deployments.items() if item is None]:
        said = f"there is no Deployment {named(missing)} in namespace {namespace}"
        yield fail(Check.PROCESSES, said, "apply the manifests, or name the namespace of the installation: -n")
    for name, item in deployments.items():
        if item is not None and (lag := _lag(item)):
            command = f"kubectl -n {namespace} rollout status deployment {name}"
            yield warn(Check.PROCESSES, f"Deployment {name}: {lag}", f"see what it waits for: {command}")
    containers = {name: found for name, item in deployments.items() if (found := process_of(item))}
    images = {name: str(container.get("image", "")) for name, container in containers.items()}
    if len(set(images.values())) > 1:
        said = "; ".join(f"{name} runs {image}" for name, image in images.items())
        yield warn(Check.PROCESSES, said, "give both the same image: each writes what the other reads")
    for setting, default in _AGREE.items():
        told = {name: _agreed(container, setting, default) for name, container in containers.items()}
        if len(set(told.values()) - {_UNTOLD}) > 1:
            said = "; ".join(f"{name} has SCHEMAGATE_{setting.upper()} {value}" for name, value in told.items())
            yield warn(Check.PROCESSES, said, "set it the same in both Deployments")
    if newer := sorted({image for image in images.values() if _newer(image)}):
        said = f"{named(newer)} is installed, which is newer than this program ({__version__})"
        advice = "update this program, ask again, and until then apply no manifests where a line below says so"
        yield warn(Check.PROCESSES, said, advice)


def _agreed(container: Manifest, setting: str, default: str) -> str:
    if setting == "certificates" and setting_of(container, "tls_cert"):
        default = "files"  # as the settings take it
    return setting_of(container, setting, default)


def _lag(deployment: Manifest) -> str:
    """Say how far a Deployment is behind what is asked of it; empty when it is not."""
    meta, status = deployment["metadata"], deployment.get("status") or {}
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        return "its last change has not been seen yet"
    wanted = deployment["spec"].get("replicas", 1)
    counts: dict[str, Any] = {
        "of the last change": status.get("updatedReplicas") or 0,
        "available": status.get("availableReplicas") or 0,
    }
    return ", ".join(f"{count} of {wanted} replicas {word}" for word, count in counts.items() if count < wanted)


def _newer(image: str) -> bool:
    found, ours = parse_version(image_tag(image) or ""), parse_version(__version__)
    return found is not None and ours is not None and found > ours
