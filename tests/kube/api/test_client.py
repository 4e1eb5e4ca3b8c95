"""The thin client against a server over a real socket."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.kube.fake_api import answer, client_of, hanging, html, kubeconfig, serving, status, stream
from webhook.errors import (
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    NotLeadingError,
    RejectedError,
    UnreachableError,
)
from webhook.kube.api.client import Client
from webhook.kube.api.connection import connect
from webhook.kube.api.lines import LineSplitter
from webhook.kube.resources import JOBS, PODS

JOB = JOBS.path("a", "j")


async def test_sends_json_and_gives_bytes(tmp_path: Path) -> None:
    async with (
        serving([answer({"kind": "Job"}, 201)]) as api,
        client_of(api, tmp_path, user_agent="us/1") as client,
    ):
        query = {"fieldManager": "us", "labelSelector": "a=b,c in (d, e)"}
        got = await client.request("POST", JOBS.path("a"), query=query, body={"a": None})
    assert json.loads(got) == {"kind": "Job"}
    asked = api.asked[0]
    assert asked.body == b'{"a":null}'
    assert asked.query == query
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["User-Agent"] == "us/1"
    assert asked.headers["Authorization"] == "Bearer first-token"


async def test_bytes_and_content_types_are_sent_as_they_are(tmp_path: Path) -> None:
    async with serving([answer({})]) as api, client_of(api, tmp_path) as client:
        await client.request("PATCH", JOB, body=b"[ ]", content_type="application/json-patch+json")
        await client.request("GET", PODS.path("a", "x/y"))
    assert api.asked[0].body == b"[ ]"
    assert api.asked[0].headers["Content-Type"] == "application/json-patch+json"
    assert api.asked[1].path == "/api/v1/namespaces/a/pods/x%2Fy"


@pytest.mark.parametrize(
    ("headers", "date", "warnings"),
    [
        (
            {"Date": "Sun, 22 Nov 2026 12:00:00 GMT", "Warning": '299 - "say \\"no\\" \\\\", 299 us/1 "two"'},
            datetime(2026, 11, 22, 12, tzinfo=UTC),
            ('say "no" \\', "two"),
        ),
        ({"Date": "yesterday", "Warning": "299 - unquoted"}, None, ()),
        ({"Date": "Sun, 22 Nov 2026 12:00:00 -0000", "Warning": '110 - "stale"'}, None, ()),
    ],
)
async def test_date_and_warnings_of_a_success_are_heard(
    tmp_path: Path, headers: dict[str, str], date: datetime | None, warnings: tuple[str, ...]
) -> None:
    heard: list[tuple[datetime | None, tuple[str, ...]]] = []
    async with (
        serving([answer({}, 200, **headers), status(404, **headers)]) as api,
        client_of(api, tmp_path) as client,
    ):
        await client.request("GET", JOB, heard=lambda got: heard.append((got.date, got.warnings)))
        with pytest.raises(NotFoundError):
            await client.request("GET", JOB, heard=lambda got: heard.append((got.date, got.warnings)))
    assert heard == [(date, warnings)]


async def test_text_is_given_when_asked_for(tmp_path: Path) -> None:
    async with serving([html(200)]) as api, client_of(api, tmp_path) as client:
        assert b"secret" in await client.request("GET", PODS.path("a", "p", "log"), accept="text/plain, */*")
        with pytest.raises(UnreachableError, match="no JSON"):
            await client.request("GET", JOB)


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (302, "", UnreachableError),
        (400, "", RejectedError),
        (401, "", ForbiddenError),
        (403, "", ForbiddenError),
        (404, "", NotFoundError),
        (405, "", RejectedError),
        (406, "", RejectedError),
        (409, "AlreadyExists", NameTakenError),
        (409, "Conflict", ConflictError),
        (410, "Expired", ExpiredError),
        (413, "", RejectedError),
        (415, "", RejectedError),
        (422, "Invalid", RejectedError),
        (429, "TooManyRequests", UnreachableError),
        (500, "", UnreachableError),
        (503, "", UnreachableError),
        (599, "", UnreachableError),
    ],
)
async def test_errors_say_what_was_asked_and_answered(
    tmp_path: Path, code: int, reason: str, error: type[ClusterError]
) -> None:
    step = status(code, reason, "it\nsays\x1b[31m why" + "!" * 500)
    async with serving([step]) as api, client_of(api, tmp_path) as client:
        with pytest.raises(error) as caught:
            await client.request("POST", JOBS.path("a"), body={"secret": "s3cr3t"})
    assert type(caught.value) is error
    message = str(caught.value)
    assert message.startswith(f"POST /apis/batch/v1/namespaces/a/jobs: {code} it says[31m why!!!")
    assert message.isprintable()
    assert len(message) < 550
    assert "s3cr3t" not in message
    assert "first-token" not in message


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("999999", 300), ("soon", 0), ("-1", 0), ("1e9", 0)])
async def test_retry_after(tmp_path: Path, header: str, seconds: float) -> None:
    async with serving([status(429, **{"Retry-After": header})]) as api, client_of(api, tmp_path) as client:
        with pytest.raises(UnreachableError) as caught:
            await client.request("GET", JOB)
    assert caught.value.retry_after == seconds


async def test_page_of_a_proxy_is_not_repeated(tmp_path: Path) -> None:
    async with serving([html(502)]) as api, client_of(api, tmp_path) as client:
        with pytest.raises(UnreachableError, match=r"502 Bad Gateway$"):
            await client.request("GET", JOB)


async def test_silence_is_bounded(tmp_path: Path) -> None:
    half = stream(b'{"a":', after="stay")
    async with serving([hanging(), half], [hanging()]) as api, client_of(api, tmp_path) as client:
        for _ in range(2):
            with pytest.raises(UnreachableError, match=r"no answer in 0\.05 s"):
                await client.request("GET", JOB, timeout=0.05)
        with pytest.raises(UnreachableError):
            async with client.stream(JOBS.path(), {"watch": "true"}, connect_timeout=0.05):
                pass


async def test_cut_and_refused_connections(tmp_path: Path) -> None:
    async with serving([stream(b'{"a":', after="cut")]) as api, client_of(api, tmp_path) as client:
        with pytest.raises(UnreachableError):
            await client.request("GET", JOB)
    async with client_of(api, tmp_path) as client:
        with pytest.raises(UnreachableError, match="ClientConnectorError"):
            await client.request("GET", JOB)


async def test_closed_client_answers_with_an_error(tmp_path: Path) -> None:
    client = await connect(kubeconfig(tmp_path, "http://127.0.0.1:1"))
    await client.close()
    await client.close()
    with pytest.raises(UnreachableError, match="closed"):
        await client.request("GET", JOB)


async def test_the_callers_own_deadline_is_not_an_error_of_ours(tmp_path: Path) -> None:
    async with serving([hanging()]) as api, client_of(api, tmp_path) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.request("GET", JOB)


async def test_fence_holds_writes_back_and_lets_reads_through(tmp_path: Path) -> None:
    def fence() -> None:
        raise NotLeadingError("not leading")

    async with serving([answer({})]) as api, client_of(api, tmp_path) as client:
        fenced = client.fenced(fence, 5.0)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            with pytest.raises(NotLeadingError):
                await fenced.request(method, JOB, body={})
        assert api.asked == []
        await fenced.request("GET", JOB)
        await client.request("DELETE", JOB)
    assert [one.method for one in api.asked] == ["GET", "DELETE"]


async def test_collections_are_never_deleted(tmp_path: Path) -> None:
    async with serving([answer({})]) as api, client_of(api, tmp_path) as client:
        with pytest.raises(RejectedError):
            await client.request("DELETE", JOBS.path("a"))
    assert api.asked == []


async def test_every_try_is_observed(tmp_path: Path) -> None:
    seen: list[tuple[str, str, int]] = []

    def observe(verb: str, resource: str, code: int, seconds: float) -> None:
        assert seconds >= 0
        seen.append((verb, resource, code))

    async def ask(client: Client, seconds: float) -> None:
        with pytest.raises(ClusterError):
            await client.request("GET", PODS.path("a", "p", "log"), timeout=seconds)

    async with serving([status(404), hanging()]) as api, client_of(api, tmp_path, observe=observe) as client:
        await ask(client, 10.0)
        await ask(client, 0.1)
        async with client.stream(JOBS.path(), {"watch": "true"}):
            pass
    assert seen == [("GET", "pods/log", 404), ("GET", "pods/log", 0), ("WATCH", "jobs", 200)]


async def test_a_hundred_at_once(tmp_path: Path) -> None:
    async with serving([answer({})]) as api, client_of(api, tmp_path) as client:
        await asyncio.gather(*(client.request("GET", JOB) for _ in range(100)))
    assert len(api.asked) == 100


def test_lines_are_put_together_from_chunks() -> None:
    text = b"one\n\ntwo\nthree"
    for size in range(1, len(text) + 1):
        splitter = LineSplitter()
        chunks = [text[at : at + size] for at in range(0, len(text), size)]
        assert [line for chunk in [*chunks, b"\n"] for line in splitter.feed(chunk)] == [b"one", b"two", b"three"]


def test_a_line_has_a_limit() -> None:
    splitter = LineSplitter(limit=4)
    assert list(splitter.feed(b"1234\n12")) == [b"1234"]
    with pytest.raises(ExpiredError):
        list(splitter.feed(b"345"))
