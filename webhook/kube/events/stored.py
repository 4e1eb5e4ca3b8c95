"""An Event as an object: names, words and lines that the API server accepts. Pure."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from webhook.kube.lease.stored import micro_time
from webhook.policy.decision import printable

CONTROLLER: Final = "schemagate.io/controller"
WORD_LIMIT = 128
"""Longest reason, action and reporting instance, in characters."""
NOTE_BYTES = 1024
"""Longest note: the API server counts bytes."""
_NAME_LIMIT = 253


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that exists; ``namespace`` is "" when it is in none."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    def manifest(self) -> dict[str, str]:
        """Give the ObjectReference."""
        fields = {"apiVersion": self.api_version, "kind": self.kind, "namespace": self.namespace}
        return {key: value for key, value in {**fields, "name": self.name, "uid": self.uid}.items() if value}


@dataclass(slots=True)
class Story:
    """What is told of one object for one reason: the Event written last, and what came since.

    ``heard`` and ``due`` are on a steady clock, in seconds.
    """

    regarding: Reference
    related: Reference | None
    type: str
    reason: str
    note: str
    action: str
    first: datetime
    due: float  # not to be written before this moment on the steady clock
    last: datetime | None = None
    heard: float = 0.0
    count: int = 0
    unwritten: int = 0
    event: str = ""  # name of the Event that is counted up


def event_of(story: Story, name: str, namespace: str, identity: str) -> dict[str, Any]:
    """Write the Event of this name; it counts from the start when the story was told more than once."""
    event: dict[str, Any] = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "eventTime": micro_time(story.first),
        "reportingController": CONTROLLER,
        "reportingInstance": identity,
        "type": story.type,
        "reason": story.reason,
        "action": story.action,
        "note": story.note,
        "regarding": story.regarding.manifest(),
    }
    if story.related is not None:
        event["related"] = story.related.manifest()
    if story.count > 1:
        event |= series_of(story)
    return event


def series_of(story: Story) -> dict[str, Any]:
    """Write the part of an Event that says how often and when last."""
    return {"series": {"count": story.count, "lastObservedTime": micro_time(story.last or story.first)}}


def event_name(name: str) -> str:
    """Give a name that starts as the object's does and that nothing else has."""
    suffix = f".{uuid.uuid4().hex[:16]}"
    start = re.sub(r"[^a-z0-9.-]", "-", name.lower())[: _NAME_LIMIT - len(suffix)].strip(".-")
    return f"{start or 'object'}{suffix}"


def word(text: str) -> str:
    """Give a CamelCase word: letters and digits, at most ``WORD_LIMIT``."""
    return re.sub(r"[^A-Za-z0-9]", "", text)[:WORD_LIMIT] or "Unknown"


def note_line(text: str) -> str:
    """Give one printable line; the API server's limit counts bytes."""
    line = printable(text, NOTE_BYTES)
    encoded = line.encode("utf-8", "replace")
    if len(encoded) <= NOTE_BYTES:
        return line
    return encoded[: NOTE_BYTES - len("…".encode())].decode("utf-8", "ignore") + "…"
