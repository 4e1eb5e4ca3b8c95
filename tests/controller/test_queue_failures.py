"""The work queue when looks fail: ever later, never a spin, and nobody else waits for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controller.queues import A, Rig
from webhook.controller.queue import LONGEST, PATIENCE, PAUSE, SHORTEST, WorkQueue
from webhook.errors import ClusterError, ConflictError, UnreachableError


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.world.close()
    assert not rig.loop.errors


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
