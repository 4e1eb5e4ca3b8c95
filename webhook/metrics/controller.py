"""Metrics of the controller: its lead, its looks at Deployments, and what its scan found."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from prometheus_client import Counter, Gauge, Histogram

from webhook.metrics.series import BUCKETS, ProcessMetrics, failures


class ControllerTelemetry(ProcessMetrics):
    """All metrics of the controller."""

    def __init__(self) -> None:
        super().__init__()
        self.leader = Gauge("schemagate_leader", "1 in the replica that leads, else 0.", registry=self.registry)
        self._seconds = Histogram(
            "schemagate_reconcile_duration_seconds",
            "Time that one look at a Deployment took.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.reconcile_failed = failures(
            "schemagate_reconcile_errors", "Looks that failed. Label: error.", self.registry
        )
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
