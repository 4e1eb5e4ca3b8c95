"""What became of a rollout that was turned away: seen from what is stored, once, until it is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NOW
from webhook.audit.rejections.ending import ABANDONED_AFTER, Standing, followed
from webhook.policy.record import (
    Completion,
    Mode,
    RecordStatus,
    Rejection,
    RejectionDecision,
    RejectionEnd,
    Rejections,
)

HASH, OLD_HASH, OTHER_HASH = "a" * 64, "0" * 64, "b" * 64
OLD, NEW, OTHER = "gateway:1", "gateway:2", "gateway:3"
LOST, INVALID = "GatewayContainerLost", "InvalidInputs"
DENIED, HELD, WARNED, NOTED, BYPASSED = RejectionDecision
ENTRY = Rejection(hash=HASH[:16], from_image=OLD, to_image=NEW, first=NOW, last=NOW, decision=DENIED)
BEFORE = Standing(OLD, OLD_HASH, mode=Mode.REJECT)
AFTER = Standing(NEW, HASH, mode=Mode.REJECT)
DONE = RecordStatus(completed_hashes=(Completion(hash=HASH), Completion(hash=OLD_HASH)))
NOTHING_DONE = RecordStatus()
LATER = NOW + timedelta(minutes=7)


def follow(
    standing: Standing, status: RecordStatus = NOTHING_DONE, /, *entries: Rejection, **tweak: object
) -> Rejection:
    kept = Rejections(count=1, newest=(replace(ENTRY, **tweak), *entries))  # type: ignore[arg-type]
    return followed(kept, status, standing, LATER).newest[0]


OPEN: RejectionEnd | None = None
CASES: dict[str, tuple[Standing, RecordStatus, RejectionDecision | None, RejectionEnd | None, bool]] = {
    "nothing happened": (BEFORE, NOTHING_DONE, DENIED, OPEN, False),
    "migrated, not tried again": (BEFORE, DONE, DENIED, OPEN, True),
    "migrated and admitted": (AFTER, DONE, DENIED, RejectionEnd.MIGRATED, True),
    "what an older version wrote": (AFTER, DONE, None, RejectionEnd.MIGRATED, True),
    "held": (replace(AFTER, paused=True, mode=Mode.HOLD), NOTHING_DONE, HELD, OPEN, False),
    "held, and migrated a moment ago": (replace(AFTER, paused=True), DONE, HELD, OPEN, True),
    "held, then released": (AFTER, DONE, HELD, RejectionEnd.MIGRATED, True),
    "held, then taken back": (BEFORE, NOTHING_DONE, HELD, RejectionEnd.ABANDONED, False),
    "another image": (replace(AFTER, image=OTHER, hash=OTHER_HASH), DONE, DENIED, RejectionEnd.ABANDONED, True),
    "deleted": (Standing(None, mode=Mode.REJECT), NOTHING_DONE, DENIED, RejectionEnd.ABANDONED, False),
    "let through by Warn": (replace(AFTER, mode=Mode.WARN), NOTHING_DONE, WARNED, RejectionEnd.OPENED, True),
    "noted by Audit": (replace(AFTER, mode=Mode.AUDIT), NOTHING_DONE, NOTED, RejectionEnd.OPENED, True),
    "let through by Warn, its pods migrated": (
        replace(AFTER, mode=Mode.WARN),
        DONE,
        WARNED,
        RejectionEnd.OPENED,
        True,
    ),
    "noted by Audit, its pods migrated": (replace(AFTER, mode=Mode.AUDIT), DONE, NOTED, RejectionEnd.OPENED, True),
    "disabled, then let through": (Standing(NEW), NOTHING_DONE, DENIED, RejectionEnd.OPENED, True),
    "disabled, not tried again": (Standing(OLD), NOTHING_DONE, DENIED, OPEN, True),
    "break-glass": (AFTER, NOTHING_DONE, BYPASSED, RejectionEnd.BYPASSED, False),
    "container taken out": (replace(BEFORE, image=""), NOTHING_DONE, DENIED, RejectionEnd.ABANDONED, False),
    "other inputs of the image are migrated": (
        replace(AFTER, hash=OTHER_HASH),
        RecordStatus(completed_hashes=(Completion(hash=OTHER_HASH),)),
        DENIED,
        RejectionEnd.MIGRATED,
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_ends(case: str) -> None:
    standing, status, decision, ended, passes = CASES[case]
    found = follow(standing, status, decision=decision)
    assert (found.ended, found.passes) == (ended, passes)
    assert found.ended_at == (LATER if ended else None)


def test_a_first_install_that_was_denied_waits_for_its_deployment() -> None:
    assert follow(Standing(None, mode=Mode.REJECT), from_image="").ended is None
    assert follow(AFTER, DONE, from_image="").ended is RejectionEnd.MIGRATED


def test_a_denial_that_break_glass_got_past_ended_so() -> None:
    used = replace(ENTRY, decision=BYPASSED)
    assert follow(AFTER, NOTHING_DONE, used).ended is RejectionEnd.BYPASSED


def test_where_the_image_stays_only_the_hash_tells() -> None:
    moved = replace(ENTRY, from_image=OLD, to_image=OLD)
    kept = Rejections(count=1, newest=(moved,))
    assert followed(kept, NOTHING_DONE, BEFORE, LATER).newest[0].ended is None
    stored = replace(BEFORE, hash=HASH)
    assert followed(kept, DONE, stored, LATER).newest[0].ended is RejectionEnd.MIGRATED


@pytest.mark.parametrize("wanted", [True, False])
def test_what_nobody_tries_any_more_is_given_up_unless_it_is_wanted(wanted: bool) -> None:
    status = RecordStatus(spec_hash=HASH if wanted else OTHER_HASH)
    last = LATER - ABANDONED_AFTER
    assert follow(BEFORE, status, last=last).ended is None
    late = follow(BEFORE, status, last=last - timedelta(seconds=1))
    assert late.ended is (None if wanted else RejectionEnd.ABANDONED)


def test_what_is_wanted_is_not_given_up_for_another_image_before_it() -> None:
    hotfix = replace(BEFORE, image=OTHER, hash=OTHER_HASH)
    wanted = RecordStatus(spec_hash=HASH)
    assert follow(hotfix, wanted).ended is None
    assert follow(AFTER, replace(DONE, spec_hash=HASH)).ended is RejectionEnd.MIGRATED
    assert follow(hotfix, replace(wanted, spec_hash=OTHER_HASH)).ended is RejectionEnd.ABANDONED
    assert follow(Standing(None, mode=Mode.REJECT), wanted).ended is RejectionEnd.ABANDONED, "it is gone"


@pytest.mark.parametrize(
    ("decision", "ended"),
    [
        (WARNED, RejectionEnd.OPENED),
        (NOTED, RejectionEnd.OPENED),
        (BYPASSED, RejectionEnd.BYPASSED),
        (HELD, RejectionEnd.ABANDONED),
    ],
)
@pytest.mark.parametrize("next_one", [replace(BEFORE, image=OTHER, hash=OTHER_HASH), Standing(None)])
def test_what_was_let_through_is_not_given_up_since_another_image_followed(
    next_one: Standing, decision: RejectionDecision, ended: RejectionEnd
) -> None:
    assert follow(next_one, decision=decision).ended is ended


STAYS = replace(BEFORE, hash=HASH)
WANTED = replace(DONE, spec_hash=HASH)


@pytest.mark.parametrize("to_image", [OLD, NEW, ""])
@pytest.mark.parametrize("status", [NOTHING_DONE, DONE, WANTED])
def test_a_container_that_was_not_to_be_hidden_is_no_success_though_its_hash_is_stored(
    status: RecordStatus, to_image: str
) -> None:
    lost = follow(STAYS, status, reason=LOST, to_image=to_image)
    assert (lost.ended, lost.passes) == (None, False)
    late = follow(STAYS, status, reason=LOST, to_image=to_image, last=LATER - ABANDONED_AFTER * 2)
    assert late.ended is RejectionEnd.ABANDONED
    elsewhere = follow(AFTER, status, reason=LOST, to_image=to_image)
    assert elsewhere.ended is RejectionEnd.ABANDONED
    warns = replace(STAYS, mode=Mode.WARN)
    assert follow(warns, status, reason=LOST, to_image=to_image).passes
    warned = follow(warns, status, reason=LOST, to_image=to_image, decision=WARNED)
    assert warned.ended is RejectionEnd.OPENED


@pytest.mark.parametrize("status", [NOTHING_DONE, DONE, WANTED])
def test_inputs_with_a_problem_are_not_taken_for_sound_ones_of_their_hash(status: RecordStatus) -> None:
    same = follow(STAYS, status, reason=INVALID, to_image=OLD)
    assert (same.ended, same.passes) == (None, False)
    late = follow(STAYS, status, reason=INVALID, to_image=OLD, last=LATER - ABANDONED_AFTER * 2)
    assert late.ended is RejectionEnd.ABANDONED
    mended = RecordStatus(completed_hashes=(Completion(hash=OTHER_HASH),))
    assert follow(replace(AFTER, hash=OTHER_HASH), mended, reason=INVALID).ended is RejectionEnd.MIGRATED


@pytest.mark.parametrize(
    ("newest", "passes"),
    [
        (Completion(hash=OTHER_HASH, image=OTHER, database="a"), False),
        (Completion(hash=OTHER_HASH, image=NEW, database="a"), True),
        (Completion(hash=OTHER_HASH, image=OTHER, database="b"), True),
    ],
    ids=["ahead", "the same image", "another database"],
)
def test_a_rollback_does_not_pass_where_none_may(newest: Completion, passes: bool) -> None:
    status = RecordStatus(completed_hashes=(newest, Completion(hash=HASH, image=NEW, database="a")))
    assert follow(BEFORE, status).passes
    assert follow(replace(BEFORE, newest_only=True), status).passes is passes


standings = st.builds(
    Standing,
    image=st.sampled_from([None, "", OLD, NEW, OTHER]),
    hash=st.sampled_from(["", OLD_HASH, HASH, OTHER_HASH]),
    paused=st.booleans(),
    mode=st.none() | st.sampled_from(Mode),
    newest_only=st.booleans(),
)
statuses = st.builds(
    RecordStatus,
    spec_hash=st.sampled_from(["", HASH, OTHER_HASH]),
    completed_hashes=st.lists(st.sampled_from([HASH, OLD_HASH, OTHER_HASH]), unique=True).map(
        lambda found: tuple(Completion(hash=item) for item in found)
    ),
)
entries = st.builds(
    replace,
    st.just(ENTRY),
    decision=st.none() | st.sampled_from(RejectionDecision),
    hash=st.sampled_from(["", HASH[:16], OTHER_HASH[:16]]),
    from_image=st.sampled_from(["", OLD]),
    to_image=st.sampled_from(["", OLD, NEW]),
    last=st.none() | st.integers(0, 72).map(lambda hours: NOW - timedelta(hours=hours)),
)


@given(st.lists(entries, max_size=4), st.lists(st.tuples(standings, statuses), min_size=1, max_size=4))
def test_an_end_is_final_and_a_second_look_changes_nothing(
    newest: list[Rejection], moments: list[tuple[Standing, RecordStatus]]
) -> None:
    kept = Rejections(count=9, newest=tuple(newest))
    for number, (standing, status) in enumerate(moments):
        now = LATER + timedelta(minutes=number)
        after = followed(kept, status, standing, now)
        assert followed(after, status, standing, now + timedelta(seconds=1)) is after
        for old, new in zip(kept.newest, after.newest, strict=True):
            assert replace(new, passes=old.passes, ended=old.ended, ended_at=old.ended_at) == old
            assert (new.ended is None) == (new.ended_at is None)
            if old.ended is not None:
                assert (new.ended, new.ended_at) == (old.ended, old.ended_at)
        kept = after
