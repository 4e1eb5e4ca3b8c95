"""Findings and rejections as flat rows, in which every text is one printable line."""

from collections.abc import Mapping
from dataclasses import fields

from webhook.audit.history import Refusal
from webhook.audit.scan.finding import Finding
from webhook.audit.scan.scan import Coverage
from webhook.policy.decision import MESSAGE_LIMIT, printable

Cell = str | int | bool | None
Row = Mapping[str, Cell]


def finding_row(item: Finding) -> Row:
    """Give a finding; keys stay."""
    return {
        "severity": item.severity.value,
        "rule": item.rule.value,
        "namespace": clean(item.namespace),
        "name": clean(item.name),
        "subject": clean(item.subject),
        "message": clean(item.message),
        "nextStep": clean(item.next_step),
    }


def refusal_row(item: Refusal) -> Row:
    """Give a rejection; keys stay, what is not known is None or empty. Times are RFC 3339."""
    return {
        "namespace": clean(item.namespace),
        "name": clean(item.name),
        "decision": item.decision.value if item.decision else None,
        "reason": clean(item.reason),
        "mode": item.mode.value if item.mode else None,
        "hash": clean(item.hash),
        "user": clean(item.user),
        "groups": " ".join(clean(group) for group in item.groups),
        "from": clean(item.from_image),
        "to": clean(item.to_image),
        "bypassReason": clean(item.bypass_reason) or None,
        "times": item.times,
        "first": item.first.isoformat() if item.first else None,
        "last": item.last.isoformat() if item.last else None,
        "passes": item.passes,
        "ended": item.ended.value if item.ended else None,
        "endedAt": item.ended_at.isoformat() if item.ended_at else None,
        "outcome": clean(item.outcome),
    }


def coverage_row(item: Coverage) -> Row:
    """Give the figures of a namespace."""
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    return {
        "namespace": clean(item.namespace),
        **{_camel(key): values[key] for key in values if key != "namespace"},
    }


def clean(text: str) -> str:
    """Give one printable line, at most as long as a message."""
    return printable(text, MESSAGE_LIMIT)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return "".join((first, *(part.title() for part in others)))
