"""What happened, on one axis."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from tests.support.builders import NOW
from tests.support.surveys import small
from webhook.audit.report.html.timeline import WIDTH, Axis, axis_of, axis_of_wait, timeline, told
from webhook.audit.report.survey import Standing

HOUR = Axis(NOW, timedelta(hours=1))


def named(name: str) -> Standing:
    return next(standing for standing in small().standings if standing.name == name)


def test_times_lie_on_the_axis_in_their_order() -> None:
    places = [HOUR.at(NOW - timedelta(minutes=minutes)) for minutes in (90, 60, 30, 0, -5)]
    assert places == sorted(places)
    assert places[0] == places[1] == WIDTH - places[-1]
    assert places[2] == WIDTH // 2


def test_each_kind_of_mark_is_one_path() -> None:
    drawn = timeline(named("edge"), HOUR)
    assert len(re.findall(r'class="r" d="((?:M\d+ \d+v14)+)"', drawn)) == 1
    assert 'class="a failed"' in drawn
    assert 'class="x"' in drawn
    assert 'class="m"' not in drawn  # nine days ago: not within the hour


def test_what_is_older_than_the_axis_is_told_in_words() -> None:
    story = told(named("edge"), HOUR)
    assert story.startswith("payments/edge: turned away 37 times, last 2 min ago; migrated once, 9 d ago; ")
    assert story.endswith("; the last attempt failed")
    assert told(named("ledger"), HOUR).endswith("an attempt runs for 40 s")
    assert told(named("soap"), HOUR) == "legacy/soap: nothing has happened"


def test_the_axis_of_all_is_not_stretched_by_one_old_event() -> None:
    result = small()
    assert axis_of(result).length == timedelta(days=14)
    assert axis_of(replace(result, standings=())).length == timedelta(minutes=10)


def test_the_axis_of_a_wait_begins_before_it() -> None:
    assert axis_of_wait(named("ledger"), NOW).length == timedelta(minutes=10)
    assert axis_of_wait(named("shop"), NOW).length == timedelta(hours=6)
