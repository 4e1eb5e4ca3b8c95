"""The CustomResourceDefinition of the record, made from its models: what the API server checks is what we read.

The schema has no defaults but two. A default that the API server writes into every stored object stays what it was
when a later version thinks better of it, and what a user left open could no longer be told from what he asked for.
The descriptions tell the defaults. The exceptions cannot come to mean anything else: ``status.complete`` lets its
column say false, and ``status.observedGeneration`` -1 says that nobody has looked at the record yet: without it
kstatus takes a new record for ready, and the expressions of Flux fail.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from webhook.policy.names import GROUP, PRODUCT, RECORD_KIND, VERSION
from webhook.policy.record.spec import JDBC_URL_ADVICE, JDBC_URL_PATTERN, RecordSpec
from webhook.policy.record.status import RecordStatus

PLURAL: Final = f"{RECORD_KIND.lower()}s"

Schema = dict[str, Any]

_INT32_MAXIMUM = 2**31 - 1
# What an API server knows, in the order in which it is written. Anything else must be dealt with, not be lost.
_TAKEN_OVER = ("enum", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
_DEALT_WITH = {*_TAKEN_OVER, "type", "description", "properties", "required", "items"}
_DROPPED = {"title", "default", "$defs"}

_COLUMNS = (
    ("Phase", "string", ".status.phase", 0, "Where the migration stands."),
    ("Complete", "boolean", ".status.complete", 0, "Whether rollouts with the wanted inputs pass."),
    ("Hash", "string", ".status.shortHash", 0, "The first 16 digits of the hash of the wanted inputs."),
    ("Image", "string", ".status.image", 0, "The Gateway image that is wanted."),
    ("Rejected", "integer", ".status.rejections.count", 0, "How many requests were turned away."),
    ("Age", "date", ".metadata.creationTimestamp", 0, "How long ago the record was created."),
    ("Mode", "string", ".spec.mode", 1, "What the record itself says of rollouts that are not migrated."),
    ("Job", "string", ".status.job.name", 1, "The Job of the attempt under way, or of the last one."),
    ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', 1, "What there is to say."),
)


def definition() -> dict[str, Any]:
    """Give the manifest of the CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": RECORD_KIND,
                "listKind": f"{RECORD_KIND}List",
                "plural": PLURAL,
                "singular": RECORD_KIND.lower(),
                "shortNames": ["gwm"],
                "categories": [PRODUCT],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": _schema()},
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, priority: int, description: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, "priority": priority, "description": description}


def _schema() -> Schema:
    spec, status = _structural_of(RecordSpec), _structural_of(RecordStatus)
    _add_spec_rules(spec)
    _add_status_rules(status)
    return {
        "type": "object",
        "description": "The record of a Gateway's database migrations: named as the Gateway's Deployment, in its "
        "namespace. It says how rollouts are guarded, and holds what is known to be migrated.",
        "properties": {
            "apiVersion": {"type": "string", "description": f"The version of this schema: {GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"The kind of this object: {RECORD_KIND}."},
            "metadata": {"type": "object"},
            "spec": {**spec, "description": "What is asked for. All fields may be left out."},
            "status": {
                **status,
                "description": "What was observed. Nobody but schemagate may write it.",
                "default": {"observedGeneration": -1},
            },
        },
    }


def _structural_of(model: type) -> Schema:
    # By what is read, not by what is written: what a user may leave out is not required.
    schema = TypeAdapter(model).json_schema(by_alias=True, mode="validation")
    return _structural(schema, schema.get("$defs", {}))


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """Give a node as the API server wants it: every node with its type, nothing referred to, nothing null."""
    node = _resolved(node, definitions)
    strange = set(node) - _DEALT_WITH - _DROPPED
    if strange:
        raise NotImplementedError(f"the schema of the record has {', '.join(sorted(strange))}")
    result: Schema = {name: node[name] for name in ("type", "description") if name in node}
    result |= {name: node[name] for name in _TAKEN_OVER if name in node}
    if node["type"] == "integer":
        result["format"] = "int32" if node.get("maximum", _INT32_MAXIMUM + 1) <= _INT32_MAXIMUM else "int64"
    if "items" in node:
        result["items"] = _structural(node["items"], definitions)
        result["x-kubernetes-list-type"] = "atomic"
    if "properties" in node:
        result |= {"required": node["required"]} if node.get("required") else {}
        result["properties"] = {
            name: _structural(field, definitions) for name, field in node["properties"].items()
        }
    return result


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put in place what is referred to, less what stands beside it; a field that may be null is optional."""
    while {"$ref", "anyOf"} & set(node):
        beside = {name: value for name, value in node.items() if name not in {"$ref", "anyOf"}}
        if "$ref" in node:
            found = definitions[node["$ref"].rpartition("/")[2]]
        else:
            found, *others = (choice for choice in node["anyOf"] if choice != {"type": "null"})
            if others:
                raise NotImplementedError("the schema of the record has a field of several types")
        node = {**found, **beside}
    return node


def _add_spec_rules(spec: Schema) -> None:
    # Neither a pattern nor a rule on the field itself: the API server repeats a text that it refuses, and this one
    # may hold a password. Of an object it repeats nothing.
    spec["x-kubernetes-validations"] = [
        {
            **_rule(f"!has(self.jdbcUrl) || self.jdbcUrl.matches(r'{JDBC_URL_PATTERN}')", JDBC_URL_ADVICE),
            "fieldPath": ".jdbcUrl",
        }
    ]


def _add_status_rules(status: Schema) -> None:
    """Add what must hold whoever writes, and what may never change: a net under our own writes."""
    properties = status["properties"]
    properties["complete"]["default"] = False
    _keyed(properties["conditions"], "type")
    completed = _keyed(properties["completedHashes"], "hash")
    completed["items"]["x-kubernetes-validations"] = [
        _rule(_same(name), f"{name} of a completed hash is evidence and never changes")
        for name in ("evidence", "time", "jobUID")
    ]
    status["x-kubernetes-validations"] = [
        _rule(
            "!has(self.complete) || !self.complete || (has(self.specHash) && has(self.completedHashes)"
            " && self.completedHashes.exists(done, done.hash == self.specHash))",
            "complete takes a specHash that is among completedHashes",
        ),
        _rule(
            "(has(self.complete) && self.complete) == (has(self.phase) && self.phase == 'Complete')",
            "complete and the phase Complete go together",
        ),
        _rule(
            "!has(oldSelf.rejections) || !has(oldSelf.rejections.count) || (has(self.rejections)"
            " && has(self.rejections.count) && self.rejections.count >= oldSelf.rejections.count)",
            "rejections.count never falls: fold new rejections into the stored ones",
        ),
    ]


def _keyed(items: Schema, key: str) -> Schema:
    items |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return items


def _same(name: str) -> str:
    return f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})"


def _rule(rule: str, message: str) -> dict[str, str]:
    return {"rule": rule, "message": message}
