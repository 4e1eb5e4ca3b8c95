"""SARIF 2.1.0 (OASIS), for tools that collect findings. An object of a cluster is a logical location."""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from webhook import __version__
from webhook.audit.formats.rows import clean
from webhook.audit.scan.finding import Finding, Rule, Severity
from webhook.audit.scan.scan import Scan

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Mapping[Severity, str] = {
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_RULES = tuple(Rule)


def scan_sarif(scan: Scan) -> str:
    """Give a log with one run: all rules, and a result for each finding."""
    run = {
        "tool": {
            "driver": {"name": "schemagate", "version": __version__, "rules": [_rule(rule) for rule in _RULES]}
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_gap(kind) for kind in sorted(scan.unread)],
            }
        ],
        "results": [_result(item) for item in scan.findings],
        "properties": {"omitted": scan.omitted},
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.value,
        "name": rule.value,
        "shortDescription": {"text": rule.meaning},
        "help": {"text": rule.advice},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"severity": rule.severity.value},
    }


def _gap(kind: str) -> dict[str, Any]:
    return {"level": "warning", "message": {"text": f"objects of kind {kind} could not be read"}}


def _result(item: Finding) -> dict[str, Any]:
    kind, _, name = clean(item.subject).partition("/")
    where = f"{clean(item.namespace)}/{kind}/{name}"
    # A pod has another name after each restart: the finding is about its Deployment.
    identity = msgspec.json.encode([item.rule.value, clean(item.namespace), clean(item.name), kind])
    return {
        "ruleId": item.rule.value,
        "ruleIndex": _RULES.index(item.rule),
        "level": _LEVELS[item.severity],
        "message": {"text": f"{clean(item.message)}; next: {clean(item.next_step)}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": quote(where)}},
                "logicalLocations": [{"name": name, "fullyQualifiedName": where, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"finding/v1": hashlib.sha256(identity).hexdigest()},
    }
