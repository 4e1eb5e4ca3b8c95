"""Objects nested deeper than a decoder goes: an API server stores them up to 10,000 levels deep."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from tests.kube.fake_api import Step, event, html, item, listed, silent, stream
from tests.kube.informer.reflecting import following
from webhook.errors import UnreachableError
from webhook.kube.informer.listing import decoded, event_of, meta_of

DEPTH = 5000


def nest(depth: int = DEPTH) -> bytes:
    return b'{"a":[' * depth + rb'"]}\"[{"' + b"]}" * depth


def deep(body: bytes) -> bytes:
    """Put something deep where the mark is: what writes JSON here goes no deeper than what reads it."""
    return body.replace(b'"DEEP"', nest())


def raw(body: bytes) -> Step:
    async def step(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return step


def test_a_deep_object_is_told_from_others() -> None:
    body = deep(json.dumps(item("a", 7, spec={"x": "DEEP", "y": ["}", "DEEP"]})).encode())
    with pytest.raises(RecursionError):
        msgspec.json.decode(body)
    assert (meta_of(body).name, meta_of(body).version) == ("a", "7")
    kind, found = event_of("x", b'{"type":"ADDED","object":' + body + b"}")
    assert (kind, meta_of(found).uid) == ("ADDED", "uid-a")


@pytest.mark.parametrize("depth", [1, 40, 98, 99, 100, 101, 500, 20_000])
def test_what_lies_shallow_stays(depth: int) -> None:
    body = b'{"before":{"b":[1,{"c":"]"}]},"deep":' + nest(depth) + b',"after":[[2]]}'

    class Read(msgspec.Struct):
        before: dict[str, object]
        after: list[object]

    found = decoded(body, Read)
    assert (found.before, found.after) == ({"b": [1, {"c": "]"}]}, [[2]])


@pytest.mark.parametrize("body", [b"[" * DEPTH, b'{"a":' * DEPTH + b'"', b"]" * DEPTH, nest()[:-1], b"{" + nest()])
def test_what_is_no_json_stays_none(body: bytes) -> None:
    with pytest.raises(UnreachableError):
        meta_of(body)


async def test_a_deep_object_ends_no_reflector(tmp_path: Path) -> None:
    page = {"metadata": {"resourceVersion": "10"}, "items": [item("a", 1), item("deep", 2, spec="DEEP")]}
    lines = (event("ADDED", item("deeper", 11, spec="DEEP")), event("ADDED", item("b", 12)))
    lists, watches = [raw(deep(json.dumps(page).encode()))], [stream(*map(deep, lines))]
    async with following(tmp_path, lists, watches) as (_, reflector, told, _):
        await told.until(lambda: "b" in told.names)
        assert sorted(reflector.values()) == ["a@1", "b@12", "deep@2", "deeper@11"]
        assert reflector.failures == 0


async def test_a_page_that_is_no_list_at_any_depth_is_asked_for_again(tmp_path: Path) -> None:
    lists = [raw(b"[" * DEPTH), html(200), listed(item("a", 1))]
    async with following(tmp_path, lists, [silent()]) as (api, reflector, _, _):
        await asyncio.wait_for(reflector.wait_synced(), 20)
        await api.until(watches=1)
        assert (reflector.values(), reflector.failures) == (["a@1"], 2)
