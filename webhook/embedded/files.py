"""Kubernetes objects from YAML or JSON files, each with the file and line it came from."""

import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from webhook.errors import SourceError

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
        """The object's kind."""
        return str(self.manifest.get("kind", ""))

    @property
    def where(self) -> str:
        """File and line, as editors understand them."""
        return f"{self.path}:{self.line}"

    @property
    def used(self) -> bool:
        """Whether the object's kind is one that is read."""
        return self.kind in USED_KINDS


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a time is text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(paths: Iterable[str]) -> list[Located]:
    """Load all objects from files, folders (searched through) or ``-`` for standard input.

    Lists are taken apart. Raises SourceError, with file and line, for what cannot be read, is no YAML, is no
    Kubernetes object, or looks like a misspelt kind that is read.
    """
    return [located for path in paths for file in _files(path) for located in _documents(file)]


def _files(path: str) -> Iterator[str]:
    if path == STDIN:
        yield path
        return
    root = Path(path)
    if root.is_dir():
        found = sorted(item for item in root.rglob("*") if item.suffix in _SUFFIXES and item.is_file())
        if not found:
            raise SourceError(f"{path}: no .yaml, .yml or .json file in this folder")
        yield from (str(item) for item in found)
    else:
        yield path


def _documents(path: str) -> Iterator[Located]:
    loader = _Loader(_read(path))
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
                continue
            manifest = loader.construct_document(node)
            yield from _objects(manifest, node, path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise SourceError(
            f"{path}:{line}: not YAML: {error.problem or error.context or 'cannot be parsed'}"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SourceError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from None
    finally:
        loader.dispose()


def _read(path: str) -> str:
    try:
        if path == STDIN:
            data = sys.stdin.buffer.read(_BYTE_LIMIT + 1)
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
        raise SourceError(f"{path}: not UTF-8 text (byte {error.start})") from None


def _objects(manifest: Any, node: yaml.Node, path: str) -> Iterator[Located]:
    line = node.start_mark.line + 1
    if not isinstance(manifest, dict):
        found = "a list" if isinstance(manifest, list) else "a scalar"
        raise SourceError(f"{path}:{line}: expected a Kubernetes object with apiVersion and kind, got {found}")
    kind, version = manifest.get("kind"), manifest.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str):
        missing = "kind" if not isinstance(kind, str) else "apiVersion"
        raise SourceError(f"{path}:{line}: expected a Kubernetes object, but it has no {missing}")
    if kind.endswith("List") and isinstance(manifest.get("items"), list):
        for item, child in zip(manifest["items"], _items(node), strict=False):
            yield from _objects(item, child, path)
        return
    located = Located(manifest, path, line)
    _check(located, version, _line_of(node, "kind"))
    yield located


def _check(located: Located, version: str, line: int) -> None:
    expected = USED_KINDS.get(located.kind)
    if expected is None:
        close = difflib.get_close_matches(located.kind, USED_KINDS, n=1, cutoff=0.8)
        ours = version.partition("/")[0] in {"schemagate.io", "security.brcmlabs.com"}
        if close or ours:
            kinds = f"{close[0]} ({USED_KINDS[close[0]]})" if close else ", ".join(sorted(USED_KINDS))
            raise SourceError(f"{located.path}:{line}: unknown kind {located.kind}; expected {kinds}")
        return
    if version != expected and located.kind != "AdmissionReview":
        raise SourceError(f"{located.path}:{line}: {located.kind} has apiVersion {version}; expected {expected}")
    meta = located.manifest.get("metadata")
    if located.kind == "AdmissionReview":
        return
    if not isinstance(meta, dict) or not (meta.get("name") or meta.get("generateName")):
        raise SourceError(f"{located.where}: {located.kind} has no metadata.name")


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
