"""The ledger: bounded, nothing lost on the way, nothing counted twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.builders import NOW
from webhook.audit.rejections.ledger import Ledger
from webhook.audit.rejections.rejection import Rejected


def rejected(name: str = "ssg", user: str = "helm", seconds: int = 0) -> Rejected:
    at = NOW + timedelta(seconds=seconds)
    return Rejected(
        namespace="team-a",
        name=name,
        hash="a" * 64,
        reason="MigrationPending",
        user=user,
        from_image="gateway:1",
        to_image="gateway:2",
        first=at,
        last=at,
    )


class Keeper:
    """Keeps what it is handed; fails while told to, waits while told to."""

    def __init__(self) -> None:
        self.kept: list[Rejected] = []
        self.failing: set[str] = set()
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.done = asyncio.Event()
        self.gate.set()

    async def __call__(self, namespace: str, name: str, news: tuple[Rejected, ...]) -> None:
        self.entered.set()
        await self.gate.wait()
        if name in self.failing:
            raise ConnectionError(name)
        assert all((item.namespace, item.name) == (namespace, name) for item in news)
        self.kept += news
        self.done.set()

    @property
    def times(self) -> dict[str, int]:
        names = {item.name for item in self.kept}
        return {name: sum(item.times for item in self.kept if item.name == name) for name in names}


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def dropped() -> list[int]:
    return []


@pytest.fixture
def ledger(dropped: list[int]) -> Ledger:
    return Ledger(dropped.append, limit=3, retry_seconds=0)


async def test_alike_ones_are_counted(ledger: Ledger, keeper: Keeper) -> None:
    for seconds in (5, 1, 9):
        ledger.submit(rejected(seconds=seconds))
    await ledger.flush(keeper)
    first, last = NOW + timedelta(seconds=1), NOW + timedelta(seconds=9)
    assert keeper.kept == [replace(rejected(), times=3, first=first, last=last)]
    await ledger.flush(keeper)
    assert len(keeper.kept) == 1


async def test_it_is_bounded_and_counts_what_finds_no_room(
    ledger: Ledger, keeper: Keeper, dropped: list[int]
) -> None:
    for number in range(10):
        ledger.submit(rejected(user=str(number)))
    ledger.submit(rejected(user="0"))
    await ledger.flush(keeper)
    assert keeper.times == {"ssg": 4}
    assert dropped == [1] * 7


async def test_one_that_fails_loses_nothing_and_keeps_no_other_waiting(
    ledger: Ledger, keeper: Keeper, dropped: list[int]
) -> None:
    keeper.failing = {"a"}
    for name in ("a", "b", "c", "a"):
        ledger.submit(rejected(name))
    with pytest.raises(ConnectionError):
        await ledger.flush(keeper)
    assert keeper.times == {"b": 1, "c": 1}
    keeper.failing = set()
    await ledger.flush(keeper)
    assert keeper.times == {"a": 2, "b": 1, "c": 1}
    assert not dropped


async def test_what_comes_during_a_flush_is_kept_by_the_next(ledger: Ledger, keeper: Keeper) -> None:
    keeper.gate.clear()
    keeper.failing = {"a"}
    ledger.submit(rejected("a"))
    flushing = asyncio.create_task(ledger.flush(keeper))
    await keeper.entered.wait()
    ledger.submit(rejected("a"))
    ledger.submit(rejected("b"))
    keeper.gate.set()
    with pytest.raises(ConnectionError):
        await flushing
    keeper.failing = set()
    await ledger.flush(keeper)
    assert keeper.times == {"a": 2, "b": 1}


async def test_one_that_is_interrupted_loses_nothing(ledger: Ledger, keeper: Keeper) -> None:
    keeper.gate.clear()
    for name in ("a", "b"):
        ledger.submit(rejected(name))
    flushing = asyncio.create_task(ledger.flush(keeper))
    await keeper.entered.wait()
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    keeper.gate.set()
    await ledger.flush(keeper)
    assert keeper.times == {"a": 1, "b": 1}


async def test_it_runs_on_after_a_failure(ledger: Ledger, keeper: Keeper) -> None:
    failures: list[Exception] = []
    keeper.failing = {"a"}

    def failed(error: Exception) -> None:
        failures.append(error)
        if len(failures) == 3:
            keeper.failing = set()

    ledger.submit(rejected("a"))
    running = asyncio.create_task(ledger.run(lambda: ledger.flush(keeper), failed))
    async with asyncio.timeout(10):
        await keeper.done.wait()
    running.cancel()
    assert len(failures) == 3
    assert keeper.times == {"a": 1}
