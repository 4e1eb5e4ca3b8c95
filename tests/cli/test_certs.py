"""`schemagate certs` against storage that the keeper filled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import cast

import click
import pytest

from tests.kube.certificates.test_certificate_keeper import AUTHORITY, CONFIGURATIONS, LEAF, Storage, keeper
from webhook.cli.certs import rotated, shown
from webhook.cli.live import LiveCluster
from webhook.cli.main import schemagate
from webhook.errors import NotFoundError
from webhook.kube.api.client import Client
from webhook.policy.names import ROTATE


@pytest.fixture
def storage() -> Storage:
    made = Storage()
    asyncio.run(keeper(made)._look())
    return made


def run(work: Callable[[LiveCluster, str], Awaitable[int]], storage: Storage) -> int:
    return asyncio.run(_int(work(LiveCluster(cast("Client", storage)), "ns")))


async def _int(work: Awaitable[int]) -> int:
    return await work


def show(storage: Storage, output: str = "json") -> int:
    return run(lambda cluster, where: shown(cluster, where, output), storage)


def test_show_tells_chain_and_webhooks_but_no_key(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(storage) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in rows] == ["leaf", "ca", *["webhook"] * 4]
    assert {row["state"] for row in rows} == {"valid", "in sync"}
    assert rows[0]["renewal"] < rows[0]["ends"]
    for output in ("table", "yaml", "json"):
        show(storage, output)
        assert "PRIVATE" not in capsys.readouterr().out


def test_show_fails_where_a_webhook_refuses(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    storage.objects[CONFIGURATIONS[0]]["webhooks"][1]["clientConfig"]["caBundle"] = ""
    assert show(storage, "table") == 1
    assert "refuses the leaf" in capsys.readouterr().out


def test_show_says_what_is_missing(storage: Storage) -> None:
    del storage.objects[LEAF]
    with pytest.raises(NotFoundError, match="no Secret schemagate-webhook-tls"):
        show(storage)


@pytest.mark.parametrize("what", ["leaf", "ca"])
def test_rotate_asks_and_is_done_when_it_is(storage: Storage, what: str) -> None:
    assert run(lambda cluster, where: rotated(cluster, where, what, None), storage) == 0
    path = LEAF if what == "leaf" else AUTHORITY
    assert storage.objects[path]["metadata"]["annotations"][ROTATE]
    assert run(lambda cluster, where: rotated(cluster, where, what, 0.1), storage) == 1

    async def with_a_leader() -> int:
        keeps = keeper(storage)

        async def lead() -> None:
            while True:
                await keeps._look()
                keeps._clock = lambda: 100.0  # the new authority has settled
                await asyncio.sleep(0.1)

        leading = asyncio.create_task(lead())
        try:
            return await rotated(LiveCluster(cast("Client", storage)), "ns", what, 20)
        finally:
            leading.cancel()

    assert asyncio.run(with_a_leader()) == 0


def test_the_group_is_a_command() -> None:
    assert isinstance(schemagate.commands["certs"], click.Group)
