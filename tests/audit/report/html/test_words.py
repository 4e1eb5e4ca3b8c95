"""What the report says in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.builders import NOW
from webhook.audit.report.html.words import outcome
from webhook.audit.report.survey import Standing
from webhook.audit.report.wait import State, Wait
from webhook.policy.record import Completion, Rejection, RejectionDecision, RejectionEnd

HASH = "a" * 64
ENTRY = Rejection(hash=HASH[:16], reason="MigrationPending", decision=RejectionDecision.DENIED, first=NOW)
MIGRATED = (Completion(hash=HASH),)


@pytest.mark.parametrize(
    ("entry", "completions", "said"),
    [
        (ENTRY, (), "still waits"),
        (ENTRY, MIGRATED, "still waits"),
        (replace(ENTRY, passes=True), MIGRATED, "migrated; passes when it is sent again"),
        (replace(ENTRY, passes=True), (), "passes when it is sent again"),
        (replace(ENTRY, reason="RollbackRefused"), MIGRATED, "no migration lets it pass"),
        (replace(ENTRY, reason="GatewayContainerLost"), MIGRATED, "no migration lets it pass"),
        (
            replace(ENTRY, reason="RollbackRefused", passes=True),
            MIGRATED,
            "migrated; passes when it is sent again",
        ),
        (replace(ENTRY, decision=RejectionDecision.WARNED), MIGRATED, "let through unmigrated"),
        (
            replace(ENTRY, ended=RejectionEnd.MIGRATED, ended_at=NOW + timedelta(minutes=6)),
            MIGRATED,
            "migrated and let through after 6 min",
        ),
    ],
)
def test_what_came_of_a_rollout(entry: Rejection, completions: tuple[Completion, ...], said: str) -> None:
    standing = Standing(namespace="a", name="g", wait=Wait(state=State.BLOCKED, line=""), completions=completions)
    assert outcome(entry, standing) == said
