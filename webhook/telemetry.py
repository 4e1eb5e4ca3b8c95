"""Metrics. Labels come from closed sets, and every child exists from the start, so that rates work.

No label names a namespace, object, user or hash.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from webhook import __version__
from webhook.errors import ClusterError
from webhook.policy.reasons import Reason

WEBHOOKS = ("pods.mutate", "deployments.mutate", "deployments.validate")
OPERATIONS = ("CREATE", "UPDATE", "DELETE")
OUTCOMES = ("allow", "warn", "patch", "deny")
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
_CLUSTER_ERRORS = tuple(sorted(error.__name__ for error in ClusterError.__subclasses__()))
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Telemetry:
    """All metrics of the process, in a registry of its own."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        _build_info(self.registry)
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
            buckets=_BUCKETS,
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
        self.certificate_expiry = Gauge(
            "schemagate_certificate_expiry_timestamp_seconds",
            "When a certificate ends, Unix time. Label: kind.",
            ["kind"],
            registry=self.registry,
        )
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

    def exposition(self) -> bytes:
        """Give all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class ControllerTelemetry:
    """All metrics of the controller, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        _build_info(self.registry)
        self.leader = Gauge("schemagate_leader", "1 in the replica that leads, else 0.", registry=self.registry)
        self._seconds = Histogram(
            "schemagate_reconcile_duration_seconds",
            "Time that one look at a Deployment took.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._errors = Counter(
            "schemagate_reconcile_errors", "Looks that failed. Label: error.", ["error"], registry=self.registry
        )
        for name in (*_CLUSTER_ERRORS, "other"):
            self._errors.labels(name)
        self.unreadable = Counter(
            "schemagate_unreadable_objects", "Objects that could not be read.", registry=self.registry
        )
        self.events_dropped = Counter(
            "schemagate_events_dropped", "Events that were not written.", registry=self.registry
        )
        self.rejections_left_out = Counter(
            "schemagate_rejections_left_out",
            "Rejections that fitted no stored Deployment.",
            registry=self.registry,
        )
        self._findings = Gauge(
            "schemagate_findings",
            "What the last scan in the background found, in the replica that leads. Label: rule.",
            ["rule"],
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "schemagate_workqueue_depth", "Deployments that wait to be looked at.", registry=self.registry
        )

    def found(self, by_rule: Mapping[str, int]) -> None:
        """Say how many findings each rule has."""
        for rule, number in by_rule.items():
            self._findings.labels(rule).set(number)

    def reconciling(self) -> AbstractContextManager[object]:
        """Measure one look."""
        return self._seconds.time()

    def reconcile_failed(self, error: Exception) -> None:
        """Count a look that failed."""
        name = type(error).__name__
        self._errors.labels(name if name in _CLUSTER_ERRORS else "other").inc()

    def exposition(self) -> bytes:
        """Give all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def _build_info(registry: CollectorRegistry) -> None:
    build = Gauge(
        "schemagate_build_info", "Always 1. Labels: version, python.", ["version", "python"], registry=registry
    )
    build.labels(__version__, sys.version.split()[0]).set(1)


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
