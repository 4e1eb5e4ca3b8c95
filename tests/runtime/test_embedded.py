"""The composition root, in this process: readiness, the way of a rejection, the order of stopping."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.controller.test_reconcile import Fragile, second
from tests.support import builders as make
from tests.support.builders import NEXT_IMAGE
from webhook.embedded.apiserver import EmbeddedApiServer, admission_review
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import StartError
from webhook.policy.record import Phase
from webhook.runtime.embedded import EmbeddedGate, JobPolicy
from webhook.settings import Settings

VALIDATE = "/validate-apps-v1-deployment"


def cluster(*manifests: object) -> EmbeddedControllerCluster:
    made = EmbeddedControllerCluster()
    for manifest in manifests or (make.namespace(), make.config_map(), make.gateway(), make.deployment()):
        made.put(manifest)  # type: ignore[arg-type]
    return made


def gate_of(*manifests: object, jobs: JobPolicy = "wait", **settings: object) -> EmbeddedGate:
    given = {"port": 0, "ops_port": 0, "drain_seconds": 0.0, **settings}
    return EmbeddedGate(cluster(*manifests), Settings.model_construct(**given), jobs=jobs)  # type: ignore[arg-type]


@asynccontextmanager
async def running(gate: EmbeddedGate) -> AsyncIterator[asyncio.Event]:
    await gate.start()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(gate.run(stop))
        yield stop
        stop.set()


async def ready(gate: EmbeddedGate) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{gate.ops_url}/readyz") as answer:
        return answer.status, await answer.text()


async def until(cluster: EmbeddedControllerCluster, holds: Callable[[], object]) -> None:
    """Wait for something to hold, by the cluster's own events."""
    changed = asyncio.Event()
    cluster.subscribe(lambda _: changed.set())
    async with asyncio.timeout(15):
        while not holds():
            changed.clear()
            await changed.wait()


def stands(gate: EmbeddedGate, namespace: str) -> Phase | None:
    """Give the phase of the next image's migration, None while it has not begun."""
    record = gate.cluster.record(namespace, "ssg")
    return record.status.phase if record and record.status.image == NEXT_IMAGE else None


async def test_it_is_ready_between_start_and_drain() -> None:
    gate = gate_of()
    await gate.ops.start("127.0.0.1", 0)
    status, text = await ready(gate)
    assert status == 503
    assert text.splitlines() == ["not ready: caches are not synced", "not ready: the server has not started"]
    await gate.ops.stop()
    async with running(gate):
        assert await ready(gate) == (200, "ok\n")


async def test_a_denial_reaches_the_record(write_upgrade: Callable[..., Any]) -> None:
    gate = gate_of()
    async with running(gate), EmbeddedApiServer(gate.cluster, gate.url, gate.tls.client_context()) as api:
        for _ in range(3):
            assert not (await write_upgrade(api, "helm")).stored
        assert not (await write_upgrade(api, "ci", dry_run=True)).stored
    record = gate.cluster.record("team-a", "ssg")
    assert record is not None
    assert record.status.rejections.count == 3
    assert [entry.user for entry in record.status.rejections.newest] == ["helm"]


@pytest.fixture
def write_upgrade() -> Any:
    async def _write(api: EmbeddedApiServer, user: str, *, dry_run: bool = False) -> object:
        upgrade = make.deployment(make.container(image=NEXT_IMAGE))
        return await api.write(upgrade, user=user, dry_run=dry_run)

    return _write


async def test_a_denial_of_what_is_not_there_is_dropped() -> None:
    gate = gate_of()
    await gate.keep("team-x", "none", [])
    assert gate.cluster.record("team-x", "none") is None


async def test_who_waits_for_a_database_goes_on_when_it_is_free() -> None:
    gate = gate_of(make.config_map(), make.gateway(), make.deployment(), *second("a-team"), *second("z-team"))
    async with running(gate):
        for namespace in ("team-a", "a-team", "z-team"):
            gateway = gate.cluster.get("Gateway", namespace, "ssg")
            assert gateway is not None
            gate.cluster.put(make.merged(gateway, {"spec": {"app": {"image": NEXT_IMAGE}}}))
        done: list[str] = []
        while len(done) < 3:
            await until(gate.cluster, gate.runner.active)
            ((namespace, name),) = gate.runner.active()
            gate.runner.finish(namespace, name)
            await until(gate.cluster, lambda: stands(gate, namespace) is Phase.COMPLETE)  # noqa: B023 # awaited here
            done.append(namespace)
        assert sorted(done) == ["a-team", "team-a", "z-team"]


@pytest.mark.parametrize(("jobs", "phase"), [("complete", Phase.COMPLETE), ("fail", Phase.FAILED)])
async def test_jobs_end_as_asked(jobs: JobPolicy, phase: Phase) -> None:
    gate = gate_of(jobs=jobs)
    async with running(gate):
        gateway = gate.cluster.get("Gateway", "team-a", "ssg")
        gate.cluster.put(make.merged(gateway or {}, {"spec": {"app": {"image": NEXT_IMAGE}}}))
        await until(gate.cluster, lambda: stands(gate, "team-a") is phase)


async def test_a_reconciliation_that_fails_does_not_end_the_gate() -> None:
    fragile = Fragile()
    for manifest in (make.config_map(), make.gateway(), make.deployment()):
        fragile.put(manifest)
    gate = EmbeddedGate(fragile, Settings.model_construct(port=0, ops_port=0, drain_seconds=0.0), jobs="complete")
    async with running(gate):
        fragile.before = "create_job"
        fragile.put(make.gateway(spec={"app": {"image": NEXT_IMAGE}}))
        await until(fragile, lambda: stands(gate, "team-a") is Phase.COMPLETE)
        assert fragile.before == ""
        assert await ready(gate) == (200, "ok\n")


async def test_what_has_begun_is_finished_and_the_operations_port_closes_last() -> None:
    gate = gate_of()
    await gate.start()
    raw = json.dumps(admission_review(make.deployment(), make.deployment(), user="x")).encode()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", gate.server.port, ssl=gate.tls.client_context(), server_hostname="localhost"
    )
    head = f"POST {VALIDATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(raw)}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
    stopping = asyncio.create_task(gate.stop())
    async with aiohttp.ClientSession() as session, session.get(f"{gate.ops_url}/healthz") as alive:
        assert alive.status == 200
    ops_port = gate.ops.port
    assert not stopping.done()
    writer.write(raw)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    await stopping
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", ops_port)
    await gate.stop()


@pytest.mark.parametrize("flag", ["port", "ops_port"])
async def test_a_port_that_is_taken_leaves_nothing_open(flag: str) -> None:
    taken = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    gate = gate_of(**{flag: port})
    with pytest.raises(StartError, match=f"--{flag.replace('_', '-')} {port}: cannot listen there"):
        await gate.start()
    taken.close()
    await taken.wait_closed()


async def test_an_ipv6_address_is_written_in_brackets() -> None:
    gate = gate_of(host="::1")
    async with running(gate):
        assert gate.url == f"https://[::1]:{gate.server.port}"
        assert await ready(gate) == (200, "ok\n")


async def test_the_operations_port_answers_nothing_else() -> None:
    gate = gate_of()
    async with running(gate), aiohttp.ClientSession() as session:
        async with session.get(f"{gate.ops_url}/nonsense") as answer:
            assert answer.status == 404
        async with session.post(f"{gate.ops_url}/metrics") as answer:
            assert answer.status == 405
        async with session.get(f"{gate.ops_url}/metrics") as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_a_certificate_made_on_the_spot_is_trusted_by_its_authority_alone() -> None:
    gate = gate_of()
    async with running(gate):
        for name in ("localhost", "127.0.0.1"):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", gate.server.port, ssl=gate.tls.client_context(), server_hostname=name
            )
            writer.close()
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", gate.server.port, ssl=ssl.create_default_context())
