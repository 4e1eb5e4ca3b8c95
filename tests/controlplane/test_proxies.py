"""The two proxies in front of the API server."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.controlplane.calls import CallProxy, DropCallError, forever
from tests.controlplane.client import ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.proxy import Proxy


@pytest.fixture
async def proxy(control_plane: ControlPlane) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", control_plane.api_port) as running:
        yield running


@pytest.fixture
async def calls(control_plane: ControlPlane) -> AsyncIterator[CallProxy]:
    context = control_plane.server_context()
    async with CallProxy(control_plane.api_url, ca_pem=control_plane.ca_pem, server=context) as running:
        yield running


@pytest.fixture
async def caller(
    control_plane: ControlPlane, calls: CallProxy, admin: Client, namespace: str
) -> AsyncIterator[Client]:
    """A service account that may do all in its namespace, through the numbering proxy."""
    binding = {
        "metadata": {"name": "all"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    await admin.post(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding)
    answer = await admin.post(f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", {"spec": {}})
    trust = ssl.create_default_context(cadata=control_plane.ca_pem.decode())
    async with Client(control_plane.api_url, trust, token=answer["status"]["token"]) as direct:
        await until(lambda: direct.get(f"/api/v1/namespaces/{namespace}/configmaps"), what="the right is known")
    async with Client(calls.url, trust, token=answer["status"]["token"]) as client:
        yield client


async def test_a_frozen_proxy_holds_old_and_new_connections(control_plane: ControlPlane, proxy: Proxy) -> None:
    async with Client(proxy.url, control_plane.client_context) as client:
        await client.get("/version")
        assert (proxy.opened, proxy.open) == (1, 1)

        proxy.freeze()
        waiting = [asyncio.ensure_future(client.get("/version")) for _ in range(2)]

        async def second_is_there() -> bool:
            return proxy.open == 2

        await until(second_is_there)
        assert not any(each.done() for each in waiting)

        proxy.thaw()
        assert [each["major"] for each in await asyncio.gather(*waiting)] == ["1", "1"]


async def test_a_silenced_connection_stays_silent_and_a_new_one_works(
    control_plane: ControlPlane, proxy: Proxy
) -> None:
    async with Client(proxy.url, control_plane.client_context) as client:
        await client.get("/version")
        proxy.silence()
        waiting = asyncio.ensure_future(client.get("/version"))
        async with Client(proxy.url, control_plane.client_context) as other:
            assert (await other.get("/version"))["major"] == "1"
        assert not waiting.done()
        proxy.cut()
        assert (await waiting)["major"] == "1"  # a read is repeated by the client, on a connection that is new


async def test_a_cut_proxy_breaks_what_is_open(control_plane: ControlPlane, proxy: Proxy) -> None:
    async with Client(proxy.url, control_plane.client_context) as client:
        await client.get("/version")
        proxy.freeze()
        waiting = asyncio.ensure_future(client.post("/api/v1/namespaces", {"metadata": {"name": "never"}}))
        await asyncio.wait([waiting], timeout=0.1)
        proxy.cut()
        with pytest.raises(aiohttp.ClientConnectionError):
            await waiting
        proxy.thaw()
        assert (await client.get("/version"))["major"] == "1"


async def test_calls_are_numbered_and_pass_unchanged(calls: CallProxy, caller: Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    seen: list[tuple[int, str, str, int]] = []

    async def after(number: int, method: str, path: str, status: int) -> None:
        seen.append((number, method, path, status))

    calls.after = after
    await caller.post(path, {"metadata": {"name": "one", "labels": {"a": "b"}}})
    listed = await caller.get(path, labelSelector="a in (b,c)", limit="5")
    await caller.patch(f"{path}/one", {"data": {"k": "ü"}})
    assert [each["metadata"]["name"] for each in listed["items"]] == ["one"]
    with pytest.raises(ApiError) as error:
        await caller.get(f"{path}/none")
    assert (error.value.status, error.value.reason) == (404, "NotFound")

    assert [(number, method, status) for number, method, _, status in seen] == [
        (1, "POST", 201),
        (2, "GET", 200),
        (3, "PATCH", 200),
        (4, "GET", 404),
    ]
    assert [call.status for call in calls.calls] == [201, 200, 200, 404]


async def test_a_watch_streams_and_has_no_number(
    control_plane: ControlPlane, calls: CallProxy, caller: Client, admin: Client, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await until(lambda: admin.exists(f"{path}/kube-root-ca.crt"), what="what every namespace gets")
    version = (await caller.get(path))["metadata"]["resourceVersion"]
    session = caller._session
    async with session.get(path, params={"watch": "true", "resourceVersion": version}) as stream:
        for name in ("first", "second"):
            await admin.post(path, {"metadata": {"name": name}})
            event = json.loads(await asyncio.wait_for(stream.content.readline(), 10))
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
    assert len(calls.calls) == 1


async def test_a_call_dropped_before_never_happens_and_one_dropped_after_has(
    calls: CallProxy, caller: Client, admin: Client, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def before(number: int, method: str, path: str) -> None:
        if number == 1:
            raise DropCallError

    async def after(number: int, method: str, path: str, status: int) -> None:
        if number == 2:
            raise DropCallError

    calls.before, calls.after = before, after
    for name in ("never", "ever"):
        with pytest.raises(aiohttp.ClientConnectionError):
            await caller.post(path, {"metadata": {"name": name}})
    assert not await admin.exists(f"{path}/never")
    assert await admin.exists(f"{path}/ever")
    await caller.post(path, {"metadata": {"name": "third"}})


async def test_a_held_call_waits_until_its_caller_goes(
    calls: CallProxy, caller: Client, admin: Client, namespace: str
) -> None:
    held, freed = asyncio.Event(), asyncio.Event()

    async def before(number: int, method: str, path: str) -> None:
        held.set()
        try:
            await forever()
        finally:
            freed.set()

    calls.before = before
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    waiting = asyncio.ensure_future(caller.post(path, {"metadata": {"name": "held"}}))
    await held.wait()
    assert not waiting.done()
    waiting.cancel()
    await freed.wait()
    assert not await admin.exists(f"{path}/held")
