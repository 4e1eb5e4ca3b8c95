"""A reflector that follows a scripted API server, and what it tells."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from tests.kube.fake_api import (
    FakeApi,
    Step,
    client_of,
    serving,
)
from webhook.kube.api.pace import Pace
from webhook.kube.informer.listing import Object
from webhook.kube.informer.reflector import Reflector
from webhook.kube.resources import RECORDS, Resource


class Waits:
    """Waits that are noted down, and last no longer than a turn of the loop."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.note: Callable[[], None] = lambda: None

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.note()
        await asyncio.sleep(0)


def longest(_: float, most: float) -> float:
    return most


PACE = Pace(idle=20, jitter=longest)


def project(raw: Object) -> str | None:
    thing = msgspec.json.decode(raw)
    if thing.get("poison"):
        raise ValueError("poison")
    return None if thing.get("dull") else f"{thing['metadata']['name']}@{thing['metadata']['resourceVersion']}"


class Told:
    """What a reflector told, and a way to wait for it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.poison: list[tuple[str, str, str]] = []
        self._came = asyncio.Event()

    def changed(self, _: str, name: str) -> None:
        self.names.append(name)
        self._came.set()

    def poisoned(self, namespace: str, name: str, error: Exception) -> None:
        self.poison.append((namespace, name, str(error)))
        self._came.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def following(
    folder: Path,
    lists: list[Step] | None = None,
    watches: list[Step] | None = None,
    pace: Pace | None = None,
    resource: Resource = RECORDS,
    **more: Any,
) -> AsyncGenerator[tuple[FakeApi, Reflector[str], Told, Waits]]:
    told, waits = Told(), Waits()
    async with serving(lists, watches) as api, client_of(api, folder) as client:
        reflector: Reflector[str] = Reflector(
            client,
            resource,
            project,
            told.changed,
            poison=told.poisoned,
            pace=replace(pace or PACE, sleep=waits),
            **more,
        )
        running = asyncio.create_task(reflector.run())
        try:
            yield api, reflector, told, waits
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert running.cancelled(), running.exception()
