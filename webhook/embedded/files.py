"""Kubernetes objects from YAML or JSON files, each with the file and line it came from."""

import difflib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from webhook.embedded.documents import documents
from webhook.errors import SourceError
from webhook.policy.names import GROUP as RECORD_GROUP

STDIN = "-"
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_BYTE_LIMIT = 64 * 1024 * 1024

USED_KINDS: Mapping[str, str] = {
    "AdmissionReview": "admission.k8s.io/v1",
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "Gateway": "security.brcmlabs.com/v1",
    "GatewayMigration": "schemagate.io/v1alpha1",
    "Job": "batch/v1",
    "Namespace": "v1",
    "Pod": "v1",
}
"""Kinds that are read, with the apiVersion that they must have."""


@dataclass(frozen=True, slots=True)
class Located:
    """An object and where it was found. ``line`` counts from 1."""

    manifest: dict[str, Any]
    path: str
    line: int

    @property
    def kind(self) -> str:
        """The object's kind; one that only shares the name of a kind that is read comes with its group."""
        kind = str(self.manifest.get("kind", ""))
        group = _group(str(self.manifest.get("apiVersion", "")))
        return f"{kind}.{group}" if _foreign(kind, group) else kind

    @property
    def where(self) -> str:
        """File and line, as editors understand them."""
        return f"{self.path}:{self.line}"

    @property
    def used(self) -> bool:
        """Whether the object's kind is one that is read."""
        return self.kind in USED_KINDS


def load(paths: Iterable[str]) -> list[Located]:
    """Load all objects from files, folders (searched through) or ``-`` for standard input.

    Lists are taken apart. Raises SourceError, with file and line, for what cannot be read, is no YAML, is no
    Kubernetes object, or looks like a misspelt kind that is read.
    """
    return [
        located
        for path in paths
        for file in _files(path)
        for manifest, node in documents(_read(file), file)
        for located in _objects(manifest, node, file)
    ]


def _files(path: str) -> Iterator[str]:
    if path == STDIN or not os.path.isdir(path):  # noqa: PTH112 # Path.is_dir raises for some bad names
        yield path
        return
    found = sorted(item for item in Path(path).rglob("*") if item.suffix in _SUFFIXES and item.is_file())
    if not found:
        raise SourceError(f"{path}: no .yaml, .yml or .json file in this folder")
    yield from (str(item) for item in found)


def _read(path: str) -> str:
    try:
        if path == STDIN:
            data = _standard_input().buffer.read(_BYTE_LIMIT + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(_BYTE_LIMIT + 1)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > _BYTE_LIMIT:
        raise SourceError(f"{path}: larger than {_BYTE_LIMIT // 1024 // 1024} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{path}:{line}: not UTF-8 text (byte {error.start})") from None


def _standard_input() -> TextIO:
    if sys.stdin is None:
        raise SourceError("-: standard input is closed; give a file")
    return sys.stdin


def _objects(manifest: Any, node: yaml.Node, path: str) -> Iterator[Located]:
    line = node.start_mark.line + 1
    if not isinstance(manifest, dict):
        found = "a list" if isinstance(manifest, list) else "a scalar"
        raise SourceError(f"{path}:{line}: expected a Kubernetes object with apiVersion and kind, got {found}")
    kind, version = manifest.get("kind"), manifest.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str):
        missing = "kind" if not isinstance(kind, str) else "apiVersion"
        raise SourceError(f"{path}:{line}: expected a Kubernetes object, but it has no {missing}")
    if kind.endswith("List") and "items" in manifest and isinstance(manifest["items"] or [], list):
        items = manifest["items"] or []
        nodes = _items(node)
        for item, child in zip(items, nodes if len(nodes) == len(items) else [node] * len(items), strict=True):
            yield from _objects(_of_list(item, kind, version), child, path)
        return
    located = Located(manifest, path, line)
    _check(located, version, _line_of(node, "kind"))
    yield located


def _of_list(item: Any, kind: str, version: str) -> Any:
    """Name the kind of an item that leaves it to its list, as those of the API server itself do."""
    if kind == "List" or not isinstance(item, dict):
        return item
    return {"apiVersion": version, "kind": kind.removesuffix("List"), **item}


def _check(located: Located, version: str, line: int) -> None:
    """Refuse a wrong apiVersion and what looks like a misspelt kind; others' kinds pass, to be left unread."""
    expected = USED_KINDS.get(located.kind)
    if expected is None:
        close = difflib.get_close_matches(located.kind, USED_KINDS, n=1, cutoff=0.8)
        if close or _group(version) == RECORD_GROUP:
            kinds = f"{close[0]} ({USED_KINDS[close[0]]})" if close else "GatewayMigration"
            raise SourceError(f"{located.path}:{line}: unknown kind {located.kind}; expected {kinds}")
        return
    if located.kind == "AdmissionReview":
        return
    if version != expected:
        raise SourceError(f"{located.path}:{line}: {located.kind} has apiVersion {version}; expected {expected}")
    meta = located.manifest.get("metadata")
    if not isinstance(meta, dict) or not (meta.get("name") or meta.get("generateName")):
        raise SourceError(f"{located.where}: {located.kind} has no metadata.name")


def _group(version: str) -> str:
    return version.partition("/")[0] if "/" in version else ""


def _foreign(kind: str, group: str) -> bool:
    """Tell whether a kind is another product's of the same name: the Gateway API has a Gateway of its own."""
    if kind not in USED_KINDS or "." not in group:
        return False
    return difflib.SequenceMatcher(None, group, _group(USED_KINDS[kind])).ratio() < 0.8


def _items(node: yaml.Node) -> list[yaml.Node]:
    for key, value in getattr(node, "value", []):
        if key.value == "items":
            return list(value.value)
    return []


def _line_of(node: yaml.Node, name: str) -> int:
    for key, _ in getattr(node, "value", []):
        if key.value == name:
            return int(key.start_mark.line) + 1
    return int(node.start_mark.line) + 1
