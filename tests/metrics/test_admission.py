"""Metrics of admission: closed labels, there from the start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import webhook.admission.connections
import webhook.admission.server
from webhook.metrics.admission import OPERATIONS, REFUSALS, Telemetry
from webhook.policy.reasons import Reason

WEBHOOKS = ("pods.mutate", "deployments.mutate", "deployments.validate")
OUTCOMES = ("allow", "warn", "patch", "deny")
PATHS = ("/mutate-v1-pod", "/validate-apps-v1-deployment")


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(PATHS)


def samples(telemetry: Telemetry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(telemetry.exposition().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def labels_of(telemetry: Telemetry, name: str) -> list[dict[str, str]]:
    return [dict(labels) for (found, labels) in samples(telemetry) if found == name]


def test_every_metric_is_named_and_explained(telemetry: Telemetry) -> None:
    families = list(text_string_to_metric_families(telemetry.exposition().decode()))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.name.startswith("schemagate_")
        assert family.documentation


def test_labels_come_from_closed_sets(telemetry: Telemetry) -> None:
    telemetry.verdict("pods.mutate", "CONNECT\nx", "allow", "NotJudged", dry_run=True)
    telemetry.request_started()
    telemetry.request_finished("other", 404, 0.1)
    names = {label for _, labels in samples(telemetry) for label, _ in labels}
    closed = {"webhook", "operation", "decision", "reason", "path", "status", "kind", "result"}
    assert names <= closed | {"le", "version", "python"}
    for labels in labels_of(telemetry, "schemagate_admission_requests_total"):
        assert labels["webhook"] in WEBHOOKS
        assert labels["operation"] in {*OPERATIONS, "other"}
        assert labels["decision"] in OUTCOMES
        assert labels["reason"] in set(Reason)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.effect == "denied"])
def test_a_denial_is_a_series_before_the_first_one(telemetry: Telemetry, reason: Reason) -> None:
    series = labels_of(telemetry, "schemagate_admission_requests_total")
    for operation in ("CREATE", "UPDATE"):
        wanted = {"webhook": "deployments.validate", "operation": operation, "decision": "deny"}
        assert {**wanted, "reason": reason.value} in series


def test_every_reason_is_a_series_from_the_start(telemetry: Telemetry) -> None:
    series = labels_of(telemetry, "schemagate_admission_requests_total")
    assert {labels["reason"] for labels in series} == {reason.value for reason in Reason}
    assert all(value == 0 for (name, _), value in samples(telemetry).items() if name.endswith("_requests_total"))
    assert len(series) < 200


def test_every_refusal_is_a_series_from_the_start(telemetry: Telemetry) -> None:
    written = set(webhook.admission.connections.Phase) - {webhook.admission.connections.Phase.BUSY}
    told = {phase.value for phase in written} | {"malformed", "connections"}
    source = Path(webhook.admission.server.__file__).read_text()
    told |= set(re.findall(r'_Refusal\(\d+, "(\w+)"', source))
    assert told <= set(REFUSALS)
    assert {labels["reason"] for labels in labels_of(telemetry, "schemagate_http_refused_total")} == set(REFUSALS)


def test_what_happens_is_counted(telemetry: Telemetry) -> None:
    telemetry.request_started()
    key = ("schemagate_admission_in_flight", frozenset[tuple[str, str]]())
    assert samples(telemetry)[key] == 1
    telemetry.request_finished(PATHS[0], 200, 0.002)
    telemetry.refused("path")
    telemetry.verdict("deployments.validate", "UPDATE", "deny", "MigrationPending", dry_run=True)
    found = samples(telemetry)
    assert found[key] == 0
    assert found["schemagate_http_responses_total", frozenset({("path", PATHS[0]), ("status", "200")})] == 1
    assert found["schemagate_http_refused_total", frozenset({("reason", "path")})] == 1
    assert found["schemagate_admission_dry_run_total", frozenset()] == 1
    assert found["schemagate_admission_duration_seconds_count", frozenset({("path", PATHS[0])})] == 1
