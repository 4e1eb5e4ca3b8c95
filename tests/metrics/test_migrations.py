"""Metrics of migrations: there from the start, and 0 where nobody leads."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from webhook.metrics.migrations import ENDS, MigrationMetrics
from webhook.policy.record import Phase


def test_every_series_is_there_from_the_start() -> None:
    registry = CollectorRegistry()
    MigrationMetrics(registry)
    for phase in Phase:
        assert registry.get_sample_value("schemagate_migrations", {"phase": phase.value}) == 0
    for result in ENDS.values():
        assert registry.get_sample_value("schemagate_migration_jobs_total", {"result": result}) == 0
    for governed in ("true", "false"):
        assert registry.get_sample_value("schemagate_gateways", {"governed": governed}) == 0
    for name in ("denials_active", "denials_oldest_seconds", "migration_last_success_timestamp_seconds"):
        assert registry.get_sample_value(f"schemagate_{name}") == 0


def test_how_things_stand_is_told_by_who_leads_and_taken_back() -> None:
    registry = CollectorRegistry()
    metrics = MigrationMetrics(registry)
    metrics.stand(
        phases={Phase.FAILED: 2}, waiting=3, waiting_seconds=60.0, migrated=1e9, governed=4, ungoverned=5
    )
    told = {
        ("schemagate_migrations", "phase", "Failed"): 2,
        ("schemagate_migrations", "phase", "Complete"): 0,
        ("schemagate_gateways", "governed", "true"): 4,
        ("schemagate_gateways", "governed", "false"): 5,
    }
    for (name, label, value), number in told.items():
        assert registry.get_sample_value(name, {label: value}) == number
    assert registry.get_sample_value("schemagate_denials_active") == 3
    assert registry.get_sample_value("schemagate_denials_oldest_seconds") == 60
    assert registry.get_sample_value("schemagate_migration_last_success_timestamp_seconds") == 1e9
    metrics.stand()
    for name, label, value in told:
        assert registry.get_sample_value(name, {label: value}) == 0
    assert registry.get_sample_value("schemagate_denials_active") == 0


def test_only_what_is_complete_is_timed() -> None:
    registry = CollectorRegistry()
    metrics = MigrationMetrics(registry)
    metrics.ended("complete", 12.0)
    metrics.ended("complete", None)
    metrics.ended("failed", 7.0)
    assert registry.get_sample_value("schemagate_migration_jobs_total", {"result": "complete"}) == 2
    assert registry.get_sample_value("schemagate_migration_jobs_total", {"result": "failed"}) == 1
    assert registry.get_sample_value("schemagate_migration_duration_seconds_sum") == 12
