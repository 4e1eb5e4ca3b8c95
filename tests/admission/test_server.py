from __future__ import annotations

import asyncio
import concurrent.futures
import time

import pytest
from structlog.testing import capture_logs

from tests.admission.conftest import PATH, Serve, Serving, chunked, post
from tests.bench.load import go_request, run_load
from webhook.admission.limits import Limits, parse_go_duration
from webhook.admission.server import Reply


def test_a_review_reaches_the_endpoint_and_its_reply_the_caller(serve: Serve) -> None:
    with serve() as serving:
        answer = serving.exchange(post(b'{"kind":"AdmissionReview"}'))
        assert (answer.status, answer.body) == (200, b'{"ok":true}')
        assert answer.headers == {"content-type": "application/json", "content-length": "11"}
        assert serving.endpoint.bodies == [b'{"kind":"AdmissionReview"}']
    assert serving.recorder.started == 1
    assert serving.recorder.finished == [(PATH, 200)]
    assert serving.recorder.reasons == []


REFUSALS = {
    "get": (b"GET /validate HTTP/1.1\r\nhost: x\r\n\r\n", 405, "method"),
    "upgrade": (
        b"GET /validate HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        405,
        "method",
    ),
    "connect": (b"CONNECT localhost:1 HTTP/1.1\r\nhost: x\r\n\r\n", 404, "path"),
    "path": (post(target="/metrics"), 404, "path"),
    "root": (post(target="/"), 404, "path"),
    "encoded path": (post(target="/v%61lidate"), 404, "path"),
    "no content type": (post(content_type=None), 415, "media_type"),
    "yaml": (post(content_type="application/yaml"), 415, "media_type"),
    "json lookalike": (post(content_type="application/json-patch+json"), 415, "media_type"),
    "latin-1": (post(content_type="application/json; charset=latin-1"), 415, "media_type"),
    "gzip": (post(content_encoding="gzip"), 415, "encoding"),
    "empty": (post(b""), 400, "empty"),
    "no length": (post(b"", content_length=None), 400, "empty"),
    "expectation": (post(expect="miracles"), 417, "expectation"),
    "http/1.0": (post().replace(b"HTTP/1.1", b"HTTP/1.0"), 505, "http_version"),
    "announced": (post(b"", content_length="1001"), 413, "too_large"),
    "counted": (chunked(b"x" * 600, b"x" * 401), 413, "too_large"),
}


@pytest.mark.parametrize(("request_bytes", "status", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_is_not_a_review_is_refused_with_one_line(
    serve: Serve, request_bytes: bytes, status: int, reason: str
) -> None:
    with serve(max_body_bytes=1000) as serving:
        answer = serving.exchange(request_bytes)
        assert answer.status == status
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.body.endswith(b"\n")
        assert answer.body.count(b"\n") == 1
        assert (answer.headers.get("allow") == "POST") is (status == 405)
        assert serving.endpoint.bodies == []
        assert serving.recorder.reasons == [reason]
        serving.assert_healthy()


def test_head_is_refused_without_a_body(serve: Serve) -> None:
    with serve() as serving, serving.peer() as peer:
        peer.send(b"HEAD /validate HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert peer.wait_closed().endswith(b"Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/json "]
)
def test_spellings_of_json_are_accepted(serve: Serve, content_type: str) -> None:
    with serve() as serving:
        assert serving.exchange(post(content_type=content_type, content_encoding="identity")).status == 200


def test_a_chunked_body_is_accepted(serve: Serve) -> None:
    with serve() as serving:
        assert serving.exchange(chunked(b'{"a":', b"1}") + b"0\r\n\r\n").status == 200
        assert serving.endpoint.bodies == [b'{"a":1}']


def test_a_large_body_arrives_whole(serve: Serve) -> None:
    body = b"x" * 3_000_000
    with serve() as serving:
        assert serving.exchange(post(body)).status == 200
        assert serving.endpoint.bodies == [body]


def test_continue_is_sent_only_to_those_who_will_be_served(serve: Serve) -> None:
    with serve(max_body_bytes=1000) as serving:
        with serving.peer() as peer:
            head = post(b"", expect="100-continue", content_length="2")
            assert peer.send(head).answer().status == 100
            assert peer.send(b"{}").answer().status == 200
        assert serving.exchange(post(b"", expect="100-continue", content_length="1001")).status == 413


def test_keep_alive_and_pipelining(serve: Serve) -> None:
    with serve() as serving, serving.peer() as peer:
        for number in range(3):
            assert peer.send(post(b"%d" % number)).answer().status == 200
        peer.send(post(b"first") + post(b"second"))
        assert [peer.answer().status, peer.answer().status] == [200, 200]
        assert serving.endpoint.bodies == [b"0", b"1", b"2", b"first", b"second"]
        assert peer.send(post(connection="close")).answer().headers["connection"] == "close"
        assert peer.wait_closed() == b""


@pytest.mark.parametrize(
    ("query", "low", "high"),
    [("", 3, 4), ("?timeout=2s", 1, 1.8), ("?timeout=30s", 3, 4), ("?timeout=soon", 3, 4), ("?timeout=0s", 3, 4)],
)
def test_the_deadline_keeps_below_the_callers_timeout(serve: Serve, query: str, low: float, high: float) -> None:
    with serve() as serving:
        assert serving.exchange(post(target=PATH + query)).status == 200
        assert low < serving.endpoint.seconds[0] <= high + 0.001


def test_a_late_decision_is_our_fault(serve: Serve) -> None:
    with serve() as serving:
        serving.endpoint.release = asyncio.Event()
        with capture_logs() as logs:
            answer = serving.exchange(post(target=PATH + "?timeout=100ms"))
        assert answer.status == 500
        assert answer.body == b"no decision within 0.09 s; the failurePolicy applies\n"
        assert logs == [{"event": "decision_late", "log_level": "error", "path": PATH, "seconds": 0.09}]


@pytest.mark.parametrize("error", [ValueError("secret"), TimeoutError("secret"), ConnectionError("secret")])
def test_an_exception_is_our_fault_and_told_to_the_log_only(serve: Serve, error: Exception) -> None:
    with serve() as serving, serving.peer() as peer:
        serving.endpoint.error = error
        with capture_logs() as logs:
            answer = peer.send(post(b"private")).answer()
        assert (answer.status, answer.body) == (500, b"internal error; the failurePolicy applies\n")
        assert [(entry["event"], entry["exc_info"]) for entry in logs] == [("endpoint_failed", True)]
        assert "private" not in str(logs)
        serving.endpoint.error = None
        assert peer.send(post()).answer().status == 200
        assert serving.recorder.finished == [(PATH, 500), (PATH, 200)]


def test_drain_serves_everyone_once_more(serve: Serve) -> None:
    with serve() as serving, serving.peer() as old:
        assert "connection" not in old.send(post()).answer().headers
        serving.run(serving.on_loop(serving.server.drain))
        for peer in (old, serving.peer()):
            with peer:
                answer = peer.send(post()).answer()
                assert (answer.status, answer.headers["connection"]) == (200, "close")
                assert peer.wait_closed() == b""


def test_stop_waits_for_what_has_begun_and_closes_what_is_idle(serve: Serve) -> None:
    with serve() as serving, serving.peer() as idle, serving.peer() as half, serving.peer() as busy:
        assert idle.send(post()).answer().status == 200
        serving.endpoint.entered.clear()
        release = serving.endpoint.release = asyncio.Event()
        busy.send(post(b"busy"))
        assert serving.endpoint.entered.wait(60)
        half.send(post(b"", content_length="4") + b"ha")
        while serving.recorder.started < 3:
            time.sleep(0.01)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            stopped = pool.submit(serving.run, serving.server.stop())
            assert idle.wait_closed() == b""
            with pytest.raises(ConnectionError):
                serving.peer()
            assert not stopped.done()
            half.send(b"lf")
            serving.run(serving.on_loop(release.set))
            for peer in (busy, half):
                answer = peer.answer()
                assert (answer.status, answer.headers["connection"]) == (200, "close")
                peer.sock.close()
            stopped.result(60)
        assert sorted(serving.endpoint.bodies[1:]) == [b"busy", b"half"]


def test_stop_does_not_wait_for_ever(serve: Serve) -> None:
    with serve(shutdown_seconds=0.2) as serving, serving.peer() as busy:
        serving.endpoint.release = asyncio.Event()
        busy.send(post())
        assert serving.endpoint.entered.wait(60)
        serving.run(serving.server.stop())  # which itself gives up sooner than for ever
        assert busy.wait_closed() == b""
        while not serving.recorder.finished:
            time.sleep(0.01)
        assert serving.recorder.finished == [(PATH, 499)]


def test_a_client_that_leaves_does_no_harm(serve: Serve) -> None:
    with serve() as serving:
        release = serving.endpoint.release = asyncio.Event()
        with serving.peer() as peer:
            peer.send(post())
            assert serving.endpoint.entered.wait(60)
        serving.run(serving.on_loop(release.set))
        serving.assert_healthy()


def test_any_status_and_type_of_reply(serve: Serve) -> None:
    with serve() as serving:
        serving.endpoint.reply = Reply(400, b"no\n", "text/plain")
        answer = serving.exchange(post())
        assert (answer.status, answer.body, answer.headers["content-type"]) == (400, b"no\n", "text/plain")


def test_load_generator_checks_every_answer(serve: Serve) -> None:
    async def load(serving: Serving, body: bytes) -> tuple[int, int]:
        requests = [go_request("localhost", PATH + "?timeout=5s", body)]
        result = await run_load(
            "localhost",
            serving.server.port,
            serving.trusted,
            requests,
            connections=2,
            seconds=2,
            warmup=0.1,
        )
        return result.requests, result.errors

    with serve() as serving:
        requests, errors = asyncio.run(load(serving, b"x" * 17_000))
        assert requests > 0
        assert errors == 0
        requests, errors = asyncio.run(load(serving, b""))
        assert requests == 0
        assert errors > 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5), ("500ms", 0.5), ("1m", 60), ("1m30.5s", 90.5), (".5s", 0.5), ("1.s", 1), ("100µs", 1e-4)],
)
def test_go_durations(text: str, seconds: float) -> None:
    assert parse_go_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "5 s", "5S", "1e3s", "\u0665s", "0s", ".s", "5s;", "9" * 99 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    assert parse_go_duration(text) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_body_bytes": 0}, "max_body_bytes is 0, allowed is 1 to 67108864"),
        ({"keepalive_seconds": 75}, "keepalive_seconds is 75, allowed is 100 to 86400"),
        ({"body_seconds": float("nan")}, "body_seconds is nan, allowed is 0.05 to 30"),
        ({"inflight_body_bytes": 1024}, "allowed is max_body_bytes"),
        ({"decision_seconds_by_path": {"/x": 60}}, r"decision_seconds_by_path\[/x\] is 60, allowed"),
    ],
)
def test_limits_say_what_is_allowed(given: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits(**given)  # type: ignore[arg-type]


def test_a_path_may_have_its_own_time() -> None:
    limits = Limits(decision_seconds_by_path={"/mutate": 1.0})
    assert limits.decision_time("/mutate", "10s") == 1.0
    assert limits.decision_time("/mutate", "1s") == pytest.approx(0.9)
    assert limits.decision_time("/validate", None) == 4.0
