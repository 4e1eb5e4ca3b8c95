"""Rejections from an audit log of kube-apiserver: what its own record says of our verdicts.

Format: ``audit.k8s.io/v1`` Events, one JSON object a line, or EventLists as a webhook backend is sent them
(k8s.io/apiserver/pkg/apis/audit/v1, Kubernetes 1.36). An admission webhook's audit annotations stand in an Event's
``annotations`` under the webhook's name and a slash; only the stage ResponseComplete (or Panic) has all of them.
"""

import gzip
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import IO, Annotated, BinaryIO, cast
from urllib.parse import parse_qs

import msgspec

from webhook.audit.history import Filter, Refusal, in_order
from webhook.audit.rejections.rejection import USER_LIMIT, shown, telling
from webhook.policy.names import GROUP
from webhook.policy.objects import UserInfo, View
from webhook.policy.record import Mode, RejectionDecision

LINE_LIMIT = 8 * 2**20
"""Longest line that is read, in bytes; objects in it are at most 1.5 MiB each, and escaped."""
KEPT = 100_000
"""Distinct rejections, and requests, that are remembered."""
_VALIDATOR = f"deployments.validate.{GROUP}/"
_MUTATOR = f"deployments.mutate.{GROUP}/"
_FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/"
_MARK = GROUP.encode()
_GZIP = b"\x1f\x8b"
_ENDS = frozenset({"ResponseComplete", "Panic"})
_TEXT_LIMIT = 253
_FAILURE = 400


class ObjectReference(View, frozen=True):
    """Which object a request was about (``objectRef``)."""

    namespace: str = ""
    name: str = ""


class ResponseStatus(View, frozen=True):
    """How a request ended (``responseStatus``)."""

    code: int = 0


class AuditEvent(View, frozen=True, rename={"audit_id": "auditID", "request_uri": "requestURI"}):
    """What is read of an Event, or of a list of them."""

    kind: str = ""
    items: tuple["AuditEvent", ...] | None = None
    stage: str = ""
    audit_id: str = ""
    verb: str = ""
    request_uri: str = ""
    user: UserInfo = UserInfo()
    impersonated: UserInfo | None = msgspec.field(name="impersonatedUser", default=None)
    object: ObjectReference | None = msgspec.field(name="objectRef", default=None)
    received: Annotated[datetime, msgspec.Meta(tz=True)] | None = msgspec.field(
        name="requestReceivedTimestamp", default=None
    )
    response: ResponseStatus | None = msgspec.field(name="responseStatus", default=None)
    annotations: dict[str, str] | None = None


class LogReader:
    """Reads a log of any size, line by line; what it kept and what it could not read is told afterwards.

    ``lines`` counts all, ``broken`` those that are no JSON object at first sight, or speak of us and are no Event;
    ``ours`` counts requests that were judged, ``failed_open`` those that passed since our webhook gave no answer,
    ``omitted`` rejections beyond what is kept.
    """

    def __init__(self, wanted: Filter | None = None, kept: int = KEPT) -> None:
        """Keep what is ``wanted``, all by default; alike ones count as one."""
        self._wanted = wanted or Filter()
        self._kept = kept
        self._rows: dict[tuple[object, ...], Refusal] = {}
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self.lines = 0
        self.ours = 0
        self.broken = 0
        self.omitted = 0
        self.failed_open = 0

    def read(self, stream: BinaryIO) -> None:
        """Read a log to its end, compressed by gzip or not; OSError when it cannot be read."""
        try:
            for line in _lines(stream):
                self._read(line)
        except (EOFError, zlib.error) as error:
            raise OSError(f"not whole, or no gzip: {error}") from error

    def refusals(self) -> list[Refusal]:
        """Give the rejections, alike ones as one, oldest first."""
        return in_order(self._rows.values())

    def _read(self, line: bytes | None) -> None:
        self.lines += 1
        if line is None:
            self.broken += 1
        elif _MARK in line:
            self._take(line)
        elif text := line.strip():
            self.broken += not (text.startswith(b"{") and text.endswith(b"}"))

    def _take(self, line: bytes) -> None:
        try:
            event = msgspec.json.decode(line, type=AuditEvent)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            self.broken += 1
            return
        for item in (event, *(event.items or ())):
            if item.stage in _ENDS and _speaks_of_us(item) and not self._known(item):
                self._note(item, item.annotations or {})

    def _known(self, event: AuditEvent) -> bool:
        """Tell whether a request was read before: logs of several files, or backends, overlap."""
        if not event.audit_id:
            return False
        request = _digest(event)
        known = request in self._seen
        self._seen[request] = None
        if len(self._seen) > self._kept:
            self._seen.popitem(last=False)
        return known

    def _note(self, event: AuditEvent, notes: Mapping[str, str]) -> None:
        if _dry_run(event.request_uri):
            return
        self.failed_open += _failed_open(notes)
        self.ours += _judged(notes)
        row = _refusal(event, notes)
        if row is None or not self._wanted.takes(row):
            return
        key = (row.namespace, row.name, row.decision, row.reason, row.mode, row.hash, row.user)
        if key in self._rows:
            self._rows[key] = self._rows[key].again(row)
        elif len(self._rows) < self._kept:
            self._rows[key] = row
        else:
            self.omitted += 1


def _lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Give the lines of a stream; None for one that is too long, which is read past."""
    source: IO[bytes] = stream
    if _peek(stream) == _GZIP:
        source = cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    while line := source.readline(LINE_LIMIT):
        if len(line) < LINE_LIMIT or line.endswith(b"\n"):
            yield line
            continue
        while (more := source.readline(LINE_LIMIT)) and not more.endswith(b"\n"):
            pass
        yield None


def _peek(stream: BinaryIO) -> bytes:
    peek = getattr(stream, "peek", None)
    return peek(2)[:2] if peek is not None else b""


def _digest(event: AuditEvent) -> bytes:
    """Give what tells a request from all others: not its ID alone, which a client may name (header Audit-ID)."""
    said = (event.audit_id, event.received, event.verb, event.request_uri, event.user, event.impersonated)
    telling_apart = msgspec.json.encode((*said, event.annotations), order="deterministic")
    return hashlib.sha256(telling_apart).digest()


def _speaks_of_us(event: AuditEvent) -> bool:
    notes = event.annotations or {}
    return _judged(notes) or _failed_open(notes)


def _judged(notes: Mapping[str, str]) -> bool:
    return any(key.startswith((_VALIDATOR, _MUTATOR)) for key in notes)


def _failed_open(notes: Mapping[str, str]) -> bool:
    return any(key.startswith(_FAILED_OPEN) and value == _VALIDATOR.rstrip("/") for key, value in notes.items())


def _dry_run(uri: str) -> bool:
    """Tell by the one value there is: of parameters that cannot be decoded the API server reads nothing."""
    return "All" in parse_qs(uri.partition("?")[2]).get("dryRun", ())


def _refusal(event: AuditEvent, notes: Mapping[str, str]) -> Refusal | None:
    decision = _decision(notes)
    failed = event.response is not None and event.response.code >= _FAILURE
    if decision is None or (failed and decision is not RejectionDecision.DENIED):
        return None  # what we let through and something else refused, a conflict mostly, is none
    source = _MUTATOR if decision is RejectionDecision.HELD else _VALIDATOR
    user = event.impersonated or event.user
    where = event.object or ObjectReference()
    return Refusal(
        namespace=shown(where.namespace, _TEXT_LIMIT),
        name=shown(where.name, _TEXT_LIMIT),
        decision=decision,
        reason=shown(notes.get(f"{source}reason", ""), _TEXT_LIMIT),
        mode=_mode(notes.get(f"{source}mode", "")),
        hash=shown(notes.get(f"{source}migration-hash", ""), _TEXT_LIMIT),
        user=shown(user.username, USER_LIMIT),
        groups=tuple(shown(group, USER_LIMIT) for group in telling(user.groups or ())),
        first=event.received,
        last=event.received,
    )


def _decision(notes: Mapping[str, str]) -> RejectionDecision | None:
    """Give what was done, from the words that the verdict leaves; None for what was simply let through."""
    said = notes.get(f"{_VALIDATOR}decision", "")
    if said == "deny":
        return RejectionDecision.DENIED
    if notes.get(f"{_VALIDATOR}reason") == "Bypassed":
        return RejectionDecision.BYPASSED
    if notes.get(f"{_MUTATOR}decision") == "hold":
        return RejectionDecision.HELD
    if said == "would-deny":
        audit = notes.get(f"{_VALIDATOR}mode") == Mode.AUDIT
        return RejectionDecision.NOTED if audit else RejectionDecision.WARNED
    return None


def _mode(text: str) -> Mode | None:
    return Mode(text) if text in set(Mode) else None
