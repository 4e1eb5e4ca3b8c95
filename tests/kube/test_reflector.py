"""A reflector against an API server that misbehaves in all the ways that were seen."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.kube.fake_api import (
    FakeApi,
    Step,
    answer,
    client_of,
    event,
    hanging,
    html,
    item,
    listed,
    serving,
    silent,
    status,
    stream,
)
from webhook.kube.client import ANSWER_LIMIT
from webhook.kube.listing import Object
from webhook.kube.pace import Pace
from webhook.kube.reflector import Reflector
from webhook.kube.resources import NAMESPACES, RECORDS, Resource


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


async def test_a_list_that_expires_between_pages_starts_over(tmp_path: Path) -> None:
    lists = [listed(item("a", 1), token="t"), status(410, "Expired"), listed(item("b", 2))]
    async with following(tmp_path, lists) as (api, reflector, told, waits):
        await api.until(watches=1)
        assert reflector.keys() == [("team-a", "b")]
        assert told.names == ["b"]
    assert [one.query.get("continue") for one in api.asked[:3]] == [None, "t", None]
    assert waits.seconds == pytest.approx([0.3])


@pytest.mark.parametrize(
    "expired",
    [
        status(410, "Expired"),
        stream(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})),
        stream(event("ERROR", {"kind": "Status", "reason": "Gone"})),
        status(504, "Timeout", "Too large resource version: 10, current: 4"),
        stream(b'{"type":"ADDED","object":"' + b"x" * (9 * 2**20)),
        status(400, "BadRequest", "invalid resourceVersion"),
    ],
    ids=["http", "event", "reason", "ahead", "9 MiB", "refused"],
)
async def test_a_watch_that_cannot_go_on_lists_anew(tmp_path: Path, expired: Step) -> None:
    lists = [listed(item("a", 1), item("b", 2)), listed(item("a", 1), item("c", 12), version=15)]
    async with following(tmp_path, lists, [expired, silent()]) as (api, reflector, told, waits):
        await api.until(watches=2)
        assert reflector.keys() == [("team-a", "a"), ("team-a", "c")]
        # What has not changed is not told again.
        assert sorted(told.names) == ["a", "b", "b", "c"]
        assert reflector.failures == 1
    assert api.asked[-1].query["resourceVersion"] == "15"
    assert waits.seconds == pytest.approx([0.3])


@pytest.mark.parametrize(
    ("lists", "watches"),
    [
        ([listed()], [status(410, "Expired")]),
        ([status(410, "Expired")], [silent()]),
        ([listed()], [html(502)]),
        ([listed()], [stream(after="end")]),
        ([listed()], [stream(event("BOOKMARK", {"metadata": {"resourceVersion": "11"}}), after="end")]),
        ([listed()], [stream(b"<html>\n", after="end")]),
        ([listed()], [stream(after="cut")]),
        ([listed()], [stream(event("ERROR", {"code": 500}))]),
        ([html(200)], [silent()]),
        ([status(503)], [silent()]),
    ],
    ids=["410", "410 list", "502", "closed", "bookmark", "garbage", "cut", "error", "html list", "503 list"],
)
async def test_a_server_that_fails_for_ever_is_not_hammered(
    tmp_path: Path, lists: list[Step], watches: list[Step]
) -> None:
    async with following(tmp_path, lists, watches) as (api, _, _, waits):
        async with asyncio.timeout(20):
            while len(waits.seconds) < 8:
                async with api.came:
                    await api.came.wait()
    assert waits.seconds[:8] == pytest.approx([0.3, 0.5, 0.9, 1.7, 3.3, 6.5, 8.1, 8.1])


async def test_an_event_ends_the_back_off(tmp_path: Path) -> None:
    good = stream(event("ADDED", item("a", 11)), after="end")
    watches = [html(502), html(502), good, html(502), silent()]
    async with following(tmp_path, None, watches) as (api, _, _, waits):
        await api.until(watches=5)
    assert waits.seconds == pytest.approx([0.3, 0.5, 0.3, 0.5])


async def test_retry_after_is_honoured(tmp_path: Path) -> None:
    lists = [status(429, **{"Retry-After": "7"}), listed()]
    async with following(tmp_path, lists) as (api, _, _, waits):
        await api.until(watches=1)
    assert waits.seconds == [7]


async def test_silence_opens_the_watch_again(tmp_path: Path) -> None:
    lists, watches = [listed(item("a", 1))], [silent(), stream(event("ADDED", item("b", 11)))]
    pace = replace(PACE, idle=0.1)
    async with following(tmp_path, lists, watches, pace) as (api, reflector, told, _):
        await told.until(lambda: "b" in told.names)
        assert reflector.failures == 0
    assert api.count(watch=False) == 1
    assert api.asked[2].query["resourceVersion"] == "10"


async def test_a_server_that_hangs_is_left(tmp_path: Path) -> None:
    pace = replace(PACE, page=0.05, connect=0.05)
    async with following(tmp_path, [hanging(), listed()], [hanging(), silent()], pace) as (api, reflector, _, _):
        await api.until(watches=2)
        assert reflector.failures == 2


async def test_a_watch_that_fails_goes_on_where_it_was(tmp_path: Path) -> None:
    watches = [
        stream(event("ADDED", item("a", 11)), b'{"type":"ADDED","obj', after="cut"),
        stream(event("ADDED", item("b", 12)), b"garbage\n"),
        stream(event("ADDED", item("c", 13)), event("ADDED", {"no": "metadata"})),
        silent(),
    ]
    async with following(tmp_path, None, watches) as (api, reflector, _, _):
        await api.until(watches=4)
        assert len(reflector) == 3
        assert reflector.failures == 3
    assert [one.query["resourceVersion"] for one in api.asked[1:]] == ["10", "11", "12", "13"]


async def test_a_kind_that_is_not_installed(tmp_path: Path) -> None:
    lists = [status(404), status(404), listed(item("a", 1))]
    gone = [stream(event("ERROR", {"code": 404}))]
    async with following(tmp_path, lists, gone) as (api, reflector, told, waits):
        await asyncio.wait_for(reflector.wait_synced(), 20)
        assert (len(reflector), reflector.installed, reflector.problem) == (0, False, "")
        await told.until(lambda: told.names == ["a"])
        assert bool(reflector.installed)
        api.lists.appendleft(status(404))
        api.lists[-1] = status(404)
        await told.until(lambda: told.names[-2:] == ["a", "a"])
        assert (len(reflector), reflector.installed, reflector.synced) == (0, False, True)
    assert waits.seconds[:2] == [30, 30]


async def test_what_we_may_not_read_is_not_synced(tmp_path: Path) -> None:
    lists = [status(403, "Forbidden", "cannot list"), listed()]
    watches = [status(403, "Forbidden", "cannot watch"), stream(event("ADDED", item("a", 11)))]
    problems: list[tuple[bool, str]] = []
    async with following(tmp_path, lists, watches) as (api, reflector, told, waits):
        waits.note = lambda: problems.append((reflector.synced, reflector.problem))
        assert (reflector.synced, reflector.age()) == (False, float("inf"))
        await told.until(lambda: told.names == ["a"])
        assert (reflector.synced, reflector.problem) == (True, "")
    assert [synced for synced, _ in problems] == [False, False]
    assert "cannot list" in problems[0][1]
    assert "cannot watch" in problems[1][1]
    assert api.count(watch=False) == 2


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


async def test_a_page_too_long_to_hold_is_asked_for_in_parts(tmp_path: Path) -> None:
    huge = answer({"pad": "x" * ANSWER_LIMIT})
    async with following(tmp_path, [huge, listed(item("a", 1))]) as (api, reflector, _, _):
        await api.until(watches=1)
        assert reflector.values() == ["a@1"]
    assert [one.query.get("limit") for one in api.asked[:2]] == ["100", "25"]


async def test_an_error_of_our_own_is_not_swallowed(tmp_path: Path) -> None:
    def broken(namespace: str, name: str) -> None:
        raise LookupError(name)

    async with serving([listed(item("a", 1))]) as api, client_of(api, tmp_path) as client:
        reflector = Reflector(client, RECORDS, project, broken)
        with pytest.raises(LookupError):
            await asyncio.wait_for(reflector.run(), 20)
