"""The work queue: nothing lost, nothing twice at once, and nobody waits because another fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual import VirtualLoop, World, never
from webhook.controller.queue import LONGEST, PATIENCE, PAUSE, SHORTEST, Key, WorkQueue
from webhook.errors import ClusterError, ConflictError, NotLeadingError, UnreachableError

A, B, C = ("ns", "a"), ("ns", "b"), ("ns", "c")


class Rig:
    """A queue in a process of a World, and a worker that does what it is told for each key."""

    def __init__(self) -> None:
        self.world = World()
        self.loop: VirtualLoop = self.world.process()
        self.failed: list[tuple[Key, Exception]] = []
        self.queue = WorkQueue(lambda key, error: self.failed.append((key, error)), jitter=lambda: 0.5)
        self.started: list[tuple[Key, float]] = []
        self.running: set[Key] = set()
        self.most = 0
        self.errors: dict[Key, BaseException] = {}
        self.again: dict[Key, float | None] = {}
        self.takes: dict[Key, float] = {}
        self.task: asyncio.Task[None] | None = None

    def run(self, workers: int = 4) -> Rig:
        self.task = self.loop.create_task(self.queue.run(self.work, workers=workers))
        self.world.advance(0)
        return self

    async def work(self, key: Key) -> float | None:
        assert key not in self.running
        self.started.append((key, self.world.now))
        self.running.add(key)
        self.most = max(self.most, len(self.running))
        try:
            if self.takes.get(key):
                await asyncio.sleep(self.takes[key])
        finally:
            self.running.discard(key)
        if key in self.errors:
            raise self.errors[key]
        return self.again.get(key)

    def add(self, *keys: Key) -> None:
        async def adding() -> None:
            for key in keys:
                self.queue.add(key)

        self.loop.do(adding())

    def add_after(self, key: Key, seconds: float) -> None:
        async def adding() -> None:
            self.queue.add_after(key, seconds)

        self.loop.do(adding())

    def keys(self) -> list[Key]:
        return [key for key, _ in self.started]

    def gaps(self, key: Key) -> list[float]:
        times = [when for started, when in self.started if started == key]
        return [round(late - early, 3) for early, late in pairwise(times)]


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


def test_failures_back_off_and_success_forgets_them(rig: Rig) -> None:
    rig.errors[A] = ValueError("poison")
    rig.run().add(A)
    rig.world.advance(400)
    expected = [min(SHORTEST * 2**step, LONGEST) for step in range(len(rig.gaps(A)))]
    assert rig.gaps(A) == pytest.approx(expected)
    assert rig.gaps(A)[-1] == LONGEST
    assert len(rig.failed) == len(rig.started)
    assert rig.queue.retrying == 1
    del rig.errors[A]
    rig.world.advance(LONGEST)
    assert rig.queue.retrying == 0
    rig.errors[A] = ValueError("poison")
    rig.started.clear()
    rig.add(A)
    rig.world.advance(0.2)
    assert rig.gaps(A) == [SHORTEST, 2 * SHORTEST]


@pytest.mark.parametrize(("jitter", "factor"), [(0.0, 0.8), (0.999999, 1.2)])
def test_back_off_is_spread(jitter: float, factor: float) -> None:
    rig = Rig()
    rig.queue = WorkQueue(lambda key, error: None, jitter=lambda: jitter)
    rig.errors[A] = ValueError("poison")
    rig.run().add(A)
    rig.world.advance(0.5)
    assert rig.gaps(A)[0] == pytest.approx(SHORTEST * factor)
    rig.world.close()


def test_news_cut_a_long_back_off_short_but_never_make_a_failing_key_spin(rig: Rig) -> None:
    rig.errors[A] = ValueError("poison")
    rig.run().add(A)
    rig.world.advance(200)
    rig.started.clear()
    for _ in range(500):  # somebody patches it fifty times a second
        rig.add(A)
        rig.world.advance(0.02)
    assert 45 <= len(rig.started) <= 51


def test_conflicts_are_tried_again_soon_but_do_not_spin(rig: Rig) -> None:
    rig.errors[A] = ConflictError("409")
    rig.run().add(A)
    rig.world.advance(100)
    assert rig.gaps(A)[:4] == [SHORTEST, 2 * SHORTEST, PAUSE, PAUSE]
    assert 495 <= len(rig.started) <= 505
    rig.errors[A] = ValueError("now a real one")
    rig.started.clear()
    rig.world.advance(1)
    assert rig.gaps(A)[:2] == [PAUSE, 2 * PAUSE]  # conflicts did not count up


@pytest.mark.parametrize(("asked", "given"), [(30.0, 30.0), (86_400.0, PATIENCE), (0.0, SHORTEST)])
def test_retry_after_is_a_floor(rig: Rig, asked: float, given: float) -> None:
    rig.errors[A] = UnreachableError("429", retry_after=asked)
    rig.run().add(A)
    rig.world.advance(SHORTEST / 2)
    rig.add(A)  # news do not beat what the server asked for
    rig.world.advance(PATIENCE + 1)
    assert rig.gaps(A)[0] == pytest.approx(given)


def test_one_poison_key_costs_the_others_nothing(rig: Rig) -> None:
    rig.errors[A] = ClusterError("poison")
    rig.run(workers=1)
    for step in range(100):
        rig.add(A, ("ns", f"healthy-{step}"))
        rig.world.advance(0.1)
    healthy = [(key, when) for key, when in rig.started if key != A]
    assert len(healthy) == 100
    assert all(abs(when - 1000 - 0.1 * step) < 1e-6 for step, (_, when) in enumerate(healthy))


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
