"""Metrics of admission: what the webhooks answered, and what became of what they could not answer."""

from collections.abc import Callable, Iterator

from prometheus_client import Counter, Gauge, Histogram

from webhook.metrics.series import BUCKETS, ProcessMetrics, certificate_expiry
from webhook.policy.reasons import Reason

OPERATIONS = ("CREATE", "UPDATE", "DELETE")
REFUSALS = (
    "answer_unread",
    "broken_body",
    "busy",
    "client",
    "connections",
    "empty",
    "encoding",
    "expectation",
    "http_version",
    "idle",
    "malformed",
    "media_type",
    "method",
    "no_request",
    "path",
    "slow_body",
    "slow_header",
    "too_large",
)
"""Why the server turns a request or connection away."""


class Telemetry(ProcessMetrics):
    """All metrics of a process that answers reviews."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        super().__init__()
        requests = Counter(
            "schemagate_admission_requests",
            "Verdicts. Labels: webhook, operation, decision (allow, warn, patch, deny), reason.",
            ["webhook", "operation", "decision", "reason"],
            registry=self.registry,
        )
        self._verdict = _cached(lambda *labels: requests.labels(*labels).inc)
        for labels in _verdicts():
            self._verdict(*labels)
        seconds = Histogram(
            "schemagate_admission_duration_seconds",
            "Time from the end of a request's headers to its answer. Label: path.",
            ["path"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._seconds = {path: seconds.labels(path).observe for path in (*paths, "other")}
        responses = Counter(
            "schemagate_http_responses",
            "Answers. Labels: path, status.",
            ["path", "status"],
            registry=self.registry,
        )
        self._response = _cached(lambda *labels: responses.labels(*labels).inc)
        for path in paths:
            self._response(path, "200")
        self._in_flight = 0
        in_flight = Gauge("schemagate_admission_in_flight", "Requests being answered.", registry=self.registry)
        in_flight.set_function(lambda: self._in_flight)
        refused = Counter(
            "schemagate_http_refused",
            "Requests or connections turned away unread. Label: reason.",
            ["reason"],
            registry=self.registry,
        )
        self._refused = _cached(lambda *labels: refused.labels(*labels).inc)
        for refusal in REFUSALS:
            self._refused(refusal)
        self._dry_run = Counter("schemagate_admission_dry_run", "Verdicts on dry runs.", registry=self.registry)
        self.bypassed = Counter(
            "schemagate_bypasses", "Rollouts let through by break-glass, dry runs aside.", registry=self.registry
        ).inc
        self.decisions_dropped = Counter(
            "schemagate_decisions_dropped",
            "Lines of the decision log that were lost: standard output is blocked, closed or too slow.",
            registry=self.registry,
        )
        self.ledger_dropped = Counter(
            "schemagate_ledger_dropped",
            "Rejections that found no room on their way to a record.",
            registry=self.registry,
        )
        self.certificate_expiry = certificate_expiry(self.registry)
        reloads = Counter(
            "schemagate_certificate_reloads",
            "Looks at the certificate files, or at another stored certificate. Label: result.",
            ["result"],
            registry=self.registry,
        )
        self.certificate_reload = _cached(lambda *labels: reloads.labels(*labels).inc)
        for result in ("reloaded", "unchanged", "held_back", "failed"):
            self.certificate_reload(result)

    def request_started(self) -> None:
        """Count a request in."""
        self._in_flight += 1

    def request_finished(self, path: str, status: int, seconds: float) -> None:
        """Count a request out."""
        self._in_flight -= 1
        self._seconds[path](seconds)
        self._response(path, str(status))()

    def refused(self, reason: str) -> None:
        """Count a request or connection turned away."""
        self._refused(reason)()

    def verdict(self, webhook: str, operation: str, decision: str, reason: str, *, dry_run: bool) -> None:
        """Count a verdict."""
        known = operation if operation in OPERATIONS else "other"
        self._verdict(webhook, known, decision, reason)()
        if dry_run:
            self._dry_run.inc()


def _verdicts() -> Iterator[tuple[str, str, str, str]]:
    """Give the labels of the verdicts that come up: rates and alerts need the series before its first event."""
    for reason in Reason:
        outcomes = {"deny": ("deny", "warn", "allow")}.get(_outcome(reason), (_outcome(reason),))
        for outcome in outcomes:
            if reason.effect.startswith("pod"):
                yield "pods.mutate", "CREATE", outcome, reason.value
                continue
            for operation in ("CREATE", "UPDATE"):
                yield "deployments.validate", operation, outcome, reason.value
            if outcome == "allow":
                yield "pods.mutate", "CREATE", outcome, reason.value
    for operation in ("CREATE", "UPDATE"):
        yield "deployments.mutate", operation, "warn", Reason.HELD.value


def _outcome(reason: Reason) -> str:
    """Give the word of a reason's effect."""
    if reason.effect == "denied":
        return "deny"
    if reason.effect.endswith("warning"):
        return "warn"
    return "patch" if reason.effect == "pod patched" else "allow"


def _cached(make: Callable[..., Callable[[], None]]) -> Callable[..., Callable[[], None]]:
    """Look each child up once: binding labels costs more than counting."""
    children: dict[tuple[str, ...], Callable[[], None]] = {}

    def child(*labels: str) -> Callable[[], None]:
        found = children.get(labels)
        if found is None:
            found = children[labels] = make(*labels)
        return found

    return child
