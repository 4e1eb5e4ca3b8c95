"""What the elector does with its work: started, stopped, and never left behind."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kube.lease.leases import LATE, LeaseServer, Network, Replica, alone
from tests.support.virtual import World, never
from webhook.errors import NotLeadingError, SchemagateError, StartError
from webhook.kube.lease.elector import steady

DEADLINE = 10.0
DURATION = 15.0


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


NETWORKS: list[Network] = ["ok", "hang", "deaf", "late", "fail"]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([*NETWORKS, "freeze", "thaw", "stop", "start"]),
        st.sampled_from([0.0, 0.3, 2.9, 4.0, 7.1, 10.0, 15.0, 16.2, 40.0]),
    ),
    max_size=16,
)


@settings(max_examples=50)  # each of them is minutes of three processes
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
        alone(replicas)

    try:
        for who, what, seconds in steps:
            _apply(replicas[who % count], what)
            world.advance(seconds, watch=watch)
        for what in ("thaw", "ok", "start"):
            for replica in replicas:
                _apply(replica, what)
            world.advance(8, watch=watch)  # one that was stopped while frozen ends before it is started again
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
