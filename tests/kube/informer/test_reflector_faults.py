"""A reflector against an API server that misbehaves in all the ways that were seen."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kube.fake_api import (
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
from tests.kube.informer.reflecting import PACE, following, project
from webhook.kube.api.client import ANSWER_LIMIT
from webhook.kube.informer.reflector import Reflector
from webhook.kube.resources import RECORDS


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


async def test_a_watch_that_lasted_and_ended_well_is_opened_again_at_once(tmp_path: Path) -> None:
    """Every watch ends some time: what changes meanwhile is known the sooner."""
    good = stream(event("ADDED", item("a", 11)), after="end")
    async with following(tmp_path, None, [good, good, html(502), silent()], replace(PACE, settled=0)) as (
        api,
        _,
        _,
        waits,
    ):
        await api.until(watches=4)
    assert waits.seconds == pytest.approx([0.3])


async def test_a_server_that_hangs_is_left(tmp_path: Path) -> None:
    pace = replace(PACE, page=1.0, connect=1.0)
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
