"""What the metrics of both processes share."""

import sys
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from webhook import __version__
from webhook.errors import ClusterError

BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds, for what ought to take a moment."""
ERRORS: Final = (*sorted(error.__name__ for error in ClusterError.__subclasses__()), "other")


class ProcessMetrics:
    """The metrics of one process, in a registry of its own, which says what version runs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Gauge(
            "schemagate_build_info",
            "Always 1. Labels: version, python.",
            ["version", "python"],
            registry=self.registry,
        )
        build.labels(__version__, sys.version.split()[0]).set(1)

    def exposition(self) -> bytes:
        """Give all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def error_label(error: Exception) -> str:
    """Give the label of an error: its kind where it is one of the cluster's, else ``other``."""
    name = type(error).__name__
    return name if name in ERRORS else "other"


def failures(name: str, documentation: str, registry: CollectorRegistry) -> Callable[[Exception], None]:
    """Make a counter of what failed, by the label ``error``; what is given counts one failure."""
    counter = Counter(name, documentation, ["error"], registry=registry)
    children = {label: counter.labels(label) for label in ERRORS}
    return lambda error: children[error_label(error)].inc()


def certificate_expiry(registry: CollectorRegistry) -> Gauge:
    """Make the gauge of when certificates end: both processes tell of those that they hold."""
    return Gauge(
        "schemagate_certificate_expiry_timestamp_seconds",
        "When a certificate ends, Unix time. Label: kind.",
        ["kind"],
        registry=registry,
    )
