"""What is known of the Gateway resource's schema, and when it is looked at again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kube.fake_api import FakeApi, Step, answer, client_of, serving, status
from webhook.kube.gateway_kind import GatewayKind
from webhook.policy.gateway_resource import Gateway
from webhook.policy.objects import view

KIND = {"group": "security.brcmlabs.com", "version": "v1", "kind": "Gateway"}


def schema(**fields: Any) -> Step:
    gateway = {"x-kubernetes-group-version-kind": [KIND], "properties": {"status": {"properties": fields}}}
    return answer({"components": {"schemas": {"com.brcmlabs.security.v1.Gateway": gateway}}})


STOCK, NEWER = schema(phase={}), schema(phase={}, migrationStatus={})
ASKS = view(Gateway, {"spec": {"app": {"management": {"database": {"migrationJob": {"enabled": True}}}}}})


@asynccontextmanager
async def followed(tmp_path: Path, *answers: Step) -> AsyncIterator[tuple[FakeApi, GatewayKind, asyncio.Event]]:
    async with serving(list(answers)) as api, client_of(api, tmp_path) as client:
        kind, changed = GatewayKind(client, pause=0.01), asyncio.Event()
        task = asyncio.create_task(kind.follow(changed.set))
        try:
            yield api, kind, changed
        finally:
            task.cancel()


async def test_a_gateway_that_asks_for_a_job_tells_of_a_newer_schema(tmp_path: Path) -> None:
    async with followed(tmp_path, STOCK, STOCK, NEWER) as (_, kind, changed):
        await kind.look()
        kind.seen(ASKS)
        await asyncio.wait_for(changed.wait(), 30)
        assert kind.mirrors


async def test_a_schema_that_takes_long_to_be_published_is_found_all_the_same(tmp_path: Path) -> None:
    async with followed(tmp_path, *[STOCK] * 8, NEWER) as (_, kind, changed):
        kind.seen(ASKS)
        await asyncio.wait_for(changed.wait(), 30)
        assert kind.mirrors


@pytest.mark.parametrize("gateway", [Gateway(), view(Gateway, {"spec": {"app": {"image": "gateway:11.3.0"}}})])
async def test_a_gateway_as_any_other_is_no_reason_to_look(tmp_path: Path, gateway: Gateway) -> None:
    async with followed(tmp_path, STOCK) as (api, kind, _):
        kind.seen(gateway)
        await kind.look()
        assert len(api.asked) == 1


async def test_what_was_not_kept_is_not_tried_again(tmp_path: Path) -> None:
    async with followed(tmp_path, NEWER) as (_, kind, _):
        await kind.look()
        kind.pruned()
        assert not kind.mirrors


async def test_a_server_that_cannot_be_asked_changes_nothing(tmp_path: Path) -> None:
    async with followed(tmp_path, NEWER, status(500)) as (_, kind, _):
        await kind.look()
        await kind.look()
        assert kind.mirrors
