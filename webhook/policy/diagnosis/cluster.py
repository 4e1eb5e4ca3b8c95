"""Has the cluster what schemagate builds on: its version, and the record's definition."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from webhook.policy.definition import PLURAL, definition
from webhook.policy.diagnosis.facts import Facts, Manifest
from webhook.policy.diagnosis.line import Check, Line, Unread, fail, named, ok, unclear, unknown, warn
from webhook.policy.names import GROUP, VERSION

OLDEST: Final = (1, 30)
"""The first Kubernetes with matchConditions and ValidatingAdmissionPolicies for everybody."""
_NUMBERS: Final = re.compile(r"v?(\d+)\.(\d+)")
_AGAIN: Final = "apply the manifests of this version again"
_BELOW: Final = frozenset({"description", "properties", "items", "additionalProperties"})
"""Of a schema, what is told of by itself, and what decides nothing."""
_UNORDERED: Final = frozenset({"enum", "required", "x-kubernetes-list-map-keys"})


def check_kubernetes(facts: Facts) -> list[Line]:
    """Look for a Kubernetes that is too old for what the manifests use."""
    found = _NUMBERS.match(facts.version)
    if found is None:
        return [unclear(Check.KUBERNETES, f"its version is {facts.version!r}", "it has to be 1.30 or later")]
    if (int(found[1]), int(found[2])) < OLDEST:
        return [fail(Check.KUBERNETES, f"{facts.version} is older than 1.30", "update the cluster")]
    return [ok(Check.KUBERNETES, f"{facts.version} has all that schemagate uses")]


def check_definition(facts: Facts) -> list[Line]:
    """Compare the stored definition of the record with the one of this version."""
    if isinstance(facts.definition, Unread):
        return [unknown(Check.DEFINITION, "whether the record's definition is of this version", facts.definition)]
    name = f"CustomResourceDefinition {PLURAL}.{GROUP}"
    if facts.definition is None:
        return [fail(Check.DEFINITION, f"there is no {name}", _AGAIN)]
    if facts.definition["metadata"].get("deletionTimestamp"):
        advice = "once it is gone apply it again, and restore the records: docs/operations.md"
        return [fail(Check.DEFINITION, f"{name} is being deleted, and all records with it", advice)]
    found = next((each for each in facts.definition["spec"]["versions"] if each["name"] == VERSION), None)
    problem = _unserved(facts.definition, found)
    if found is None or problem:
        return [fail(Check.DEFINITION, f"{name}: {problem}", _AGAIN)]
    held, expected = _fields(found["schema"]), _expected()
    missing = sorted(path for path in expected if path not in held)
    if missing:
        said = f"{name} is older than this program: it lacks {named(missing)}"
        return [
            fail(Check.DEFINITION, said, "apply the definition of this version: Helm never updates one by itself")
        ]
    if other := sorted(path for path in expected if held[path] != expected[path]):
        return [fail(Check.DEFINITION, f"{name} has other rules for {named(other)}", _AGAIN)]
    if more := sorted(path for path in held if path not in expected):
        advice = "update this program to the version that is installed"
        return [warn(Check.DEFINITION, f"{name} is newer than this program: it has {named(more)}", advice)]
    return [ok(Check.DEFINITION, f"{name} is that of this version, with {len(held)} fields")]


def _unserved(stored: Manifest, version: Manifest | None) -> str:
    """Say why no record can be stored; empty when it can."""
    if version is None or not version.get("served") or not version.get("storage"):
        return f"version {VERSION} is not served and stored"
    if (version.get("subresources") or {}).get("status") is None:
        return f"version {VERSION} has no status of its own"
    conditions = (stored.get("status") or {}).get("conditions") or ()
    if not any(each["type"] == "Established" and each["status"] == "True" for each in conditions):
        return "it is not established"
    return ""


@cache
def _expected() -> Mapping[str, object]:
    return _fields(definition()["spec"]["versions"][0]["schema"])


def _fields(schema: Mapping[str, Any]) -> dict[str, object]:
    """Give what decides about each field of a schema by its path: ``status.job.name``, ``status.list[].time``."""
    return dict(_node("", schema["openAPIV3Schema"]))


def _node(path: str, node: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield (
        path or "the record as a whole",
        {key: _rule(key, value) for key, value in node.items() if key not in _BELOW},
    )
    for name, below in (node.get("properties") or {}).items():
        yield from _node(f"{path}.{name}" if path else name, below)
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        below = node.get(key)
        if isinstance(below, Mapping):
            yield from _node(f"{path}{mark}", below)


def _rule(key: str, value: Any) -> object:
    """Give what a key of a schema says, whatever the order and the line breaks that do not matter."""
    if key == "x-kubernetes-validations":
        return sorted(" ".join(each["rule"].split()) for each in value)
    return sorted(value, key=str) if key in _UNORDERED else value
