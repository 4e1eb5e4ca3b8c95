"""JSON Patch (RFC 6902), written by hand: a diff of whole objects costs a thousand times as much."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from webhook.policy.value import Value


class Operation(Value, frozen=True):
    """One operation of a JSON Patch. ``path`` is a JSON pointer (RFC 6901)."""

    op: Literal["add", "replace", "remove", "test"]
    path: str
    value: Any = None

    def to_json(self) -> dict[str, Any]:
        """Give the wire form; ``remove`` carries no value."""
        wire: dict[str, Any] = {"op": self.op, "path": self.path}
        if self.op != "remove":
            wire["value"] = self.value
        return wire


Patch = tuple[Operation, ...]


def pointer(*parts: str | int) -> str:
    """Join the parts of a path into a JSON pointer, escaping ``~`` and ``/``."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def encode_patch(patch: Sequence[Operation]) -> bytes:
    """Encode a patch as the JSON array that goes, in base64, into an AdmissionReview."""
    return msgspec.json.encode([operation.to_json() for operation in patch])
