"""The scan in the background: what it counts, what it logs, and what it does when it cannot look."""

import asyncio
import dataclasses
from collections.abc import Mapping
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from tests.audit import stocks
from tests.audit.scan.test_rules import paused
from tests.support.builders import NOW
from tests.support.surveys import gateway, stock
from webhook.audit.scan.finding import Rule
from webhook.audit.scan.stock import Stock
from webhook.errors import UnreachableError
from webhook.logs import logger
from webhook.runtime.scans import TOLD, BackgroundScan


class Rig:
    """A scan of a stock that a test may exchange; an error instead of it is raised."""

    def __init__(self) -> None:
        self.stock: Stock | Exception = stock([], [])
        self.told: list[Mapping[str, int]] = []
        self.seen = asyncio.Event()
        self.now = NOW
        self.scan = BackgroundScan(self._take, self._found, seconds=0.01, now=lambda: self.now, log=logger())

    def _found(self, by_rule: Mapping[str, int]) -> None:
        self.told.append(by_rule)
        if any(by_rule.values()):
            self.seen.set()

    async def _take(self) -> Stock:
        if isinstance(self.stock, Exception):
            raise self.stock
        return self.stock

    def holds(self, *names: str) -> None:
        """Have Gateways of these names that nothing guards, which is a finding each."""
        self.stock = stock([], [gateway("team-a", name, "11.2.2") for name in names])


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_every_rule_is_told_of_from_the_start(rig: Rig) -> None:
    assert rig.told == [dict.fromkeys(Rule, 0)]


async def test_what_is_found_is_counted_and_told_once_for_as_long_as_it_is_there(rig: Rig) -> None:
    rig.holds("ssg")
    with capture_logs() as logs:
        await rig.scan.step()
        await rig.scan.step()
    (told,) = logs
    assert (told["event"], told["rule"], told["namespace"], told["name"]) == (
        "finding",
        "Ungoverned",
        "team-a",
        "ssg",
    )
    assert told["next_step"]
    assert rig.told[-1] == {**dict.fromkeys(Rule, 0), Rule.UNGOVERNED: 1}


async def test_what_comes_back_is_told_again(rig: Rig) -> None:
    with capture_logs() as logs:
        for names in (("ssg",), (), ("ssg",)):
            rig.holds(*names)
            await rig.scan.step()
    assert [entry["event"] for entry in logs] == ["finding", "finding"]
    assert [told[Rule.UNGOVERNED] for told in rig.told] == [0, 1, 0, 1]


async def test_a_flood_is_counted_and_not_logged(rig: Rig) -> None:
    rig.holds(*(f"ssg-{number}" for number in range(TOLD + 7)))
    with capture_logs() as logs:
        await rig.scan.step()
    assert len(logs) == TOLD + 1
    assert logs[-1]["more"] == 7
    assert rig.told[-1][Rule.UNGOVERNED] == TOLD + 7


async def test_a_scan_that_cannot_look_says_so_and_leaves_the_figures(rig: Rig) -> None:
    rig.holds("ssg")
    await rig.scan.step()
    rig.stock = UnreachableError("no answer from jdbc:mysql://root:hunter2@db/ssg")
    with capture_logs() as logs:
        await rig.scan.step()
    assert [entry["event"] for entry in logs] == ["scan_failed"]
    assert "hunter2" not in str(logs)
    assert rig.told[-1][Rule.UNGOVERNED] == 1


async def test_a_scan_that_breaks_costs_the_leader_nothing(rig: Rig) -> None:
    rig.stock = ValueError("unheard of")
    with capture_logs() as logs:
        await rig.scan.step()
    assert [entry["event"] for entry in logs] == ["scan_failed"]


async def test_a_message_that_counts_hours_is_told_once(rig: Rig) -> None:
    rig.stock = stocks.stock(*paused("2026-11-22T10:00:00Z"))
    with capture_logs() as logs:
        for hours in (0, 3):
            rig.now = NOW + timedelta(hours=hours)
            await rig.scan.step()
    assert [entry["rule"] for entry in logs] == ["HeldForLong"]


async def test_what_may_not_be_read_is_told_once(rig: Rig) -> None:
    rig.stock = dataclasses.replace(stock([], []), unread=frozenset({"Pod"}))
    with capture_logs() as logs:
        await rig.scan.step()
        await rig.scan.step()
    assert [(entry["event"], entry["unread"]) for entry in logs] == [("scan_not_whole", ["Pod"])]


async def test_who_leads_no_more_tells_no_figures(rig: Rig) -> None:
    rig.holds("ssg")
    task = asyncio.create_task(rig.scan.run())
    await asyncio.wait_for(rig.seen.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rig.told[-1] == dict.fromkeys(Rule, 0)
