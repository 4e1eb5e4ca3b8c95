"""Metrics of migrations and of what waits for them.

The leader alone says how things stand, every other replica 0 of everything, so that the replicas' figures add up.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from webhook.policy.record import Phase

ENDS: Final[Mapping[str, str]] = {
    "MigrationComplete": "complete",
    "MigrationFailed": "failed",
    "EvidenceTampered": "tampered",
}
"""How a migration ended, by the reason of the Event that tells of it."""
_BUCKETS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400)


class MigrationMetrics:
    """What the controller tells of migrations."""

    def __init__(self, registry: CollectorRegistry) -> None:
        jobs = Counter(
            "schemagate_migration_jobs",
            "Migrations that ended. Label: result (complete, failed, tampered).",
            ["result"],
            registry=registry,
        )
        self._jobs = {result: jobs.labels(result).inc for result in ENDS.values()}
        self._seconds = Histogram(
            "schemagate_migration_duration_seconds",
            "Time from the start of an attempt of ours to its Job's being found complete.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._phases = Gauge(
            "schemagate_migrations", "Records by phase. Label: phase.", ["phase"], registry=registry
        )
        self._gateways = Gauge(
            "schemagate_gateways",
            "Gateway Deployments. Label: governed (true, false).",
            ["governed"],
            registry=registry,
        )
        self._waiting = Gauge(
            "schemagate_denials_active",
            "Rollouts on record that are denied or held until they are migrated, and would not pass now.",
            registry=registry,
        )
        self._waiting_seconds = Gauge(
            "schemagate_denials_oldest_seconds",
            "How long ago the oldest of them was tried first; 0 when there is none.",
            registry=registry,
        )
        self._last_success = Gauge(
            "schemagate_migration_last_success_timestamp_seconds",
            "When a migration was last found complete, Unix time; 0 when none is on record.",
            registry=registry,
        )
        self.stand()

    def stand(
        self,
        *,
        phases: Mapping[Phase, int] | None = None,
        waiting: int = 0,
        waiting_seconds: float = 0.0,
        migrated: float = 0.0,
        governed: int = 0,
        ungoverned: int = 0,
    ) -> None:
        """Say how all Gateways stand: ``waiting`` rollouts, the oldest since so many seconds.

        ``migrated`` is the Unix time of the newest completion.
        """
        for phase in Phase:
            self._phases.labels(phase.value).set((phases or {}).get(phase, 0))
        self._gateways.labels("true").set(governed)
        self._gateways.labels("false").set(ungoverned)
        self._waiting.set(waiting)
        self._waiting_seconds.set(waiting_seconds)
        self._last_success.set(migrated)

    def ended(self, result: str, seconds: float | None) -> None:
        """Count a migration that ended, a result of ``ENDS``, and how long one of ours took that is complete."""
        self._jobs[result]()
        if result == "complete" and seconds is not None:
            self._seconds.observe(seconds)
