"""A Lease on an API server that lives in a World, and the ways in which a network lets its clients down."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from structlog.testing import CapturingLogger

from tests.support.virtual import VirtualLoop, World, never
from webhook.errors import ClusterError, ConflictError, NameTakenError, NotFoundError
from webhook.kube.lease.elector import Elector

PATH = "/apis/coordination.k8s.io/v1/namespaces/gate/leases"
Network = Literal["ok", "hang", "deaf", "late", "fail", "forbidden"]
"""deaf: what is sent arrives, answers do not; late: what is sent arrives when nobody waits for it any more."""
LATE = 12.0


def alone(replicas: Iterable[Replica]) -> None:
    """At most one of them may write."""
    leaders = [replica.identity for replica in replicas if replica.elector.held()]
    assert len(leaders) <= 1, leaders


class LeaseServer:
    """Stores one Lease as an API server does: created once, then replaced by whoever read it last."""

    def __init__(self, world: World) -> None:
        self.loop = world.process()
        self.stored: dict[str, Any] | None = None
        self.version = 0
        self.requests: list[tuple[str, dict[str, Any] | None]] = []

    @property
    def spec(self) -> dict[str, Any]:
        assert self.stored is not None
        spec = self.stored["spec"]
        assert isinstance(spec, dict)
        return spec

    def put(self, manifest: dict[str, Any] | None) -> None:
        """Write whatever the Lease is, as somebody with kubectl would; None deletes it."""
        self.version += 1
        if manifest is None:
            self.stored = None
            return
        metadata = {**manifest.get("metadata", {}), "resourceVersion": str(self.version)}
        self.stored = {**manifest, "metadata": metadata}

    def answer(self, method: str, body: dict[str, Any] | None) -> bytes:
        self.requests.append((method, body))
        if method == "POST":
            if self.stored is not None:
                raise NameTakenError("POST: 409 AlreadyExists")
        elif self.stored is None:
            raise NotFoundError(f"{method}: 404 NotFound")
        if body is not None:
            if method == "PUT" and body["metadata"]["resourceVersion"] != str(self.version):
                raise ConflictError("PUT: 409 Conflict")
            self.put(body)
        return json.dumps(self.stored).encode()


class LeaseClient:
    """One replica's way to the server."""

    def __init__(self, server: LeaseServer, latency: float = 0.01) -> None:
        self.server = server
        self.network: Network = "ok"
        self.latency = latency
        self.before: list[Callable[[str], None]] = []  # what happens just before the next request arrives

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109 # ignored: the elector's own limits have to do
    ) -> bytes:
        assert path == (PATH if method == "POST" else f"{PATH}/gate-controller")
        assert body is None or isinstance(body, dict)
        # Through JSON, as over a wire: nothing is shared.
        sent = json.loads(json.dumps(body))
        await asyncio.sleep(self.latency)
        if self.network == "fail":
            raise OSError("connection reset by peer")
        if self.network == "forbidden":
            raise ClusterError("403")
        if self.network == "hang":
            await never()
        if self.network == "late":
            self.server.loop.call_later(LATE, self._arrive, method, sent)
            await never()
        if self.before:
            self.before.pop(0)(method)
        answer = self.server.answer(method, sent)
        await (never() if self.network == "deaf" else asyncio.sleep(self.latency))
        return answer

    def _arrive(self, method: str, body: dict[str, Any] | None) -> None:
        with contextlib.suppress(ClusterError):  # nobody waits for it
            self.server.answer(method, body)


class Replica:
    """A process with an elector; its work writes all the time, and asks the fence before."""

    def __init__(
        self,
        world: World,
        server: LeaseServer,
        identity: str,
        *,
        rate: float = 1.0,
        skew: float = 0.0,
        stopped_wall_clock: bool = False,
        times: Mapping[str, float] | None = None,
    ) -> None:
        self.world = world
        self.loop: VirtualLoop = world.process(rate=rate, offset=skew)
        self.client = LeaseClient(server)
        self.identity = identity
        self.changes: list[bool] = []
        self.abandoned = 0
        self.writes: list[float] = []
        self.starts: list[float] = []
        self.stops: list[float] = []
        base = datetime(2026, 11, 22, 13, tzinfo=UTC) + timedelta(seconds=skew)
        self.elector = Elector(
            self.client,
            "gate",
            "gate-controller",
            identity,
            clock=self.loop.time,
            now=lambda: base if stopped_wall_clock else base + timedelta(seconds=world.now),
            jitter=lambda: 0.5,
            changed=self.changes.append,
            abandon=self.abandon,
            log=CapturingLogger(),
            **(times or {}),
        )
        self.task: asyncio.Task[None] | None = None

    def abandon(self) -> None:
        self.abandoned += 1

    async def lead(self) -> None:
        self.starts.append(self.world.now)
        try:
            while True:
                self.elector.fence()
                self.writes.append(self.world.now)
                await asyncio.sleep(1.9)
        finally:
            self.stops.append(self.world.now)

    def start(self, lead: Callable[[], Any] | None = None) -> Replica:
        self.task = self.loop.create_task(self.elector.run(lead or self.lead))
        return self

    def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
