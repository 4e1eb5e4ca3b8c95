"""How all Gateways stand, in numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support import builders as make
from tests.support.builders import NOW
from webhook.controller.figures import Figures, figures
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import UnreachableError
from webhook.policy.record import (
    Completion,
    Evidence,
    Mode,
    Phase,
    Record,
    RecordStatus,
    Rejection,
    RejectionDecision,
    RejectionEnd,
    Rejections,
)

DENIED = RejectionDecision.DENIED


class Stored(EmbeddedControllerCluster):
    """Keeps one record that cannot be read, if told to."""

    unreadable = ""

    def record(self, namespace: str, name: str) -> Record | None:
        if name == self.unreadable:
            raise UnreachableError("cannot be read")
        return super().record(namespace, name)


@pytest.fixture
def cluster() -> Stored:
    return Stored()


def named(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return make.merged(manifest, {"metadata": {"name": name}})


def count(cluster: Stored) -> Figures:
    return figures(cluster, Mode.REJECT)


def test_nothing_is_nothing(cluster: Stored) -> None:
    assert count(cluster) == Figures(dict.fromkeys(Phase, 0), 0, None, None, 0, 0)


def test_gateways_that_nobody_guards_are_told_from_those_that_are(cluster: Stored) -> None:
    for name in ("ssg", "open", "off", "broken"):
        cluster.put(named(make.deployment(), name))
    cluster.put(make.record())
    cluster.put(make.merged(named(make.record(), "off"), {"spec": {"enabled": False}}))
    cluster.unreadable = "broken"
    found = count(cluster)
    assert (found.governed, found.ungoverned) == (2, 2)


def test_a_workload_that_is_no_gateway_is_not_counted(cluster: Stored) -> None:
    plain = make.deployment()
    plain["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = []
    cluster.put(plain)
    assert (count(cluster).governed, count(cluster).ungoverned) == (0, 0)


def test_records_are_counted_by_phase_and_the_newest_migration_is_told(cluster: Stored) -> None:
    done = [
        (Phase.COMPLETE, Completion(hash="a" * 64, time=NOW)),
        (Phase.COMPLETE, Completion(hash="b" * 64, time=NOW + timedelta(hours=1), evidence=Evidence.ADOPTED)),
        (Phase.FAILED, Completion(hash="c" * 64, time=NOW - timedelta(hours=1))),
    ]
    for number, (phase, completion) in enumerate(done):
        status = RecordStatus(phase=phase, completed_hashes=(completion,))
        cluster.put(Record(namespace="team-a", name=f"ssg-{number}", status=status).to_manifest())
    found = count(cluster)
    assert {phase: number for phase, number in found.phases.items() if number} == {
        Phase.COMPLETE: 2,
        Phase.FAILED: 1,
    }
    assert found.migrated == NOW


@pytest.mark.parametrize(
    ("entry", "waits"),
    [
        (Rejection(decision=DENIED), True),
        (Rejection(), True),
        (Rejection(decision=RejectionDecision.HELD), True),
        (Rejection(decision=RejectionDecision.WARNED), False),
        (Rejection(decision=RejectionDecision.BYPASSED), False),
        (Rejection(decision=DENIED, reason="MigrationFailed"), True),
        (Rejection(decision=DENIED, reason="InvalidInputs"), True),
        (Rejection(decision=DENIED, reason="GatewayContainerLost"), False),
        (Rejection(decision=DENIED, reason="RollbackRefused"), False),
        (Rejection(decision=DENIED, passes=True), False),
        (Rejection(decision=DENIED, ended=RejectionEnd.ABANDONED), False),
    ],
)
def test_what_is_stopped_and_would_not_pass_waits(cluster: Stored, entry: Rejection, waits: bool) -> None:
    entries = tuple(
        Rejection(
            reason=entry.reason,
            decision=entry.decision,
            passes=entry.passes,
            ended=entry.ended,
            user=str(hours),
            first=NOW - timedelta(hours=hours),
        )
        for hours in (1, 3, 2)
    )
    status = RecordStatus(rejections=Rejections(count=3, newest=entries))
    cluster.put(Record(namespace="team-a", name="ssg", status=status).to_manifest())
    found = count(cluster)
    assert (found.waiting, found.waiting_since) == ((3, NOW - timedelta(hours=3)) if waits else (0, None))
