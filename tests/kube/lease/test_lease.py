"""The elector: one leader at most, whatever network, processes and clocks do; and one again when they are well."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.kube.lease.leases import LATE, LeaseServer, Network, Replica, alone
from tests.support.virtual import World
from webhook.errors import NotLeadingError

DEADLINE = 10.0
DURATION = 15.0
RENEW = 4.0


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


def test_a_term_counts_from_before_the_request_left(world: World, server: LeaseServer) -> None:
    slow = Replica(world, server, "slow")
    slow.client.latency = 0.7
    slow.start()
    world.advance(2.2)  # a look of 0.7 s (there is none), then a write of 1.4 s
    assert slow.elector.remaining() == pytest.approx(DEADLINE - 1.5)
    world.advance(RENEW + 1.4)  # and a renewal of 1.4 s
    assert slow.elector.remaining() == pytest.approx(DEADLINE - 1.5)


def test_a_term_that_has_run_out_does_not_come_back_to_life(world: World, one: Replica, two: Replica) -> None:
    """Frozen while its renewal is stored, it wakes to an answer that is good and a deadline that is past."""

    def freeze(method: str) -> None:
        one.loop.frozen = True

    one.client.network = "fail"
    world.advance(6.5)
    one.client.network = "ok"
    one.client.before = [freeze]
    world.advance(2.2)  # `two` came a second later
    assert one.loop.frozen
    assert not one.elector.held()
    one.loop.frozen = False
    world.advance(1, watch=lambda: alone([one, two]))
    assert one.changes == [True, False, True]  # the Lease is its own: a new term, with new work
    assert len(one.starts) == 2
    assert len(one.stops) == 1


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
    world.advance(DEADLINE, watch=lambda: alone([one, two]))
    assert not two.elector.held()
    world.advance(DURATION, watch=lambda: alone([one, two]))
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
    world.advance(DURATION - 1, watch=lambda: alone([one, again]))
    assert not again.elector.held()
    world.advance(3)
    assert again.elector.held()
