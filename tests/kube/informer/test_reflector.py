"""A reflector keeps up with a server that behaves."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.kube.fake_api import (
    event,
    item,
    listed,
    status,
    stream,
)
from tests.kube.informer.reflecting import following
from webhook.kube.resources import NAMESPACES


async def test_pages_then_events(tmp_path: Path) -> None:
    lists = [listed(item("a", 1), token="t1"), listed(item("b", 2), item("dull", 3, dull=True), version=10)]
    watch = stream(
        event("ADDED", item("c", 11)),
        event("MODIFIED", item("a", 12)) + event("DELETED", item("b", 13)),
        event("MODIFIED", item("c", 14, dull=True)),
        event("BOOKMARK", {"metadata": {"resourceVersion": "20"}}),
        event("ADDED", item("last", 21)),
        after="end",
    )
    gate = asyncio.Event()
    watches = [watch, stream(event("DELETED", item("last", 22)), gate=gate)]
    more: dict[str, Any] = {"page": 2, "labels": "x=y", "namespace": "team-a"}
    async with following(tmp_path, lists, watches, **more) as (api, reflector, told, _):
        await asyncio.wait_for(reflector.wait_synced(), 20)
        await api.until(watches=2)
        assert reflector.keys() == [("team-a", "a"), ("team-a", "last")]
        assert reflector.get("team-a", "a") == "a@12"
        assert reflector.get("team-a", "b") is None
        assert sorted(reflector.values()) == ["a@12", "last@21"]
        assert len(reflector) == 2
        assert told.names[2:] == ["c", "a", "b", "c", "last"]
        gate.set()
        await told.until(lambda: told.names[-2:] == ["last", "last"])
        assert (reflector.lists, reflector.watches, reflector.events) == (1, 2, 6)
        assert (reflector.problem, reflector.failures) == ("", 0)
        assert 0 <= reflector.age() < 20
    first, second, watch_one, watch_two = api.asked
    assert first.path.startswith("/apis/schemagate.io/v1alpha1/namespaces/team-a/gatewaymigrations?")
    assert first.query == {"labelSelector": "x=y", "limit": "2"}
    assert second.query == {"labelSelector": "x=y", "limit": "2", "continue": "t1"}
    assert watch_one.query == {
        "labelSelector": "x=y",
        "watch": "true",
        "resourceVersion": "10",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "300",
    }
    assert watch_two.query["resourceVersion"] == "21"


async def test_metadata_only(tmp_path: Path) -> None:
    async with following(tmp_path, resource=NAMESPACES, metadata_only=True) as (api, _, _, _):
        await api.until(watches=1)
    assert [one.headers["Accept"] for one in api.asked] == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ]


async def test_refresh_while_the_watch_is_idle(tmp_path: Path) -> None:
    lists = [listed(item("a", 1)), listed(item("a", 11), version=12)]
    async with following(tmp_path, lists) as (api, reflector, _, waits):
        await api.until(watches=1)
        async with asyncio.timeout(20):
            await reflector.refresh()
        assert reflector.get("team-a", "a") == "a@11"
        await api.until(watches=2)
    assert "resourceVersion" not in api.asked[2].query
    assert api.asked[3].query["resourceVersion"] == "12"
    assert waits.seconds == []


async def test_refresh_waits_until_a_list_succeeds(tmp_path: Path) -> None:
    lists = [listed(), status(503), status(503), listed(item("a", 11), version=12)]
    async with following(tmp_path, lists) as (api, reflector, _, waits):
        await api.until(watches=1)
        abandoned = asyncio.create_task(reflector.refresh())
        await asyncio.sleep(0)
        abandoned.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(reflector.refresh(), reflector.refresh())
        assert reflector.get("team-a", "a") == "a@11"
        assert len(waits.seconds) == 2
        await asyncio.gather(abandoned, return_exceptions=True)


async def test_what_we_wrote_is_known_at_once(tmp_path: Path) -> None:
    gate = asyncio.Event()
    events = (
        event("MODIFIED", item("a", 11)),
        event("MODIFIED", item("a", 12)),
        event("MODIFIED", item("b", 13)),
        event("DELETED", item("b", 14)),
        event("ADDED", item("end", 15)),
    )
    lists = [listed(item("a", 1), item("b", 2))]
    async with following(tmp_path, lists, [stream(*events, gate=gate)], namespace="team-a") as (
        api,
        reflector,
        told,
        _,
    ):
        await api.until(watches=1)
        told.names.clear()
        reflector.learn(json.dumps(item("a", 12)).encode())
        reflector.learn(json.dumps(item("elsewhere", 12, namespace="team-b")).encode())
        reflector.learn(json.dumps(item("bad", 12, poison=True)).encode())
        reflector.learn(b'{"kind": "Status"}')
        reflector.forget("team-a", "b", "uid-b")
        assert told.names == ["a", "b"]
        assert told.poison == [("team-a", "bad", "poison")]
        gate.set()
        await told.until(lambda: "end" in told.names)
        assert reflector.get("team-a", "a") == "a@12"
        assert told.names == ["a", "b", "end"]


async def test_poison_stops_itself_alone(tmp_path: Path) -> None:
    lists = [listed(item("bad", 1, poison=True), {"metadata": 7}, item("a", 2), item("b", 3))]
    watch = stream(
        event("MODIFIED", item("a", 11, poison=True)),
        event("MODIFIED", item("b", 12, uid="other", poison=True)),
        event("ADDED", item("c", 13)),
    )
    async with following(tmp_path, lists, [watch]) as (_, reflector, told, _):
        await told.until(lambda: "c" in told.names)
        assert sorted(reflector.values()) == ["a@2", "c@13"]
        assert [name for _, name, _ in told.poison] == ["bad", "", "a", "b"]
        assert reflector.unreadable == {("team-a", name) for name in ("bad", "a", "b")}


async def test_poison_is_known_until_it_is_mended_or_gone(tmp_path: Path) -> None:
    bad = [item(name, number, poison=True) for number, name in enumerate("abcd", 1)]
    mended = stream(event("MODIFIED", item("a", 11)), event("DELETED", bad[1]), event("ADDED", item("x", 13)))
    lists = [listed(*bad), listed(bad[3], version=20)]
    async with following(tmp_path, lists, [mended], schema_may_change=True) as (_, reflector, told, _):
        await told.until(lambda: "x" in told.names)
        assert reflector.unreadable == {("team-a", "c"), ("team-a", "d")}
        async with asyncio.timeout(20):
            await reflector.refresh()
        assert reflector.unreadable == {("team-a", "d")}


async def test_the_event_loop_has_its_turn(tmp_path: Path) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    burst = b"".join(event("ADDED", item(f"n{number}", 11 + number)) for number in range(5000))
    gate = asyncio.Event()
    async with following(tmp_path, None, [stream(burst, gate=gate)]) as (api, reflector, told, _):
        await api.until(watches=1)
        running = asyncio.create_task(other())
        gate.set()
        await told.until(lambda: len(reflector) == 5000)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert turns >= 50


async def test_a_schema_that_changes_under_an_object_is_seen(tmp_path: Path) -> None:
    """A definition that knows more fields shows them without a new version; all watches of the kind end then."""
    lists = [listed(item("a", 1, dull=True), item("b", 1)), listed(item("a", 1), item("b", 1), version=2)]
    watches = [stream(after="end"), stream()]
    async with following(tmp_path, lists, watches, schema_may_change=True) as (api, reflector, told, _):
        await api.until(watches=2)
        assert reflector.keys() == [("team-a", "a"), ("team-a", "b")]
        assert told.names == ["b", "a"]
        assert reflector.lists == 2


async def test_the_end_of_a_watch_is_no_reason_to_list_where_schemas_stay(tmp_path: Path) -> None:
    async with following(tmp_path, [listed(item("a", 1))], [stream(after="end"), stream()]) as (
        api,
        reflector,
        *_,
    ):
        await api.until(watches=2)
        assert reflector.lists == 1
