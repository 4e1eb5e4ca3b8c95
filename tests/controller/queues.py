"""A work queue in a World, and a worker that does what it is told."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from tests.support.virtual import VirtualLoop, World
from webhook.controller.queue import Key, WorkQueue

A, B, C = ("ns", "a"), ("ns", "b"), ("ns", "c")


class Rig:
    """A queue in a process of a World, and a worker that does what it is told for each key."""

    def __init__(self) -> None:
        self.world = World()
        self.loop: VirtualLoop = self.world.process()
        self.failed: list[tuple[Key, Exception]] = []
        self.queue = WorkQueue(lambda key, error: self.failed.append((key, error)), jitter=lambda: 0.5)
        self.started: list[tuple[Key, float]] = []
        self.running: set[Key] = set()
        self.most = 0
        self.errors: dict[Key, BaseException] = {}
        self.again: dict[Key, float | None] = {}
        self.takes: dict[Key, float] = {}
        self.task: asyncio.Task[None] | None = None

    def run(self, workers: int = 4) -> Rig:
        self.task = self.loop.create_task(self.queue.run(self.work, workers=workers))
        self.world.advance(0)
        return self

    async def work(self, key: Key) -> float | None:
        assert key not in self.running
        self.started.append((key, self.world.now))
        self.running.add(key)
        self.most = max(self.most, len(self.running))
        try:
            if self.takes.get(key):
                await asyncio.sleep(self.takes[key])
        finally:
            self.running.discard(key)
        if key in self.errors:
            raise self.errors[key]
        return self.again.get(key)

    def add(self, *keys: Key) -> None:
        async def adding() -> None:
            for key in keys:
                self.queue.add(key)

        self.loop.do(adding())

    def add_after(self, key: Key, seconds: float) -> None:
        async def adding() -> None:
            self.queue.add_after(key, seconds)

        self.loop.do(adding())

    def keys(self) -> list[Key]:
        return [key for key, _ in self.started]

    def gaps(self, key: Key) -> list[float]:
        times = [when for started, when in self.started if started == key]
        return [round(late - early, 3) for early, late in pairwise(times)]
