"""Taking in what webhooks hand over: nothing waits for a batch that fails, and that one asks ever less often."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.support.virtual import World
from webhook.errors import NotLeadingError, RejectedError
from webhook.kube.outbox import Received
from webhook.runtime.intake import LONGEST, SETTLE, SHORTEST, Intake

BAD, GOOD = (Received(uid, f"schemagate-rejections-{uid}", ()) for uid in ("bad", "good"))


class Rig:
    """Batches that lie there until they are taken in, and an intake in a process of a World."""

    def __init__(self, gather: float = 1.0) -> None:
        self.world = World()
        self.loop = self.world.process()
        self.there = [BAD]
        self.error: Exception | None = RejectedError("the record is too large")
        self.tried: list[tuple[str, float]] = []
        self.unsettled = False
        self.final: list[bool] = []
        self.failed: list[Exception] = []
        self.intake = Intake(lambda: list(self.there), self.take, self.failed.append, gather)
        self.task = self.loop.create_task(self.intake.run())

    async def take(self, received: Received, settled: bool) -> bool:
        self.tried.append((received.uid, self.world.now))
        self.final.append(settled)
        if received is BAD and self.error is not None:
            raise self.error
        if received is BAD and self.unsettled and not settled:
            return False
        self.there.remove(received)
        return True

    def gaps(self, uid: str) -> list[float]:
        return [late - early for (early, late) in pairwise(when for tried, when in self.tried if tried == uid)]

    def hand_over(self, received: Received) -> None:
        async def adding() -> None:
            self.there.append(received)
            self.intake.arrived()

        self.loop.do(adding())


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.world.close()
    assert not rig.loop.errors


def test_what_can_never_be_written_is_tried_ever_less_often(rig: Rig) -> None:
    rig.world.advance(600)
    assert rig.gaps("bad")[:7] == pytest.approx([1, 2, 4, 8, 16, 32, LONGEST])
    assert max(rig.gaps("bad")) == pytest.approx(LONGEST)
    assert len(rig.failed) == len(rig.tried)


def test_others_do_not_wait_for_it_nor_bring_it_forward(rig: Rig) -> None:
    rig.world.advance(100)
    before = rig.tried.copy()
    rig.hand_over(GOOD)
    rig.world.advance(1)
    assert [uid for uid, _ in rig.tried[len(before) :]] == ["good"]
    assert rig.there == [BAD]


def test_it_is_taken_in_once_it_can_be_and_then_rests(rig: Rig) -> None:
    rig.world.advance(10)
    rig.error = None
    rig.world.advance(LONGEST)
    assert rig.there == []
    tried = len(rig.tried)
    rig.world.advance(600)
    assert len(rig.tried) == tried


def test_who_no_longer_leads_stops(rig: Rig) -> None:
    rig.error = NotLeadingError("lost")
    rig.world.advance(10)
    assert isinstance(rig.task.exception(), NotLeadingError)
    assert not rig.failed


def test_what_is_not_settled_is_looked_at_again_and_in_the_end_for_good(rig: Rig) -> None:
    rig.error, rig.unsettled = None, True
    rig.world.advance(SETTLE - 2)
    assert rig.gaps("bad") == pytest.approx([1] * 32)
    rig.hand_over(GOOD)
    rig.world.advance(1)
    assert rig.there == [BAD]
    rig.world.advance(2)
    assert rig.there == []
    assert rig.final[-1]
    assert rig.final.count(True) == 1
    assert not rig.failed


def test_nothing_is_asked_without_a_pause() -> None:
    rig = Rig(gather=0.0)
    try:
        rig.world.advance(SHORTEST * 0.9)
        assert len(rig.tried) == 1
        rig.world.advance(1)
        assert rig.gaps("bad") == pytest.approx([SHORTEST, 2 * SHORTEST, 4 * SHORTEST])
    finally:
        rig.world.close()
