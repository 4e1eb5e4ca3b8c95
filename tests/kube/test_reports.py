"""Writes of policy reports: only where something changed, never over another's, found again after a restart."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kube.fake_api import client_of, serving
from tests.kube.report_server import GROUPS, ReportServer
from webhook.errors import ConflictError, ForbiddenError, NameTakenError, NotFoundError
from webhook.kube.api.client import Client
from webhook.kube.reports import POLICY_REPORTS, REPORTS, ReportWriter

OPEN, OLDER = GROUPS
BODY = {"summary": {"fail": 1}, "results": [{"policy": "p"}]}
OTHER = {"summary": {"fail": 2}, "results": []}


@pytest.fixture
def server() -> ReportServer:
    return ReportServer(OPEN, OLDER)


@pytest.fixture
async def client(server: ReportServer, tmp_path: Path) -> AsyncIterator[Client]:
    async with serving() as api, client_of(api, tmp_path) as connected:
        api.lists = deque([server.handle])
        yield connected


@pytest.fixture
def writer(client: Client) -> ReportWriter:
    return ReportWriter(client, client, REPORTS)


async def test_a_report_is_made_then_changed_and_left_alone_while_it_says_the_same(
    server: ReportServer, writer: ReportWriter
) -> None:
    await writer.look()
    assert [await writer.write("team-a", body) for body in (BODY, BODY, OTHER, OTHER)] == [
        True,
        False,
        True,
        False,
    ]
    assert server.writes == [("POST", OPEN, "team-a"), ("PATCH", OPEN, "team-a")]
    stored = server.stored[OPEN, "team-a"]
    assert (stored["apiVersion"], stored["kind"], stored["source"]) == (
        "openreports.io/v1alpha1",
        "Report",
        "schemagate",
    )
    assert stored["summary"] == {"fail": 2}


async def test_the_older_kind_has_no_source_of_its_own(server: ReportServer, client: Client) -> None:
    writer = ReportWriter(client, client, POLICY_REPORTS)
    await writer.look()
    await writer.write("team-a", BODY)
    stored = server.stored[OLDER, "team-a"]
    assert (stored["apiVersion"], stored["kind"]) == ("wgpolicyk8s.io/v1alpha2", "PolicyReport")
    assert "source" not in stored


async def test_what_somebody_changed_is_written_again_after_a_look(
    server: ReportServer, writer: ReportWriter
) -> None:
    await writer.look()
    await writer.write("team-a", BODY)
    await writer.write("team-b", BODY)
    server.stored[OPEN, "team-a"]["metadata"]["resourceVersion"] = "7"
    await writer.look()
    assert await writer.write("team-a", BODY)
    assert not await writer.write("team-b", BODY)


async def test_a_report_that_changed_since_it_was_seen_is_not_written_over(
    server: ReportServer, writer: ReportWriter
) -> None:
    await writer.look()
    await writer.write("team-a", BODY)
    server.stored[OPEN, "team-a"]["metadata"]["resourceVersion"] = "7"
    with pytest.raises(ConflictError):
        await writer.write("team-a", OTHER)
    await writer.look()
    assert await writer.write("team-a", OTHER)


async def test_a_report_of_that_name_that_is_anothers_stays(server: ReportServer, writer: ReportWriter) -> None:
    theirs = server.put(OPEN, "team-a")
    await writer.look()
    assert not writer.namespaces
    with pytest.raises(NameTakenError):
        await writer.write("team-a", BODY)
    await writer.delete("team-a")
    assert server.stored[OPEN, "team-a"] is theirs


async def test_after_a_restart_reports_are_found_and_may_be_deleted(
    server: ReportServer, writer: ReportWriter, client: Client
) -> None:
    await writer.look()
    await writer.write("team-a", BODY)
    again = ReportWriter(client, client, REPORTS)
    await again.look()
    assert list(again.namespaces) == ["team-a"]
    assert await again.write("team-a", BODY)  # what it says is not known: once is enough
    assert not await again.write("team-a", BODY)
    await again.delete("team-a")
    await again.delete("team-a")
    assert not server.stored
    assert [method for method, *_ in server.writes] == ["POST", "PATCH", "DELETE"]


async def test_one_that_took_its_place_is_not_deleted(server: ReportServer, writer: ReportWriter) -> None:
    await writer.look()
    await writer.write("team-a", BODY)
    server.stored[OPEN, "team-a"]["metadata"]["uid"] = "another"
    await writer.delete("team-a")
    assert (OPEN, "team-a") in server.stored


async def test_a_kind_that_is_not_served_is_no_error(server: ReportServer, writer: ReportWriter) -> None:
    await writer.look()
    await writer.write("team-a", BODY)
    server.served.clear()
    with pytest.raises(NotFoundError):
        await writer.write("team-a", OTHER)
    await writer.look()
    assert (writer.served, list(writer.namespaces)) == (False, [])


async def test_a_look_that_is_forbidden_says_so(server: ReportServer, writer: ReportWriter) -> None:
    server.forbidden.add(OPEN)
    with pytest.raises(ForbiddenError):
        await writer.look()
