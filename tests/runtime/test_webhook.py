"""A webhook replica that cannot go on says why."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.kube.fake_api import client_of, serving
from webhook.runtime.webhook import WebhookProcess
from webhook.settings import Settings


class Broken(WebhookProcess):
    """A replica one of whose parts fails before the copies are complete."""

    part = ""

    async def _follow_cluster(self) -> None:
        await self._fail("following")

    async def _wait_complete(self) -> None:
        await self._fail("syncing")

    async def _fail(self, part: str) -> None:
        if part == self.part:
            raise LookupError(part)
        await asyncio.Event().wait()


@pytest.mark.parametrize("part", ["following", "syncing"])
async def test_what_ends_it_before_it_serves_is_raised(tmp_path: Path, part: str) -> None:
    async with serving() as api, client_of(api, tmp_path) as client:
        process = Broken(client, Settings(port=0, ops_port=0), "schemagate", "w-1")
        process.part = part
        with pytest.raises(LookupError, match=part):
            await asyncio.wait_for(process.run(asyncio.Event()), 20)


async def test_told_to_stop_before_it_serves_it_just_ends(tmp_path: Path) -> None:
    stop = asyncio.Event()
    stop.set()
    async with serving() as api, client_of(api, tmp_path) as client:
        await asyncio.wait_for(Broken(client, Settings(port=0, ops_port=0), "schemagate", "w-1").run(stop), 20)
