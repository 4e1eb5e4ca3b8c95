"""The decision log: one JSON line for every verdict, on standard output, written off the request path.

Whoever reads it may be slow, stand still or be gone: lines wait in a bounded queue that a thread of its own
empties. What finds no room, or cannot be written, is dropped and counted; no answer ever waits for it.
"""

import contextlib
import os
import queue
import select
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from webhook.audit.rejections.rejection import shown
from webhook.policy.record import Mode, RejectionDecision
from webhook.policy.record.wire import GROUPS_KEPT

SCHEMA: Final = "schemagate.io/decision/v1"
LIMIT = 2048
"""Lines that may wait to be written; further ones are dropped."""
LINE_LIMIT: Final = 16 * 1024
"""Longest line in bytes, its end included: what the limits of the fields come to."""
_NAME_LIMIT = 253
_TEXT_LIMIT = 256
_MESSAGE_LIMIT = 400
_AT_ONCE = 64


class Line(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One verdict. All fields are always there; null is what is not known or does not apply."""

    schema: Annotated[
        Literal["schemagate.io/decision/v1"],
        Meta(description="Name and version of this form; within v1 fields may be added, and none changes."),
    ] = SCHEMA
    time: Annotated[datetime, Meta(description="When the verdict fell, RFC 3339 in UTC.")]
    uid: Annotated[str, Meta(description="The `request.uid` of the AdmissionReview.")]
    webhook: Annotated[
        str, Meta(description="Who was asked: `pods.mutate`, `deployments.mutate` or `deployments.validate`.")
    ]
    operation: Annotated[str, Meta(description="`CREATE`, `UPDATE`, `DELETE` or `CONNECT`.")]
    namespace: Annotated[str, Meta(description="Namespace of the object.")]
    name: Annotated[str, Meta(description="Name of the object; the `generateName` of a pod that has none yet.")]
    user: Annotated[str, Meta(description="Who asked: `request.userInfo.username`.")]
    groups: Annotated[
        tuple[str, ...],
        Meta(
            description="The first 5 groups of the user, without `system:authenticated` and "
            "`system:serviceaccounts`."
        ),
    ]
    dry_run: Annotated[bool, Meta(description="Whether the request was to change nothing.")]
    decision: Annotated[
        str, Meta(description="The answer: `allow`, `patch`, `warn` (allowed, with a warning) or `deny`.")
    ]
    remembered: Annotated[
        RejectionDecision | None,
        Meta(
            description="What the record's `status.rejections` keeps of it: `denied`, `held`, `warned`, `noted` "
            "or `bypassed`. Null for all else, and on every dry run."
        ),
    ]
    reason: Annotated[str, Meta(description="Why: one of the reasons of the reference.")]
    check: Annotated[str, Meta(description="The check that decided.")]
    mode: Annotated[Mode | None, Meta(description="The mode that held, of what is guarded.")]
    hash: Annotated[str | None, Meta(description="The hash of the rollout's inputs, its first 16 hex digits.")]
    from_image: Annotated[str | None, Meta(description="The Gateway image before.")]
    to_image: Annotated[str | None, Meta(description="The Gateway image that was asked for.")]
    bypass_reason: Annotated[str | None, Meta(description="The reason a person gave for breaking glass.")]
    message: Annotated[
        str | None,
        Meta(description="What the user was told: the denial, or the first warning. At most 400 characters."),
    ]

    def safe(self) -> "Line":
        """Give the line with its texts printable, bounded and without credentials."""
        return msgspec.structs.replace(
            self,
            uid=shown(self.uid, _TEXT_LIMIT),
            namespace=shown(self.namespace, _NAME_LIMIT),
            name=shown(self.name, _NAME_LIMIT),
            user=shown(self.user, _TEXT_LIMIT),
            groups=tuple(shown(group, _TEXT_LIMIT) for group in self.groups[:GROUPS_KEPT]),
            from_image=_or_none(self.from_image, _TEXT_LIMIT),
            to_image=_or_none(self.to_image, _TEXT_LIMIT),
            bypass_reason=_or_none(self.bypass_reason, _TEXT_LIMIT),
            message=_or_none(self.message, _MESSAGE_LIMIT),
        )


def _or_none(text: str | None, limit: int) -> str | None:
    return shown(text, limit) if text else None


class DecisionLog:
    """Writes lines to a file descriptor, in a thread of its own.

    ``dropped`` is told how many lines were lost, ``failed`` why the first of a row could not be written; both are
    called from any thread and must not raise. The descriptor stays the caller's.
    """

    def __init__(
        self,
        descriptor: int,
        dropped: Callable[[int], None],
        failed: Callable[[str], None],
        limit: int = LIMIT,
    ) -> None:
        self._descriptor = descriptor
        self._dropped, self._failed = dropped, failed
        self._lines: queue.Queue[Line | None] = queue.Queue(limit)
        self._encoder = msgspec.json.Encoder()
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._closed = threading.Event()
        self._in_hand = 0
        self._torn = self._failing = self._ended = False

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def submit(self, line: Line) -> None:
        """Take a line; returns at once and never raises."""
        if self._closed.is_set():
            self._dropped(1)
            return
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped(1)

    def close(self, seconds: float) -> None:
        """Write what waits, for ``seconds`` at most; what is left then is dropped. Blocks so long."""
        end = time.monotonic() + seconds
        self._closed.set()
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._lines.put(None, timeout=seconds)
            self._thread.join(max(0.0, end - time.monotonic()))
        left = self._in_hand if self._thread.is_alive() else 0
        while True:
            try:
                left += self._lines.get_nowait() is not None
            except queue.Empty:
                break
        self._lines.put_nowait(None)  # for a thread that stands still: it ends should it ever go on
        if left:
            self._dropped(left)

    def _run(self) -> None:
        while not self._ended:
            lines = self._next()
            self._in_hand = len(lines)
            self._write(lines)
            self._in_hand = 0

    def _next(self) -> list[Line]:
        """Wait for lines and give some that wait."""
        lines: list[Line] = []
        while len(lines) < _AT_ONCE and not self._ended:
            try:
                line = self._lines.get(block=not lines)
            except queue.Empty:
                break
            if line is None:
                self._ended = True
            else:
                lines.append(line)
        return lines

    def _write(self, lines: list[Line]) -> None:
        """Write some lines; those that cannot be are dropped, and the next ones are tried all the same."""
        for number, line in enumerate(lines):
            try:
                text = self._encoder.encode(line.safe())
                self._send(b"\n" + text + b"\n" if self._torn else text + b"\n")
            except (OSError, ValueError) as error:
                self._dropped(len(lines) - number)
                if not self._failing:
                    self._failed(getattr(error, "strerror", None) or type(error).__name__)
                self._failing = True
                return
            self._failing = False

    def _send(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            try:
                count = os.write(self._descriptor, rest)
            except BlockingIOError:  # whoever shares the pipe has made it so
                select.select([], [self._descriptor], [])
                continue
            self._torn = count < len(rest)
            rest = rest[count:]
