"""What users apply: overlays as kubectl renders them, the chart as Helm does."""

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from tests.controlplane import binaries

MANIFESTS: Final = Path(__file__).parents[2] / "manifests"
BASE: Final = MANIFESTS / "base"
OVERLAYS: Final = tuple(sorted(path.name for path in (MANIFESTS / "overlays").iterdir()))
CHART: Final = MANIFESTS / "chart" / "schemagate"
HELMS: Final = ("helm", "helm4")
KUBERNETES: Final = "1.36.3"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where there is libyaml
Manifest = dict[str, Any]
Key = tuple[str, str, str]


def kustomized(folder: Path) -> list[Manifest]:
    """Give the objects of a kustomization, in the order in which they are applied."""
    return _documents(run("kubectl", "kustomize", str(folder)))


def overlay(name: str) -> list[Manifest]:
    """Give the objects of an overlay."""
    return kustomized(MANIFESTS / "overlays" / name)


def templated(
    values: Mapping[str, object] = MappingProxyType({}), *, helm: str = "helm", namespace: str = "schemagate"
) -> list[Manifest]:
    """Give the objects of the chart, with these values by their path."""
    return _documents(template(helm, namespace, values))


def template(helm: str, namespace: str, values: Mapping[str, object]) -> str:
    """Give what Helm renders, with the image of the base; CalledProcessError when the chart refuses."""
    given = [
        part
        for path, value in {"image.repository": "schemagate", **values}.items()
        for part in ("--set-json", f"{path}={json.dumps(value)}")
    ]
    head = ("template", "schemagate", str(CHART), "--namespace", namespace, "--kube-version", KUBERNETES)
    return run(helm, *head, *given)


@cache
def run(program: str, *arguments: str) -> str:
    """Run a program of the control plane's cache, once with the same arguments, and give what it writes."""
    command = [str(binaries.paths()[program]), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def by_key(objects: list[Manifest]) -> dict[Key, Manifest]:
    """Give objects by kind, namespace and name; one that comes twice is an error."""
    found = {key(item): item for item in objects}
    assert len(found) == len(objects)
    return found


def key(item: Manifest) -> Key:
    """Give what an object is found by."""
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _documents(text: str) -> list[Manifest]:
    return [document for document in yaml.load_all(text, Loader=_LOADER) if document]
