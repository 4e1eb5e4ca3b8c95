"""What the record keeps of rollouts turned away."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.audit.rejections.test_ledger import rejected
from tests.support.builders import NOW
from webhook.audit.rejections.rejection import NEWCOMERS, fold
from webhook.policy.record import (
    KEPT,
    RejectionDecision,
    RejectionEnd,
    Rejections,
)

THROUGH = [item for item in RejectionDecision if item is not RejectionDecision.DENIED]


def test_the_newest_twenty_distinct_ones_are_kept_and_all_are_counted() -> None:
    news = [rejected(user=str(number), seconds=30 * number) for number in range(50)]
    random.Random(1).shuffle(news)
    kept = fold(Rejections(), news)
    assert [entry.user for entry in kept.newest] == [str(number) for number in range(49, 29, -1)]
    assert kept.count == 50
    assert (kept.first, kept.last) == (NOW, NOW + timedelta(seconds=30 * 49))


def flood(kept: Rejections, begin: int, seconds: int) -> Rejections:
    """Fold ten invented users a second into a record."""
    made_up = [
        rejected(user=f"user-{at}-{n}", seconds=at) for at in range(begin, begin + seconds) for n in range(10)
    ]
    return fold(kept, made_up)


def test_a_flood_is_counted_and_pushes_out_little() -> None:
    real = [rejected(user=f"real-{number}", seconds=30 * number) for number in range(KEPT)]
    begin = 30 * KEPT + 60
    kept = flood(fold(Rejections(), real), begin, 60)
    pushed_out = KEPT - sum(entry.user.startswith("real") for entry in kept.newest)
    assert pushed_out == NEWCOMERS
    assert (kept.count, kept.last) == (KEPT + 600, NOW + timedelta(seconds=begin + 59))
    # One that is there already is counted as ever, and after a minute there is room for others.
    known = kept.newest[-1]
    again = fold(kept, [rejected(user=known.user, seconds=begin + 59)])
    assert (again.newest[0].user, again.newest[0].count) == (known.user, known.count + 1)
    later = fold(again, [rejected(user="late", seconds=begin + 60)])
    assert later.newest[0].user == "late"


@pytest.mark.parametrize("decision", THROUGH)
def test_a_flood_of_made_up_denials_keeps_out_nothing_that_went_through(decision: RejectionDecision) -> None:
    real = [rejected(user=f"real-{number}", seconds=30 * number) for number in range(KEPT)]
    begin = 30 * KEPT + 60
    kept = flood(fold(Rejections(), real), begin, 30)
    went = [
        replace(rejected(user=f"jane-{number}", seconds=begin + 30), decision=decision)
        for number in range(NEWCOMERS + 1)
    ]
    kept = fold(kept, went)
    found = [entry.user for entry in kept.newest if entry.decision is decision]
    assert found == [f"jane-{number}" for number in reversed(range(NEWCOMERS))], "they have the same bound"
    assert kept.count == KEPT + 300 + NEWCOMERS + 1
    again = fold(kept, [rejected(user="made-up", seconds=begin + 31)])
    assert again.newest == kept.newest, "nor do they make room for others"


def test_a_record_with_room_takes_in_what_comes_however_fast() -> None:
    kept = fold(Rejections(), [rejected(user=str(number)) for number in range(KEPT + 1)])
    assert [entry.user for entry in kept.newest] == [str(number) for number in range(KEPT - 1, -1, -1)]
    assert kept.count == KEPT + 1


def test_the_same_again_is_counted_and_comes_first() -> None:
    kept = fold(Rejections(), [rejected(user="a"), rejected(user="b", seconds=1)])
    kept = fold(kept, [replace(rejected(user="a", seconds=2), times=4)])
    assert [(entry.user, entry.count) for entry in kept.newest] == [("a", 5), ("b", 1)]
    assert kept.count == 6
    assert (kept.newest[0].first, kept.newest[0].last) == (NOW, NOW + timedelta(seconds=2))


def test_a_story_that_begins_anew_is_as_old_as_its_first_try_since() -> None:
    kept = fold(Rejections(), [rejected()])
    ended = replace(kept.newest[0], ended=RejectionEnd.ABANDONED, ended_at=NOW + timedelta(seconds=10))
    kept = replace(kept, newest=(ended,))
    late = fold(kept, [rejected(seconds=5)]).newest[0]
    assert (late.ended, late.first, late.count) == (RejectionEnd.ABANDONED, NOW, 2)
    anew = fold(kept, [rejected(seconds=60)])
    at = NOW + timedelta(seconds=60)
    entry = anew.newest[0]
    assert (entry.ended, entry.first, entry.last, entry.count) == (None, at, at, 2)
    assert anew.first == NOW, "the first of all"


def test_older_news_do_not_turn_back_the_clock() -> None:
    kept = fold(fold(Rejections(), [rejected(seconds=10)]), [rejected(seconds=5)])
    assert (kept.first, kept.last) == (NOW + timedelta(seconds=5), NOW + timedelta(seconds=10))
    assert (kept.newest[0].first, kept.newest[0].last) == (kept.first, kept.last)


def test_in_bulk_or_one_by_one_is_the_same() -> None:
    news = [rejected(user=str(number % 7), seconds=number) for number in range(30)]
    one_by_one = Rejections()
    for item in news:
        one_by_one = fold(one_by_one, [item])
    assert fold(Rejections(), news) == one_by_one
    assert one_by_one.count == sum(entry.count for entry in one_by_one.newest) == 30


def test_hostile_names_are_made_short_and_printable_and_still_found_again() -> None:
    evil = replace(rejected(user="\x1b[31m\u202e" + "x" * 10_000), to_image="i\nmage" + "y" * 10_000)
    kept = fold(fold(Rejections(), [evil]), [evil])
    assert [entry.count for entry in kept.newest] == [2]
    entry = kept.newest[0]
    assert entry.user.isprintable()
    assert entry.to_image.isprintable()
    assert len(entry.user) <= 128
    assert len(entry.to_image) <= 256
