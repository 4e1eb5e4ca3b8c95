"""What a test's namespace and the processes were like when the test failed: a failure may not come again."""

import json
from collections.abc import Iterator
from typing import Any

from tests.controlplane.cluster import ControlPlane
from tests.live.installation import Installation

_EVENTS = 12
_LINES = 8
_WIDTH = 300


def scene(plane: ControlPlane, installation: Installation, namespace: str) -> str:
    """Tell, in some dozen lines, what is stored in a namespace and what the running processes logged last."""
    told: list[str] = []
    for part in (_records, _jobs, _pods, _deployments, _quotas, _events):
        try:
            told += part(plane, namespace)
        except OSError as error:
            told.append(f"{part.__name__[1:]}: {error}")
    for name, component in installation.components.items():
        if component.running:
            told += [f"{name}: {line.rstrip()}" for line in component.tail(_LINES).splitlines()]
    return "\n".join(line[:_WIDTH] for line in told)


def _made(item: dict[str, Any]) -> str:
    return f"{item['metadata']['name']} of {item['metadata']['creationTimestamp']}:"


def _images(spec: dict[str, Any]) -> str:
    return ", ".join(container["image"] for container in spec["containers"])


def _items(plane: ControlPlane, group: str, namespace: str, kind: str) -> list[dict[str, Any]]:
    return list(plane.request("GET", f"/{group}/namespaces/{namespace}/{kind}")["items"])


def _records(plane: ControlPlane, namespace: str) -> Iterator[str]:
    for item in _items(plane, "apis/schemagate.io/v1alpha1", namespace, "gatewaymigrations"):
        head, status = f"record {item['metadata']['name']}:", item.get("status", {})
        yield f"{head} {json.dumps(item['spec'])} {status.get('phase')} {status.get('image')}"
        yield f"{head} job {json.dumps(status.get('job'))}, began {status.get('startTime')}"
        for condition in status.get("conditions", ())[:1]:  # Ready; the others tell the same
            yield f"{head} {condition['type']}={condition['status']} {condition['reason']}: {condition['message']}"


def _jobs(plane: ControlPlane, namespace: str) -> Iterator[str]:
    for item in _items(plane, "apis/batch/v1", namespace, "jobs"):
        yield f"job {_made(item)} {json.dumps(item['status'])}"


def _pods(plane: ControlPlane, namespace: str) -> Iterator[str]:
    for item in _items(plane, "api/v1", namespace, "pods"):
        yield f"pod {_made(item)} {item['status'].get('phase')} {_images(item['spec'])}"


def _deployments(plane: ControlPlane, namespace: str) -> Iterator[str]:
    for item in _items(plane, "apis/apps/v1", namespace, "deployments"):
        paused = " paused" if item["spec"].get("paused") else ""
        yield f"deployment {_made(item)}{paused} {_images(item['spec']['template']['spec'])}"


def _quotas(plane: ControlPlane, namespace: str) -> Iterator[str]:
    for item in _items(plane, "api/v1", namespace, "resourcequotas"):
        yield f"quota {item['metadata']['name']}: {json.dumps(item.get('status'))}"


def _events(plane: ControlPlane, namespace: str) -> Iterator[str]:
    found = _items(plane, "api/v1", namespace, "events")
    for item in sorted(found, key=lambda item: item["metadata"]["creationTimestamp"])[-_EVENTS:]:
        about = f"{item['involvedObject']['kind']} {item['involvedObject']['name']}"
        yield f"event {item['metadata']['creationTimestamp']} {about} {item['reason']}: {item['message']}"
