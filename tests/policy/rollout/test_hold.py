"""Hold mode: what waits is stored, but paused."""

from typing import Any

import jsonpatch
import pytest

from tests.support.builders import merged, record
from tests.support.rollouts import GONE, HASH, NEXT, NEXT_HASH, OLD, completed, paused, rollout
from webhook.policy.decision import Decision
from webhook.policy.inputs import short
from webhook.policy.reasons import Reason
from webhook.policy.rollout.hold import hold
from webhook.policy.rollout.verdict import decide

HELD = "schemagate.io/held"
MARK = short(NEXT_HASH)
STORED = record(spec={"mode": "Hold", "firstInstall": "Migrate"})


def held(new: dict[str, Any], old: dict[str, Any] | None, stored: Any = STORED) -> Decision:
    facts = rollout(new, old, stored=stored)
    return hold(facts, decide(facts))


def apply(base: dict[str, Any], decision: Decision) -> dict[str, Any]:
    found: dict[str, Any] = jsonpatch.apply_patch(base, [step.to_json() for step in decision.patch])
    return found


def marked(base: dict[str, Any]) -> dict[str, Any]:
    return {**base, "metadata": base["metadata"] | {"annotations": {HELD: MARK}}}


PAUSED: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "an update": (NEXT, OLD),
    "a first install": (NEXT, None),
    "with other annotations": (merged(NEXT, {"metadata": {"annotations": {"a/b": "c"}}}), OLD),
    "with an old mark": (merged(NEXT, {"metadata": {"annotations": {HELD: "0" * 16}}}), OLD),
    "somebody resumes it": (NEXT, paused(NEXT, **{HELD: MARK})),
    "paused by us for another template": (paused(NEXT, **{HELD: "0" * 16}), paused(OLD, **{HELD: "0" * 16})),
}


@pytest.mark.parametrize(("new", "old"), PAUSED.values(), ids=PAUSED.keys())
def test_what_waits_is_paused_and_marked(new: dict[str, Any], old: dict[str, Any] | None) -> None:
    found = held(new, old)
    assert (found.allowed, found.reason, found.message) == (True, Reason.HELD, "")
    after = apply(new, found)
    notes = (new["metadata"].get("annotations") or {}) | {HELD: MARK}
    assert after == merged(new, {"spec": {"paused": True}, "metadata": {"annotations": notes}})
    again = held(after, old)
    assert (again.patch, again.allowed) == ((), True)


def test_the_user_is_told_once() -> None:
    found = held(NEXT, OLD)
    assert found.warnings == (
        f"schemagate: rollout held (paused) until migration {MARK} is complete: schemagate status ssg -n team-a",
    )
    assert held(apply(NEXT, found), OLD).warnings == ()
    assert found.audit["decision"] == "hold"


def test_what_a_user_paused_is_left_to_the_user() -> None:
    found = held(paused(NEXT), OLD)
    assert (found.reason, found.patch) == (Reason.HELD, ())


def test_what_is_complete_is_not_held() -> None:
    stored = merged(completed(NEXT_HASH, HASH), {"spec": {"mode": "Hold"}})
    found = held(NEXT, OLD, stored)
    assert (found.reason, found.patch) == (Reason.MIGRATION_COMPLETE, ())


@pytest.mark.parametrize("mode", ["Reject", "Warn", "Audit"])
@pytest.mark.parametrize(("new", "old"), [(NEXT, OLD), (GONE, OLD), (OLD, OLD), (NEXT, None)])
def test_in_other_modes_the_mutating_webhook_does_and_says_nothing(
    new: dict[str, Any], old: dict[str, Any] | None, mode: str
) -> None:
    found = held(new, old, record(spec={"mode": mode}))
    assert (found.allowed, found.message, found.warnings, found.patch) == (True, "", (), ())


def test_a_bypass_that_is_not_honoured_is_told_with_the_hold() -> None:
    broken = merged(NEXT, {"metadata": {"annotations": {"schemagate.io/bypass-reason": "outage"}}})
    found = held(broken, OLD)
    assert [line.partition(":")[0] for line in found.warnings] == ["schemagate", "schemagate"]
    assert found.warnings[1] == (
        f"schemagate: bypass not honoured: schemagate.io/bypass-hash is empty, it must be {MARK}"
    )
    assert found.audit["bypass"] == "refused-NoHash"


STALE: dict[str, tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]] = {
    "a held one that may go on": (marked(NEXT), paused(NEXT, **{HELD: MARK}), completed(NEXT_HASH, HASH)),
    "a held one that Warn lets go on": (marked(NEXT), paused(NEXT, **{HELD: MARK}), record(spec={"mode": "Warn"})),
    "a mark that somebody wrote": (marked(NEXT), OLD, completed(NEXT_HASH)),
    "paused by a person beside a mark": (paused(OLD, **{HELD: MARK}), marked(OLD), STORED),
    "a new one with a mark": (marked(OLD), None, completed(HASH)),
}


@pytest.mark.parametrize(("new", "old", "stored"), STALE.values(), ids=STALE.keys())
def test_a_mark_where_nothing_is_held_is_taken_off(
    new: dict[str, Any], old: dict[str, Any] | None, stored: dict[str, Any]
) -> None:
    after = apply(new, held(new, old, stored))
    assert HELD not in after["metadata"]["annotations"]
    assert after["spec"] == new["spec"]
    assert held(after, old, stored).patch == ()


DUMPED: dict[str, tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]] = {
    "restored, and migrated meanwhile": (paused(NEXT, **{HELD: MARK}), None, completed(NEXT_HASH, HASH)),
    "written over what runs": (paused(NEXT, **{HELD: MARK}), NEXT, completed(NEXT_HASH, HASH)),
    "written over what a person paused": (paused(NEXT, **{HELD: MARK}), paused(NEXT), completed(NEXT_HASH)),
    "restored where Warn holds now": (paused(NEXT, **{HELD: MARK}), None, record(spec={"mode": "Warn"})),
}


@pytest.mark.parametrize(("new", "old", "stored"), DUMPED.values(), ids=DUMPED.keys())
def test_what_comes_with_our_pause_and_our_mark_stays_ours_to_release(
    new: dict[str, Any], old: dict[str, Any] | None, stored: dict[str, Any]
) -> None:
    """Without the mark nobody would ever end the pause."""
    assert HELD in apply(new, held(new, old, stored))["metadata"]["annotations"]


def test_a_dump_that_nobody_guards_any_more_keeps_both() -> None:
    facts = rollout(paused(NEXT, **{HELD: MARK}), None, governed=False)
    assert hold(facts, decide(facts)).patch == ()


def test_the_mark_of_what_stays_held_stays() -> None:
    found = held(paused(NEXT, **{HELD: MARK, "a/b": "c"}), paused(NEXT, **{HELD: MARK}))
    assert found.patch == ()


def test_a_lost_container_is_not_held() -> None:
    assert held(GONE, OLD).patch == ()
