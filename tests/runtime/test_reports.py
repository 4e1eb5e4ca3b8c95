"""Policy reports while a replica leads: which kind, how often, and what happens when something is in the way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.kube.fake_api import client_of, serving
from tests.kube.report_server import GROUPS, ReportServer
from tests.support.builders import NOW
from tests.support.surveys import gateway, stock
from webhook.audit.scan.stock import Stock
from webhook.errors import NotLeadingError
from webhook.logs import logger
from webhook.policy.names import MANAGED_BY, PRODUCT
from webhook.runtime.reports import LOOK_SECONDS, PolicyReports
from webhook.settings import read_settings

OPEN, OLDER = GROUPS
OURS = {MANAGED_BY: PRODUCT}


def gateways(*namespaces: str) -> Stock:
    """A Gateway in each namespace that nothing guards, which is a finding."""
    return stock([], [gateway(name, "ssg", "11.2.2") for name in namespaces])


class Rig:
    """Reports of a stock that a test may exchange, on a clock that it moves."""

    def __init__(self, client: Any, writer: Any, wanted: str) -> None:
        self.stock = gateways("team-a", "team-b")
        self.now = 0.0
        self.reports = PolicyReports(
            client,
            writer,
            lambda: self.stock,
            wanted=wanted,
            seconds=0.01,
            now=lambda: NOW,
            log=logger(),
            clock=lambda: self.now,
        )


@pytest.fixture
def server() -> ReportServer:
    return ReportServer(OPEN, OLDER)


@asynccontextmanager
async def rigged(server: ReportServer, folder: Path, wanted: str = "auto", **fence: Any) -> AsyncIterator[Rig]:
    async with serving() as api, client_of(api, folder) as client:
        api.lists = deque([server.handle])
        yield Rig(client, client.fenced(**fence) if fence else client, wanted)


def kept(server: ReportServer, group: str) -> list[str]:
    return sorted(namespace for found, namespace in server.stored if found == group)


async def test_each_namespace_has_one_report_of_the_newest_kind(server: ReportServer, tmp_path: Path) -> None:
    server.put(OLDER, "team-c", **OURS)
    async with rigged(server, tmp_path) as rig:
        await rig.reports.step()
        assert (kept(server, OPEN), kept(server, OLDER)) == (["team-a", "team-b"], [])
        (result,) = server.stored[OPEN, "team-a"]["results"]
        assert (result["rule"], result["result"]) == ("Ungoverned", "warn")
        server.writes.clear()
        await rig.reports.step()
        assert (server.writes, server.reads) == ([], 2)


async def test_without_anything_to_report_there_is_no_report(server: ReportServer, tmp_path: Path) -> None:
    async with rigged(server, tmp_path) as rig:
        await rig.reports.step()
        rig.stock = gateways("team-b")
        await rig.reports.step()
        assert kept(server, OPEN) == ["team-b"]


@pytest.mark.parametrize(
    ("wanted", "served", "written"),
    [
        ("auto", GROUPS, OPEN),
        ("auto", (OLDER,), OLDER),
        ("auto", (), None),
        (OPEN, (OLDER,), None),
        (OLDER, GROUPS, OLDER),
        ("off", GROUPS, None),
    ],
)
async def test_the_setting_says_which_kind(
    wanted: str, served: tuple[str, ...], written: str | None, tmp_path: Path
) -> None:
    server = ReportServer(*served)
    for group in served:
        server.put(group, "team-z", **OURS)
    async with rigged(server, tmp_path, wanted) as rig:
        await rig.reports.step()
    assert {group for group, _ in server.stored} == ({written} if written else set())
    assert "team-z" not in {namespace for _, namespace in server.stored}


async def test_off_ends_once_nothing_is_left(server: ReportServer, tmp_path: Path) -> None:
    server.put(OPEN, "team-a", **OURS)
    server.broken.add("team-a")
    async with rigged(server, tmp_path, "off") as rig:
        running = asyncio.create_task(rig.reports.run())
        async with asyncio.timeout(20):
            await server.written(2)  # it tries again
            server.broken.clear()
            await running
    assert not server.stored


async def test_a_kind_that_comes_later_is_found_and_one_that_goes_is_forgotten(tmp_path: Path) -> None:
    server = ReportServer()
    async with rigged(server, tmp_path) as rig:
        await rig.reports.step()
        assert not server.writes
        server.served.add(OLDER)
        await rig.reports.step()
        assert kept(server, OLDER) == ["team-a", "team-b"]
        server.served.clear()
        server.stored.clear()
        rig.stock = gateways("team-c")
        await rig.reports.step()
        server.served.add(OPEN)
        await rig.reports.step()
        assert kept(server, OPEN) == ["team-c"]


async def test_one_namespace_that_refuses_hinders_no_other(server: ReportServer, tmp_path: Path) -> None:
    server.broken.add("team-a")
    async with rigged(server, tmp_path) as rig:
        with capture_logs() as logs:
            await rig.reports.step()
            await rig.reports.step()
        assert kept(server, OPEN) == ["team-b"]
        assert [(line["event"], line["where"]) for line in logs] == [("reports_not_written", "team-a")]
        server.broken.clear()
        await rig.reports.step()
        assert kept(server, OPEN) == ["team-a", "team-b"]


async def test_a_report_that_was_changed_is_mended_by_the_next_look(server: ReportServer, tmp_path: Path) -> None:
    async with rigged(server, tmp_path) as rig:
        await rig.reports.step()
        server.put(OPEN, "team-a", **OURS)
        await rig.reports.step()
        assert "results" not in server.stored[OPEN, "team-a"]
        rig.now = LOOK_SECONDS
        await rig.reports.step()
        assert "results" in server.stored[OPEN, "team-a"]


async def test_roles_that_leave_reports_out_are_told_of_once(server: ReportServer, tmp_path: Path) -> None:
    server.forbidden |= set(GROUPS)
    async with rigged(server, tmp_path) as rig:
        with capture_logs() as logs:
            await rig.reports.step()
            await rig.reports.step()
    assert [(line["event"], line["group"]) for line in logs] == [
        ("reports_forbidden", OPEN),
        ("reports_forbidden", OLDER),
    ]
    assert not server.writes


async def test_who_does_not_lead_any_more_writes_nothing(server: ReportServer, tmp_path: Path) -> None:
    def fence() -> None:
        raise NotLeadingError("another one leads")

    async with rigged(server, tmp_path, fence=fence, limit=5.0) as rig:
        with pytest.raises(NotLeadingError):
            await rig.reports.run()
    assert not server.writes


def test_by_default_reports_are_written_where_a_kind_of_them_is_served() -> None:
    settings = read_settings()
    assert (settings.reports, settings.report_seconds) == ("auto", 30.0)
