"""The work queue: nothing lost, nothing twice at once, and nobody waits because another fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.queues import A, B, C, Rig
from tests.support.virtual import never
from webhook.controller.queue import LONGEST, Key, WorkQueue
from webhook.errors import ConflictError, NotLeadingError


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.world.close()
    assert not rig.loop.errors


def test_first_come_first_served_and_each_once(rig: Rig) -> None:
    rig.add(A, B, A, C, B)
    assert rig.queue.depth == 3
    rig.run(workers=1)
    rig.world.advance(1)
    assert rig.keys() == [A, B, C]
    assert rig.queue.depth == 0


def test_added_while_in_hand_is_looked_at_once_more(rig: Rig) -> None:
    rig.takes[A] = 5
    rig.run().add(A)
    rig.world.advance(1)
    rig.add(A, A)
    rig.add_after(A, 60)
    assert rig.queue.depth == 0
    rig.world.advance(3)
    assert rig.keys() == [A]
    rig.world.advance(100)
    assert rig.gaps(A) == [5.0]


def test_the_earliest_time_wins_and_a_plain_add_beats_all(rig: Rig) -> None:
    rig.run()
    rig.add_after(A, 30)
    rig.add_after(A, 60)
    rig.add_after(A, 20)
    rig.add_after(B, 30)
    rig.add(B)
    rig.world.advance(19)
    assert rig.keys() == [B]
    rig.world.advance(100)
    assert rig.keys() == [B, A]


def test_the_worker_says_when_to_look_again(rig: Rig) -> None:
    rig.again[A] = 10
    rig.run().add(A)
    rig.world.advance(35)
    assert rig.gaps(A) == [10, 10, 10]
    rig.add(A)
    rig.again[A] = None
    rig.world.advance(60)
    assert rig.gaps(A) == [10, 10, 10, 5, 10]


def test_at_most_so_many_at_a_time(rig: Rig) -> None:
    keys = [("ns", str(number)) for number in range(20)]
    rig.takes = dict.fromkeys(keys, 1.0)
    rig.run(workers=3).add(*keys)
    rig.world.advance(10)
    assert rig.most == 3
    assert rig.keys() == keys


def test_not_leading_ends_the_run_and_the_next_one_goes_on(rig: Rig) -> None:
    rig.errors[A] = NotLeadingError("held back")
    rig.takes[B] = 10
    rig.run().add(B, A)
    rig.world.advance(1)
    assert rig.task is not None
    with pytest.raises(NotLeadingError):
        rig.task.result()
    assert rig.failed == []
    assert rig.running == set()
    rig.errors.clear()
    rig.started.clear()
    rig.run()
    rig.world.advance(20)
    assert sorted(rig.keys()) == [A, B]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), NotLeadingError("no")])
def test_a_run_ends_when_a_look_is_cancelled_from_within(rig: Rig, error: BaseException) -> None:
    rig.errors[A] = error
    rig.run().add(A)
    rig.world.advance(1)
    assert rig.task is not None
    assert rig.task.done()


def test_cancelling_waits_for_what_is_in_hand_even_if_it_will_not_listen(rig: Rig) -> None:
    async def deaf(key: Key) -> None:
        try:
            await never()
        except asyncio.CancelledError:
            rig.started.append((key, rig.world.now))

    rig.task = rig.loop.create_task(rig.queue.run(deaf))
    rig.add(A, B)
    rig.world.advance(1)
    rig.task.cancel()
    rig.world.advance(0)
    assert rig.task.cancelled()
    assert rig.keys() == [A, B]


async def test_settle_returns_when_nothing_is_left_to_do_now() -> None:
    seen: list[Key] = []
    queue = WorkQueue(lambda key, error: None)

    async def work(key: Key) -> float | None:
        await asyncio.sleep(0)
        seen.append(key)
        if len(seen) < 10:
            queue.add(key)
            queue.add_after(("ns", str(len(seen))), 0)
        return 3600

    await queue.settle()
    running = asyncio.create_task(queue.run(work))
    queue.add(A)
    await queue.settle()
    assert len(seen) >= 10
    assert queue.depth == 0
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


KEYS = st.sampled_from([A, B, C, ("other", "a")])
DELAYS = st.sampled_from([0.0, 0.0, 0.04, 0.3, 1.0, 7.0])


@given(
    steps=st.lists(
        st.tuples(KEYS, st.sampled_from(["add", "after", "fail", "conflict", "heal", "stop"]), DELAYS), max_size=40
    ),
    workers=st.integers(1, 4),
    takes=st.dictionaries(KEYS, st.sampled_from([0.1, 2.0])),
)
def test_no_add_is_lost_and_no_key_runs_twice_at_once(
    steps: list[tuple[Key, str, float]], workers: int, takes: dict[Key, float]
) -> None:
    rig = Rig()
    rig.takes = takes
    rig.run(workers)
    asked: dict[Key, float] = {}
    for key, what, seconds in steps:
        match what:
            case "add":
                asked[key] = rig.world.now
                rig.add(key)
            case "after":
                asked[key] = rig.world.now
                rig.add_after(key, seconds)
            case "fail" | "conflict":
                rig.errors[key] = ConflictError("409") if what == "conflict" else ValueError("poison")
            case "heal":
                rig.errors.pop(key, None)
            case _:
                assert rig.task is not None
                rig.task.cancel()
                rig.world.advance(0)
                rig.run(workers)
        rig.world.advance(seconds)
    rig.errors.clear()
    rig.world.advance(2 * LONGEST)
    for key, when in asked.items():
        assert any(started == key and at >= when for started, at in rig.started), key
    assert (rig.queue.depth, rig.queue.retrying, rig.running) == (0, 0, set())
    assert rig.loop.next_due() is None
    assert rig.queue._not_before == rig.queue._again == {}  # memory is bounded by the keys there are
    assert rig.most <= workers
    rig.world.close()
    assert not rig.loop.errors


@given(st.permutations([("ns", str(number)) for number in range(8)]))
def test_order_is_kept(keys: list[Key]) -> None:
    rig = Rig()
    rig.run(workers=1).add(*keys)
    rig.world.advance(1)
    assert rig.keys() == keys
    rig.world.close()
