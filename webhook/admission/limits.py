"""Bounds of the webhook server: how much one peer may send, and how long anything may take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

MIB: Final = 1024 * 1024

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "max_body_bytes": (1, 64 * MIB),
    "inflight_body_bytes": (1, 1024 * MIB),
    "header_seconds": (0.05, 30),
    "body_seconds": (0.05, 30),
    "decision_seconds": (0.05, 29),
    "handshake_seconds": (0.05, 60),
    "first_byte_seconds": (0.05, 600),
    "keepalive_seconds": (100, 86400),
    "write_seconds": (0.05, 60),
    "shutdown_seconds": (0.05, 60),
    "max_connections": (1, 100_000),
    "backlog": (1, 65535),
}
_DURATION = re.compile(r"(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_PART = re.compile(r"([\d.]+)([a-zµμ]+)", re.ASCII)
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
# The API server's clock starts before ours, and our answer must still travel back to it.
_SHARE_OF_CALLER_TIMEOUT: Final = 0.9


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server bears. Sizes are bytes, times are seconds."""

    max_body_bytes: int = 8 * MIB
    """Largest review; a larger one is answered 413, unread when its length was announced."""
    inflight_body_bytes: int = 64 * MIB
    """All reviews in memory together; the one that would exceed it is answered 503."""
    header_seconds: float = 5.0
    """From the first byte of a request to the end of its headers."""
    body_seconds: float = 5.0
    """From the end of the headers to the end of the body; then 408."""
    decision_seconds: float = 4.0
    """From the end of the headers to the answer; then 500, and failurePolicy decides."""
    decision_seconds_by_path: Mapping[str, float] = field(default_factory=dict)
    """Paths whose decision is given another time than `decision_seconds`."""
    handshake_seconds: float = 5.0
    """From the TCP connection to the end of the TLS handshake."""
    first_byte_seconds: float = 30.0
    """How long a new connection may stay silent before its first request."""
    keepalive_seconds: float = 3600.0
    """Idle between requests; must exceed the 90 s for which kube-apiserver pools a connection."""
    write_seconds: float = 5.0
    """How long a peer may leave our answer, or our TLS goodbye, unread."""
    shutdown_seconds: float = 10.0
    """How long `stop` waits for requests that have begun."""
    max_connections: int = 1000
    """Open connections; one more makes the least useful one give way."""
    backlog: int = 512
    """Connections the kernel holds for us before we accept them."""

    def __post_init__(self) -> None:
        times = {
            f"decision_seconds_by_path[{path}]": value for path, value in self.decision_seconds_by_path.items()
        }
        for name, value in times.items():
            _check(name, value, _RANGES["decision_seconds"])
        for name, bounds in _RANGES.items():
            _check(name, getattr(self, name), bounds)
        if self.inflight_body_bytes < self.max_body_bytes:
            raise ValueError(
                f"inflight_body_bytes is {self.inflight_body_bytes}, allowed is max_body_bytes"
                f" ({self.max_body_bytes}) or more: one review of full size must fit"
            )
        # A private copy: the caller's dict may change, our limits may not.
        frozen = MappingProxyType(dict(self.decision_seconds_by_path))
        object.__setattr__(self, "decision_seconds_by_path", frozen)

    def decision_time(self, path: str, caller_timeout: str | None) -> float:
        """Return the seconds a decision on `path` may take for a caller that waits `caller_timeout`."""
        own = self.decision_seconds_by_path.get(path, self.decision_seconds)
        given = parse_go_duration(caller_timeout) if caller_timeout else None
        return own if given is None else min(own, round(given * _SHARE_OF_CALLER_TIMEOUT, 6))


def parse_go_duration(text: str) -> float | None:
    """Return the seconds of a positive Go duration such as `500ms` or `1m30s`, else None."""
    if len(text) > 64 or not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)) or None


def _check(name: str, value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not low <= value <= high:  # also refuses NaN
        raise ValueError(f"{name} is {value}, allowed is {low} to {high}")
