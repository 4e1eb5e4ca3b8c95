"""Figures out of the API server's audit log: who asked for what, and how long after what."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

Event = dict[str, Any]
ACCOUNT = "system:serviceaccount:schemagate:schemagate-"


def by(events: Iterable[Event], role: str) -> list[Event]:
    """Give the requests of one of our accounts that ended; watches are counted when they end."""
    return [event for event in events if event["user"]["username"] == f"{ACCOUNT}{role}"]


def calls(events: Iterable[Event]) -> Counter[str]:
    """Count requests by verb and resource."""
    counted: Counter[str] = Counter()
    for event in events:
        target = event.get("objectRef", {})
        name = "/".join(part for part in (target.get("resource", "?"), target.get("subresource", "")) if part)
        counted[f"{event['verb']} {name}"] += 1
    return counted


def waits(events: Iterable[Event], namespace: str) -> list[float]:
    """Give the seconds from a Job's completion, as stored, to the record that opens the gate, as stored."""
    done: dict[str, float] = {}
    opened: dict[str, float] = {}
    for event in events:
        target, body = event.get("objectRef", {}), event.get("responseObject") or {}
        if target.get("namespace") != namespace or target.get("subresource") != "status":
            continue
        at = datetime.fromisoformat(event["stageTimestamp"]).timestamp()
        status = body.get("status", {})
        if target["resource"] == "jobs":
            kinds = {item["type"] for item in status.get("conditions", ()) if item["status"] == "True"}
            if "Complete" in kinds:
                done.setdefault(target["name"], at)
        elif target["resource"] == "gatewaymigrations" and status.get("complete") and status.get("job"):
            opened.setdefault(status["job"]["name"], at)
    return sorted(opened[name] - at for name, at in done.items() if name in opened)


def quantile(values: Sequence[float], share: float) -> float:
    """Give a quantile of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def middle(values: Sequence[float]) -> float:
    """Give the median."""
    return statistics.median(values) if values else float("nan")
