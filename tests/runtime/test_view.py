"""The audit's report on the operations port: off unless asked for, made seldom, from the copies alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.audit.stocks import complete, stock
from tests.kube.fake_api import client_of, serving
from tests.support import builders as make
from tests.support.builders import NOW
from webhook.audit.scan.stock import Stock
from webhook.kube.copies import ControllerCopies
from webhook.policy.names import ENFORCE
from webhook.policy.record import Mode
from webhook.runtime.controller import ControllerProcess
from webhook.runtime.ops import Ops, OpsServer, View
from webhook.runtime.view import FRESH_SECONDS, AuditView, stock_of
from webhook.settings import Settings, read_settings

STOCK = stock(make.deployment(), make.config_map(), make.namespace(**{ENFORCE: "reject"}))


class Counted:
    """A view whose clock stands still, and whose stock is counted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.taken = 0
        self.view = AuditView(self.stock, "here", lambda: NOW, lambda: self.now)

    def stock(self) -> Stock:
        assert threading.current_thread() is threading.main_thread()
        self.taken += 1
        return STOCK


@asynccontextmanager
async def port_with(view: View | None, *missing: str) -> AsyncIterator[str]:
    server = OpsServer(Ops(lambda: missing, lambda: b"", view))
    await server.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


async def test_it_is_made_once_in_a_while_however_many_ask() -> None:
    counted = Counted()
    pages = await asyncio.gather(*(counted.view.page() for _ in range(50)))
    assert (len(set(pages)), counted.taken) == (1, 1)
    counted.now = FRESH_SECONDS - 0.1
    await counted.view.page()
    assert counted.taken == 1
    counted.now = FRESH_SECONDS
    await counted.view.page()
    assert counted.taken == 2


async def test_it_is_shown_with_headers_that_keep_it_in_its_place() -> None:
    async with port_with(Counted().view) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/audit") as answer:
            assert (answer.status, answer.content_type, answer.charset) == (200, "text/html", "utf-8")
            assert "team-a/" in await answer.text()
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
            assert answer.headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            async with session.request(method, f"{url}/audit") as answer:
                assert answer.status == 405


async def test_where_it_is_off_there_is_none() -> None:
    async with port_with(None) as url, aiohttp.ClientSession() as session, session.get(f"{url}/audit") as answer:
        assert answer.status == 404


async def test_copies_that_are_not_complete_are_not_shown() -> None:
    counted = Counted()
    async with (
        port_with(counted.view, "gatewaymigrations are not synced") as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/audit") as answer,
    ):
        assert (answer.status, await answer.text()) == (503, "not ready: gatewaymigrations are not synced\n")
    assert counted.taken == 0


@pytest.mark.parametrize(
    ("settings", "status"), [(Settings(ops_port=0), 404), (Settings(ops_port=0, view=True), 503)]
)
async def test_it_is_off_by_default(tmp_path: Path, settings: Settings, status: int) -> None:
    async with serving() as api, client_of(api, tmp_path) as client:
        process = ControllerProcess(client, settings, "schemagate", "c-1")
        await process.ops.start("127.0.0.1", 0)
        try:
            url = f"http://127.0.0.1:{process.ops.port}/audit"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                assert answer.status == status
        finally:
            await process.ops.stop()


def test_it_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read_settings().view
    monkeypatch.setenv("SCHEMAGATE_VIEW", "true")
    assert read_settings().view


async def test_the_stock_is_what_the_copies_hold(tmp_path: Path) -> None:
    async with serving() as api, client_of(api, tmp_path) as client:
        copies = ControllerCopies(client, lambda *_: None, lambda *_: None)
        for kept, manifest in (
            (copies.deployment_copies, make.deployment()),
            (copies.record_copies, complete()),
            (copies.gateway_copies, make.gateway()),
            (copies.namespace_copies, make.namespace()),
        ):
            kept.learn(msgspec.json.encode(manifest))
        held = stock_of(copies, Mode.WARN)
        key = ("team-a", "ssg")
        assert [item.metadata.name for item in held.deployments] == ["ssg"]
        assert (set(held.records), set(held.gateways), set(held.namespaces)) == ({key}, {key}, {"team-a"})
        assert held.unread == {"ConfigMap", "Pod"}
        assert held.default_mode is Mode.WARN


async def test_a_gateway_whose_record_cannot_be_read_is_named_and_not_called_unguarded(tmp_path: Path) -> None:
    async with serving() as api, client_of(api, tmp_path) as client:
        copies = ControllerCopies(client, lambda *_: None, lambda *_: None)
        copies.deployment_copies.learn(msgspec.json.encode(make.deployment()))
        copies.record_copies.learn(msgspec.json.encode(make.record(spec={"mode": "news"})))
        held = stock_of(copies, Mode.REJECT)
        assert held.deployments == []
        assert held.unread == {"ConfigMap", "Pod", "GatewayMigration team-a/ssg"}
