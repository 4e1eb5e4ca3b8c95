"""What an Event says of a rollout that was turned away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.audit.rejections.test_ledger import rejected
from webhook.audit.rejections.notices import notice_of
from webhook.policy.record import RejectionDecision

REASONS = {
    None: ("Warning", "RolloutDenied"),
    RejectionDecision.DENIED: ("Warning", "RolloutDenied"),
    RejectionDecision.HELD: ("Normal", "RolloutHeld"),
    RejectionDecision.WARNED: ("Warning", "RolloutWarned"),
    RejectionDecision.NOTED: ("Normal", "RolloutNoted"),
    RejectionDecision.BYPASSED: ("Warning", "BypassUsed"),
}


@pytest.mark.parametrize("decision", [None, *RejectionDecision])
def test_each_decision_has_its_reason(decision: RejectionDecision | None) -> None:
    found = notice_of(replace(rejected(), decision=decision))
    assert (found.kind, found.reason) == REASONS[decision]
    for part in ("gateway:1 to gateway:2", "a" * 16, "helm", "MigrationPending"):
        assert part in found.note


def test_a_bypass_tells_its_reason() -> None:
    used = replace(rejected(), decision=RejectionDecision.BYPASSED, bypass_reason="outage 4711")
    assert notice_of(used).note.endswith(": outage 4711")


def test_how_often_is_left_to_the_event_to_count() -> None:
    assert notice_of(replace(rejected(seconds=5), times=7)) == notice_of(rejected())


def test_a_hostile_request_makes_one_safe_line() -> None:
    text = "\x1b[31m\u202ejdbc:mysql://root:hunter2@db/ssg " + "x" * 10_000
    hostile = replace(rejected(user=text), from_image=text, to_image=text, bypass_reason=text)
    note = notice_of(hostile).note
    assert note.isprintable()
    assert len(note) <= 1024
    assert "hunter2" not in note
