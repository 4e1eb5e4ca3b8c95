"""The elector: one leader at most, whatever network, processes and clocks do; and one again when they are well."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kube.leases import LATE, LeaseServer, Network, Replica
from tests.support.virtual import World, never
from webhook.errors import NotLeadingError, SchemagateError, StartError
from webhook.kube.lease import steady

DEADLINE = 10.0
DURATION = 15.0
RENEW = 4.0


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()
    assert not [error for loop in world.processes for error in loop.errors]


@pytest.fixture
def server(world: World) -> LeaseServer:
    return LeaseServer(world)


@pytest.fixture
def one(world: World, server: LeaseServer) -> Replica:
    """A replica that leads."""
    replica = Replica(world, server, "one").start()
    world.advance(1)
    assert replica.elector.held()
    return replica


@pytest.fixture
def two(world: World, server: LeaseServer, one: Replica) -> Replica:
    """A replica that waits; its wall clock is an hour ahead."""
    replica = Replica(world, server, "two", skew=3600).start()
    world.advance(1)
    assert not replica.elector.held()
    return replica


def test_the_first_creates_the_lease_and_keeps_it(world: World, server: LeaseServer, one: Replica) -> None:
    world.advance(300)
    assert one.changes == [True]
    assert len(one.starts) == 1
    spec = server.spec
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("one", 15, 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", spec["renewTime"])
    assert spec["acquireTime"] < spec["renewTime"]
    assert {method for method, _ in server.requests[2:]} == {"PUT"}
    assert 70 <= len(server.requests) <= 80  # one every four seconds


def test_others_wait_however_wrong_their_clock_is(world: World, one: Replica, two: Replica) -> None:
    world.advance(600)
    assert one.elector.held()
    assert two.starts == []


def test_given_up_it_is_taken_at_the_next_look(
    world: World, server: LeaseServer, one: Replica, two: Replica
) -> None:
    one.stop()
    world.advance(0.5)
    assert one.task is not None
    assert one.task.cancelled()
    assert one.changes == [True, False]
    assert (server.spec["holderIdentity"], server.spec["leaseDurationSeconds"]) == ("", 1)
    assert one.elector.remaining() == 0
    world.advance(RENEW)
    assert two.elector.held()
    assert server.spec["holderIdentity"] == "two"
    assert server.spec["leaseTransitions"] == 1


@pytest.mark.parametrize("network", ["hang", "deaf", "late", "fail", "forbidden"])
def test_work_is_cancelled_at_the_deadline_whatever_hangs(
    world: World, server: LeaseServer, one: Replica, two: Replica, network: Network
) -> None:
    world.advance(9)
    cut = world.now
    one.client.network = network
    world.advance(DEADLINE)
    assert one.stops[0] <= cut + DEADLINE
    assert not one.elector.held()
    with pytest.raises(NotLeadingError):
        one.elector.fence()
    one.client.network = "hang"
    world.advance(DURATION + RENEW + LATE)
    assert two.elector.held()
    assert max(one.writes) <= cut + DEADLINE < min(two.writes)
    assert server.spec["leaseTransitions"] == 1


def test_a_rivals_expiry_is_waited_for_exactly(world: World, one: Replica, two: Replica) -> None:
    world.advance(30)
    one.loop.frozen = True
    server = one.client.server
    renewed = server.spec["renewTime"]
    world.advance(DURATION - RENEW)
    assert server.spec["renewTime"] == renewed
    world.advance(2 * RENEW)  # from the last sighting of a change, which a look makes at most RENEW late
    assert two.elector.held()


def test_a_frozen_leader_knows_at_once_when_it_wakes(world: World, one: Replica, two: Replica) -> None:
    one.loop.frozen = True
    world.advance(DEADLINE + 0.1)
    assert not one.elector.held()  # computed, not told
    world.advance(60)
    assert two.elector.held()
    writes = len(one.writes)
    one.loop.frozen = False
    world.advance(30)
    assert len(one.writes) == writes
    assert one.changes == [True, False]
    assert two.elector.held()


def test_a_short_hang_costs_nothing(world: World, one: Replica, two: Replica) -> None:
    one.client.network = "hang"
    world.advance(5)
    one.client.network = "ok"
    world.advance(60)
    assert one.changes == [True]
    assert two.starts == []


def test_a_renewal_whose_answer_was_lost_is_still_ours(world: World, one: Replica, two: Replica) -> None:
    one.client.network = "deaf"
    world.advance(6)
    one.client.network = "ok"
    world.advance(60)
    assert one.changes == [True]


def test_a_label_set_by_somebody_costs_nothing_and_stays(world: World, server: LeaseServer, one: Replica) -> None:
    assert server.stored is not None
    server.put({**server.stored, "metadata": {**server.stored["metadata"], "labels": {"team": "a"}}})
    world.advance(60)
    assert one.changes == [True]
    assert server.stored["metadata"]["labels"] == {"team": "a"}


def test_somebody_who_changes_it_before_every_renewal_ends_the_term(world: World, one: Replica) -> None:
    server = one.client.server

    def touch(method: str) -> None:
        if method == "PUT":
            assert server.stored is not None
            server.put(server.stored)

    one.client.before = [touch] * 1000
    world.advance(DEADLINE)
    assert one.changes == [True, False]
    assert len(server.requests) < 100


def test_a_lease_that_another_wrote_over_ends_the_term_at_the_next_renewal(
    world: World, server: LeaseServer, one: Replica
) -> None:
    assert server.stored is not None
    server.put({**server.stored, "spec": {**server.spec, "holderIdentity": "kubectl"}})
    world.advance(RENEW + 1)
    assert one.changes == [True, False]
    world.advance(DURATION + RENEW)
    assert one.elector.held()
    assert server.spec["leaseTransitions"] == 1


@pytest.mark.parametrize("manifest", [None, {}, {"spec": None}, {"spec": {"holderIdentity": 7}}])
def test_a_lease_that_vanishes_under_its_holder_is_not_free_at_once(
    world: World, server: LeaseServer, one: Replica, two: Replica, manifest: dict[str, Any] | None
) -> None:
    world.advance(10)
    one.loop.frozen = True
    server.put(manifest)
    world.advance(DEADLINE, watch=lambda: _alone([one, two]))
    assert not two.elector.held()
    world.advance(DURATION, watch=lambda: _alone([one, two]))
    assert two.elector.held()


@pytest.mark.parametrize(
    "manifest", [{}, {"spec": None}, {"spec": []}, {"spec": {"holderIdentity": 7, "leaseTransitions": "x"}}]
)
def test_one_that_makes_no_sense_is_written_over(
    world: World, server: LeaseServer, manifest: dict[str, Any]
) -> None:
    server.put({**manifest, "metadata": {"labels": {"team": "a"}}})
    one = Replica(world, server, "one").start()
    world.advance(1)
    assert one.elector.held()
    assert server.stored is not None
    assert server.stored["metadata"]["labels"] == {"team": "a"}
    assert server.spec["holderIdentity"] == "one"


def test_the_own_name_of_a_predecessor_is_a_rivals(world: World, server: LeaseServer, one: Replica) -> None:
    one.loop.frozen = True
    again = Replica(world, server, "one").start()
    world.advance(DURATION - 1, watch=lambda: _alone([one, again]))
    assert not again.elector.held()
    world.advance(3)
    assert again.elector.held()


class BrokenError(Exception):
    """The work breaks."""


def test_work_that_fails_gives_the_lease_up(world: World, server: LeaseServer) -> None:
    async def fail() -> None:
        await asyncio.sleep(6)
        raise BrokenError

    one = Replica(world, server, "one").start(fail)
    world.advance(8)
    assert one.task is not None
    assert isinstance(one.task.exception(), BrokenError)
    assert server.spec["holderIdentity"] == ""
    assert one.changes == [True, False]


def test_work_that_ends_ends_the_run(world: World, server: LeaseServer) -> None:
    async def end() -> None:
        return

    one = Replica(world, server, "one").start(end)
    world.advance(1)
    assert one.task is not None
    assert one.task.result() is None
    assert server.spec["holderIdentity"] == ""


def test_work_that_cancels_itself_is_no_silent_end(world: World, server: LeaseServer) -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    one = Replica(world, server, "one").start(give_up)
    world.advance(1)
    assert one.task is not None
    assert isinstance(one.task.exception(), NotLeadingError)


@pytest.mark.parametrize("network", ["ok", "hang"])
def test_work_that_ignores_its_cancellation_ends_the_process(
    world: World, server: LeaseServer, network: Network
) -> None:
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await never()
            except asyncio.CancelledError:
                continue

    one = Replica(world, server, "one").start(stubborn)
    world.advance(1)
    one.client.network = network
    if network == "ok":
        one.stop()
    world.advance(DEADLINE + 5)
    assert one.abandoned == 1
    assert one.task is not None
    assert isinstance(one.task.exception(), SchemagateError)
    assert server.spec["holderIdentity"] == "one"  # not given up: it may still write
    released.set()


def test_giving_up_does_not_wait_for_a_server_that_hangs(world: World, one: Replica) -> None:
    one.client.network = "hang"
    one.stop()
    world.advance(2.1)
    assert one.task is not None
    assert one.task.done()


def test_times_that_do_not_fit_are_refused(server: LeaseServer, world: World) -> None:
    for name, seconds in [("attempt", 0), ("attempt", 5), ("renew", 10), ("deadline", 15), ("duration", 9999)]:
        with pytest.raises(StartError, match="attempt <= renew < deadline < duration"):
            Replica(world, server, "one", times={name: float(seconds)})
    with pytest.raises(StartError, match="identity"):
        Replica(world, server, "")


def test_the_default_clock_goes_on() -> None:
    assert steady() <= steady()


def _alone(replicas: list[Replica]) -> None:
    leaders = [replica.identity for replica in replicas if replica.elector.held()]
    assert len(leaders) <= 1, leaders


NETWORKS: list[Network] = ["ok", "hang", "deaf", "late", "fail"]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([*NETWORKS, "freeze", "thaw", "stop", "start"]),
        st.sampled_from([0.0, 0.3, 2.9, 4.0, 7.1, 10.0, 15.0, 16.2, 40.0]),
    ),
    max_size=25,
)


@given(
    steps=STEPS,
    rates=st.tuples(*[st.sampled_from([0.9, 1.0, 1.1])] * 3),
    skews=st.tuples(*[st.sampled_from([-3600.0, 0.0, 3600.0])] * 3),
    count=st.integers(2, 3),
)
def test_never_two_leaders_and_one_in_the_end(
    steps: list[tuple[int, str, float]], rates: tuple[float, ...], skews: tuple[float, ...], count: int
) -> None:
    world = World()
    server = LeaseServer(world)
    replicas = [
        Replica(
            world, server, f"replica-{index}", rate=rates[index], skew=skews[index], stopped_wall_clock=index == 2
        ).start()
        for index in range(count)
    ]

    def watch() -> None:
        _alone(replicas)

    try:
        for who, what, seconds in steps:
            _apply(replicas[who % count], what)
            world.advance(seconds, watch=watch)
        for replica in replicas:
            for what in ("thaw", "ok", "start"):
                _apply(replica, what)
        world.advance(2 * LATE + 2 * DURATION, watch=watch)
        assert [replica.elector.held() for replica in replicas].count(True) == 1
    finally:
        world.close()
    assert not [error for loop in world.processes for error in loop.errors]


def _apply(replica: Replica, what: str) -> None:
    match what:
        case "freeze" | "thaw":
            replica.loop.frozen = what == "freeze"
        case "stop":
            replica.stop()
        case "start":
            if replica.task is not None and replica.task.done():
                replica.start()
        case "ok" | "hang" | "deaf" | "late" | "fail":
            replica.client.network = what
