"""Leases as objects: read whatever they hold, and free only when nobody can lead any more."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.errors import InvalidObjectError
from webhook.kube.lease.stored import Lease, Sighting, holding, later, micro_time, read_lease, releasing, sight

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["holderIdentity", "leaseDurationSeconds", "leaseTransitions", "renewTime", "acquireTime"]


def lease(**spec: Any) -> Lease:
    return read_lease(json.dumps({"metadata": {"resourceVersion": "1"}, "spec": spec}).encode())


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"7", b"{}", b'{"metadata": {}}', b"[" * 100_000, b"\xff", b'{"metadata": 1}']
)
def test_what_cannot_be_overwritten_is_no_lease(body: bytes) -> None:
    with pytest.raises(InvalidObjectError):
        read_lease(body)


@given(spec=JSON | st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_spec_is_read_and_can_be_taken(spec: Any) -> None:
    body = {"metadata": {"resourceVersion": "7", "labels": {"team": "a"}}, "spec": spec}
    read = read_lease(json.dumps(body).encode())
    assert read.seconds is None or 1 <= read.seconds <= 3600
    taken = holding(read, ("gate", "x"), "me", 14.5, NOW, taking=True)
    assert taken["metadata"] == {"resourceVersion": "7", "labels": {"team": "a"}}
    again = read_lease(json.dumps(taken).encode())
    assert (again.holder, again.seconds, again.transitions) == ("me", 15, read.transitions + 1)


def test_renewing_changes_nothing_else() -> None:
    taken = holding(None, ("gate", "x"), "me", 15, NOW, taking=True)
    assert taken["metadata"] == {"namespace": "gate", "name": "x"}
    assert taken["spec"]["leaseTransitions"] == 0
    stored = {**taken, "metadata": {"resourceVersion": "1"}, "spec": {**taken["spec"], "strategy": "Other"}}
    renewed = holding(
        read_lease(json.dumps(stored).encode()), ("gate", "x"), "me", 15, NOW + timedelta(seconds=4), taking=False
    )
    assert renewed == {**stored, "spec": {**stored["spec"], "renewTime": "2026-11-22T13:00:04.000000Z"}}


def test_given_up_as_client_go_does() -> None:
    held = lease(holderIdentity="me", leaseTransitions=3, renewTime="a", acquireTime="b", leaseDurationSeconds=15)
    given_up = releasing(held, NOW)
    assert given_up["spec"] == {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "leaseTransitions": 3,
        "acquireTime": "b",
        "renewTime": "2026-11-22T13:00:00.000000Z",
    }
    read = read_lease(json.dumps(given_up).encode())
    assert read.released
    assert sight(Sighting(held.life, 0, 15), read, 1, 15) is None


def test_a_rival_is_gone_when_it_stood_still_for_its_own_duration() -> None:
    rival = lease(holderIdentity="rival", renewTime="1", leaseDurationSeconds=30)
    seen = sight(None, rival, 100, 15)
    assert seen == Sighting(rival.life, 100, 30)
    assert sight(seen, rival, 129, 15) is seen
    moved = sight(seen, lease(holderIdentity="rival", renewTime="2", leaseDurationSeconds=30), 129, 15)
    assert moved is not None
    assert moved.free_at == 159


@pytest.mark.parametrize("seconds", [None, 0, -1, True, "15", 10**9, 1.5])
def test_a_duration_that_makes_no_sense_is_as_long_as_ours(seconds: object) -> None:
    seen = sight(None, lease(holderIdentity="rival", leaseDurationSeconds=seconds), 0, 15)
    assert seen is not None
    assert seen.seconds == 15


def test_one_that_vanished_is_waited_for_and_one_never_seen_is_not() -> None:
    rival = sight(None, lease(holderIdentity="rival", renewTime="1"), 0, 15)
    gone = sight(rival, None, 14, 15)
    assert gone is not None
    assert gone.free_at == 29
    assert sight(gone, lease(), 20, 15) is gone
    assert sight(None, None, 0, 15) is None
    assert sight(None, lease(), 0, 15) is None
    assert sight(gone, lease(holderIdentity="", renewTime="3"), 20, 15) is None


@given(
    events=st.lists(st.tuples(st.floats(0, 20), st.sampled_from(["renew", "gone", "wiped", "look"])), max_size=30)
)
def test_never_free_within_the_duration_of_a_renewal_that_was_seen(events: list[tuple[float, str]]) -> None:
    """A rival renews now and then; a candidate looks after every step; the Lease may vanish in between."""
    now, renewed = 0.0, 0
    state: Lease | None = lease(holderIdentity="rival", renewTime="0", leaseDurationSeconds=15)
    seen = sight(None, state, now, 15)
    changed = now
    for seconds, what in events:
        now += seconds
        match what:
            case "renew":
                renewed += 1
                state = lease(holderIdentity="rival", renewTime=str(renewed), leaseDurationSeconds=15)
                changed = now
            case "gone" | "wiped" if state is not None and state.holder:
                state = None if what == "gone" else lease()
                changed = now  # the rival may have renewed just before
            case _:
                pass
        seen = sight(seen, state, now, 15)
        assert seen is not None
        assert seen.free_at == changed + 15


@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=20))
def test_what_is_written_always_changes(moments: list[datetime]) -> None:
    last: datetime | None = None
    for moment in moments:
        stamp = later(moment, last)
        assert last is None or stamp > last
        assert stamp >= moment
        last = stamp


def test_times_are_written_in_utc() -> None:
    moment = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert micro_time(moment) == "2026-11-22T13:00:00.000000Z"
