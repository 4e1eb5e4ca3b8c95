"""What a pod template must have before an API server stores it: names, where a Job is built by them."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Named(msgspec.Struct):
    """Something in a list that is told apart by its name."""

    name: str


class Mount(Named):
    """One entry of ``volumeMounts``."""

    mountPath: str  # noqa: N815 # as on the wire


class Container(Named):
    """A container."""

    image: str = ""
    env: list[Named] | None = None
    volumeMounts: list[Mount] | None = None  # noqa: N815


class PodSpec(msgspec.Struct):
    """The spec of a pod."""

    containers: list[Container] | None = None
    initContainers: list[Container] | None = None  # noqa: N815
    volumes: list[Named] | None = None


class Template(msgspec.Struct):
    """A pod template, or a pod."""

    spec: PodSpec | None = None
    metadata: dict[str, Any] | None = None


def pod_template(manifest: Mapping[str, Any]) -> Any:
    """Give the pod template of a Deployment or Job, a pod itself, and nothing of other kinds."""
    kind = manifest["kind"]
    if kind == "Pod":
        return {"spec": manifest.get("spec")}
    if kind not in {"Deployment", "Job"}:
        return {}
    spec = manifest.get("spec")
    return spec.get("template", {}) if isinstance(spec, Mapping) else {}
