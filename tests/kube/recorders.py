"""A server that takes Events, and a recorder that runs in a World."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.virtual import World, never
from webhook.errors import NotFoundError
from webhook.kube.events.recorder import EventRecorder
from webhook.kube.events.stored import Reference

START = datetime(2026, 11, 22, 13, tzinfo=UTC)


def deployment(name: str = "ssg", namespace: str = "team-a") -> Reference:
    return Reference("apps/v1", "Deployment", namespace, name, f"uid-{name}")


class EventServer:
    """Keeps what it is sent; fails or hangs while told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.failure: Exception | None = None
        self.forgotten = False
        self.hanging = False

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object | None = None,
        content_type: str = "application/json",
        timeout: float = 10.0,  # noqa: ASYNC109 # ignored: the recorder's own limit has to do
    ) -> bytes:
        assert isinstance(body, dict)
        assert content_type == ("application/json" if method == "POST" else "application/merge-patch+json")
        self.sent.append((method, path, body))
        if self.hanging:
            await never()
        await asyncio.sleep(0.01)
        if self.failure is not None:
            raise self.failure
        if self.forgotten and method == "PATCH":
            raise NotFoundError("404")
        return b"{}"

    @property
    def created(self) -> list[dict[str, Any]]:
        return [body for method, _, body in self.sent if method == "POST"]

    @property
    def series(self) -> list[int]:
        return [body["series"]["count"] for method, _, body in self.sent if method == "PATCH"]


class Rig:
    """A recorder that runs in a process of a World."""

    def __init__(self) -> None:
        self.world = World()
        self.loop = self.world.process()
        self.server = EventServer()
        self.dropped = 0
        self.recorder = EventRecorder(
            self.server,
            "schemagate-0_1",
            self.drop,
            clock=self.loop.time,
            now=lambda: START + timedelta(seconds=self.world.now - 1000),
        )
        self.task = self.loop.create_task(self.recorder.run())

    def drop(self, many: int) -> None:
        self.dropped += many

    def record(
        self, note: str = "waits for its migration", reason: str = "RolloutDenied", name: str = "ssg"
    ) -> None:
        self.recorder.record(deployment(name), "Warning", reason, note, "Deny")
