"""Times as a reader compares them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.support.builders import NOW
from webhook.audit.report.html.moments import absolute, ago, both, span


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59.9), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(hours=1, seconds=59), "1 h"),
        (timedelta(hours=25), "1 d 1 h"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_lengths(length: timedelta, said: str) -> None:
    assert span(length) == said


def test_times_are_in_utc() -> None:
    there = datetime(2026, 11, 22, 14, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    assert absolute(there) == "2026-11-22 12:00:05Z"


def test_a_time_is_told_in_both_ways() -> None:
    time = NOW - timedelta(minutes=3)
    assert ago(time, NOW) == '<time datetime="2026-11-22 11:57:00Z" title="2026-11-22 11:57:00Z">3 min ago</time>'
    assert both(time, NOW) == "<time>2026-11-22 11:57:00Z</time> <small>3 min ago</small>"
    assert ago(None, NOW) == both(None, NOW) == '<span class="none">-</span>'
