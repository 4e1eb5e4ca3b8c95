"""What the metrics of both processes share."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from webhook.errors import ClusterError, ConflictError
from webhook.metrics.series import ERRORS, failures


@pytest.mark.parametrize(
    ("error", "label"),
    [(ConflictError("x"), "ConflictError"), (ClusterError("x"), "other"), (ValueError("x"), "other")],
)
def test_a_failure_counts_under_its_kind_or_other(error: Exception, label: str) -> None:
    registry = CollectorRegistry()
    failures("schemagate_tries", "Tries that failed.", registry)(error)
    counted = {name: registry.get_sample_value("schemagate_tries_total", {"error": name}) for name in ERRORS}
    assert counted == {name: float(name == label) for name in ERRORS}
