"""Conditions: what people, kstatus and Argo CD read."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NOW
from tests.support.observations import A
from webhook.policy.inputs import short
from webhook.policy.migration.conditions import with_conditions
from webhook.policy.record import Condition, Failure, FailureClass, Phase, RecordStatus

LATER = NOW + timedelta(minutes=5)


def status(phase: Phase | None, failure: Failure | None = None) -> RecordStatus:
    return RecordStatus(observed_generation=3, phase=phase, spec_hash=A.spec_hash, image=A.image, failure=failure)


def conditions(given: RecordStatus) -> dict[str, Condition]:
    return {condition.type: condition for condition in given.conditions}


@pytest.mark.parametrize(
    ("phase", "true"),
    [
        (None, {"Progressing"}),
        (Phase.PENDING, {"Progressing"}),
        (Phase.WAITING, {"Progressing"}),
        (Phase.RUNNING, {"Progressing"}),
        (Phase.SUPERSEDED, {"Progressing"}),
        (Phase.COMPLETE, {"Ready", "MigrationComplete"}),
        (Phase.FAILED, {"Degraded", "Stalled"}),
        (Phase.DISABLED, {"Ready"}),
    ],
)
def test_what_is_true_in_each_phase(phase: Phase | None, true: set[str]) -> None:
    given = conditions(with_conditions(status(phase), RecordStatus(), NOW))
    assert set(given) == {"Ready", "MigrationComplete", "Progressing", "Degraded", "Stalled"}
    assert {kind for kind, condition in given.items() if condition.status == "True"} == true
    assert {condition.status for condition in given.values()} <= {"True", "False"}


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        (
            status(Phase.RUNNING),
            "MigrationRunning",
            f"migration {short(A.spec_hash)} of {A.image} is Running",
        ),
        (status(Phase.DISABLED), "MigrationDisabled", "nothing to migrate"),
        (
            status(Phase.FAILED, Failure(classification=FailureClass.LOCK_HELD, message="held by x")),
            "LockHeld",
            "held by x",
        ),
        (status(Phase.FAILED, Failure()), "Unknown", "the migration failed"),
    ],
)
def test_reason_and_message(given: RecordStatus, reason: str, message: str) -> None:
    ready = conditions(with_conditions(given, RecordStatus(), NOW))["Ready"]
    assert (ready.reason, ready.message, ready.observed_generation) == (reason, message, 3)


def test_the_time_moves_with_the_status_alone() -> None:
    first = with_conditions(status(Phase.PENDING), RecordStatus(), NOW)
    second = with_conditions(status(Phase.RUNNING), first, LATER)
    third = with_conditions(status(Phase.COMPLETE), second, LATER)
    assert {condition.last_transition_time for condition in second.conditions} == {NOW}
    moved = {kind for kind, condition in conditions(third).items() if condition.last_transition_time == LATER}
    assert moved == {"Ready", "MigrationComplete", "Progressing"}


def test_a_condition_that_lost_its_time_gets_one() -> None:
    first = with_conditions(status(Phase.PENDING), RecordStatus(), NOW)
    lost = replace(first, conditions=tuple(replace(item, last_transition_time=None) for item in first.conditions))
    again = with_conditions(status(Phase.PENDING), lost, LATER)
    assert {condition.last_transition_time for condition in again.conditions} == {LATER}


phases = st.none() | st.sampled_from(Phase)


@given(phases, phases)
def test_conditions_obey_the_rules_of_metav1(before: Phase | None, after: Phase | None) -> None:
    first = with_conditions(status(before), RecordStatus(), NOW)
    second = with_conditions(status(after), first, LATER)
    assert with_conditions(second, second, LATER + timedelta(hours=1)) == second
    for old, new in zip(first.conditions, second.conditions, strict=True):
        assert (old.type, new.reason[:1].isupper(), bool(new.message)) == (new.type, True, True)
        assert (new.last_transition_time == LATER) is (old.status != new.status)
