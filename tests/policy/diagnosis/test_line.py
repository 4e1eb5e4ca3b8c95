"""Lines about what could not be looked at."""

import pytest

from webhook.policy.diagnosis.line import Check, Level, Unread, first_unread, ok, unknown


def test_what_may_not_be_read_names_the_right() -> None:
    line = unknown(Check.LEADER, "whether a controller leads", Unread("get leases.coordination.k8s.io x"))
    assert line.level is Level.UNKNOWN
    assert (
        line.message == "whether a controller leads cannot be told: you may not get leases.coordination.k8s.io x"
    )
    assert line.advice


def test_what_could_not_be_read_keeps_the_words_of_the_error() -> None:
    line = unknown(Check.LEADER, "whether a controller leads", Unread(cause="GET /x: 503 etcd is down"))
    assert line.level is Level.UNKNOWN
    assert line.message == "whether a controller leads cannot be told: GET /x: 503 etcd is down"
    assert "granted" not in line.advice


def test_the_first_that_could_not_be_read_is_told() -> None:
    assert first_unread(1, Unread("a"), Unread("b")) == Unread("a")
    with pytest.raises(StopIteration):
        first_unread(1)


def test_what_is_well_needs_no_advice() -> None:
    assert ok(Check.LEADER, "x leads").advice == ""
