"""Peers that mean harm: each is gone in bounded time, and the next good request is answered."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time

import pytest

from tests.admission.conftest import PATH, Serve, chunked, post
from webhook.admission.server import Reply

SHORT = 0.2


def test_half_a_header(serve: Serve) -> None:
    with serve(header_seconds=SHORT) as serving:
        with serving.peer() as peer:
            assert peer.send(b"POST /validate HTT").wait_closed() == b""
        assert serving.recorder.reasons == ["slow_header"]
        serving.assert_healthy()


def test_half_a_header_after_a_good_request(serve: Serve) -> None:
    with serve(header_seconds=SHORT) as serving, serving.peer() as peer:
        assert peer.send(post()).answer().status == 200
        assert peer.send(b"POST").wait_closed() == b""
        assert serving.recorder.reasons == ["slow_header"]


def test_a_header_that_drips(serve: Serve) -> None:
    with serve(header_seconds=SHORT) as serving:
        with serving.peer() as peer, contextlib.suppress(OSError):
            peer.send(b"POST /validate HTTP/1.1\r\nx: ")
            for _ in range(200):
                peer.send(b"y")
                time.sleep(0.02)
        assert serving.recorder.reasons == ["slow_header"]
        serving.assert_healthy()


def test_silence_after_the_handshake(serve: Serve) -> None:
    with serve(first_byte_seconds=SHORT) as serving:
        with serving.peer() as peer:
            assert peer.wait_closed() == b""
        assert serving.recorder.reasons == ["no_request"]
        serving.assert_healthy()


def test_an_idle_connection_outlives_the_other_deadlines(serve: Serve) -> None:
    with (
        serve(header_seconds=SHORT, first_byte_seconds=1, body_seconds=SHORT) as serving,
        serving.peer() as used,
    ):
        assert used.send(post()).answer().status == 200
        with serving.peer() as silent:
            silent.wait_closed()
        assert used.send(post()).answer().status == 200


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n"])
def test_no_handshake(serve: Serve, said: bytes) -> None:
    with serve(handshake_seconds=1) as serving:
        with serving.tcp() as peer:
            peer.send(said).wait_closed()
        serving.assert_healthy()


def test_a_body_that_drips(serve: Serve) -> None:
    with serve(body_seconds=SHORT) as serving:
        with serving.peer() as peer:
            peer.send(post(b"", content_length="100"))
            with contextlib.suppress(OSError):
                for _ in range(20):
                    peer.send(b"x")
                    time.sleep(0.02)
            answer = peer.answer()
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert answer.body == b"expected the whole body within 0.2 s\n"
            peer.wait_closed()
        assert serving.recorder.reasons == ["slow_body"]
        serving.assert_healthy()


def test_a_body_cut_short(serve: Serve) -> None:
    with serve() as serving:
        with serving.peer() as peer:
            peer.send(post(b"", content_length="100") + b"xxx")
            while not serving.recorder.started:
                time.sleep(0.005)
        serving.assert_healthy()
        assert serving.endpoint.bodies == [b'{"good":1}']
        assert serving.recorder.reasons == ["broken_body"]


def test_a_huge_body_is_refused_unread(serve: Serve) -> None:
    with serve() as serving:
        answer = serving.exchange(post(b"", content_length=str(10**15)))
        assert (answer.status, answer.body) == (413, b"expected at most 8388608 bytes of body\n")
        serving.assert_healthy()


def test_a_huge_body_sent_anyway(serve: Serve) -> None:
    with serve() as serving:
        with serving.peer() as peer, contextlib.suppress(OSError):
            peer.send(post(b"", content_length=str(16_000_000)))
            assert peer.answer().status == 413
            peer.send(b"x" * 16_000_000)
        serving.assert_healthy()


def test_chunks_that_never_end(serve: Serve) -> None:
    with serve(max_body_bytes=100_000) as serving:
        with serving.peer() as peer:
            peer.send(chunked())
            with contextlib.suppress(OSError):
                for _ in range(200):
                    peer.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            seen = peer.wait_closed()
            assert seen == b"" or seen.startswith(b"HTTP/1.1 413 ")
        assert serving.recorder.reasons == ["too_large"]
        assert serving.endpoint.bodies == []
        serving.assert_healthy()


def test_a_gzip_bomb_is_not_inflated(serve: Serve) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with serve() as serving:
        assert serving.exchange(post(bomb, content_encoding="gzip")).status == 415
        assert serving.endpoint.bodies == []
        serving.assert_healthy()


def test_deep_json_is_none_of_our_business(serve: Serve) -> None:
    deep = b"[" * 200_000
    with serve() as serving:
        assert serving.exchange(post(deep)).status == 200
        assert serving.endpoint.bodies == [deep]


MALFORMED = {
    "two lengths": post(b"{}").replace(b"content-length: 2", b"content-length: 2\r\ncontent-length: 3"),
    "length and chunked": post(b"{}", transfer_encoding="chunked"),
    "negative length": post(b"", content_length="-1"),
    "length is a word": post(b"", content_length="many"),
    "bad transfer coding": post(b"", content_length=None, transfer_encoding="chunked, gzip"),
    "giant header": post(x="y" * 100_000),
    "many headers": post(b"", **{f"x{number}": "y" for number in range(5000)}),
    "giant target": post(target="/" + "x" * 100_000),
    "nul": post(x="a\x00b"),
    "bare cr": post(x="a\rb"),
    "header without colon": b"POST /validate HTTP/1.1\r\nhost\r\n\r\n",
    "space before colon": b"POST /validate HTTP/1.1\r\nhost : x\r\n\r\n",
    "folded header": b"POST /validate HTTP/1.1\r\nhost: x\r\nx: a\r\n\x00b\r\n\r\n",
    "not http": b"\x00\x01\x02\x03\r\n\r\n",
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_requests(serve: Serve, request_bytes: bytes) -> None:
    with serve(header_seconds=1.0) as serving:
        with serving.peer() as peer:
            with contextlib.suppress(OSError):
                peer.send(request_bytes)
            seen = peer.wait_closed()
            assert seen == b"" or seen.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
            assert b"Traceback" not in seen
            assert seen.partition(b"\r\n\r\n")[2].count(b"\n") <= 1
        assert serving.endpoint.bodies == []
        serving.assert_healthy()


@pytest.mark.parametrize(
    "tail", [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n", b"f" * 40 + b"\r\n", b"2\r\n{}xx0\r\n\r\n"]
)
def test_bad_chunk_sizes(serve: Serve, tail: bytes) -> None:
    with serve(body_seconds=1.0) as serving:
        with serving.peer() as peer:
            seen = peer.send(chunked() + tail).wait_closed()
            assert seen == b"" or seen.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
        assert serving.endpoint.bodies == []
        serving.assert_healthy()


def test_garbage_behind_a_good_request(serve: Serve) -> None:
    with serve() as serving:
        with serving.peer() as peer:
            peer.send(post() + b"\x00garbage\r\n\r\n")
            assert peer.wait_closed().startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 400"))
        serving.assert_healthy()


def test_the_path_of_an_absolute_target_counts(serve: Serve) -> None:
    with serve() as serving:
        assert serving.exchange(post(target=f"https://elsewhere{PATH}?timeout=5s")).status == 200
        assert serving.exchange(post(target="https://elsewhere/admin")).status == 404
        assert serving.exchange(post(target="//[" + PATH)).status in {400, 404}


def test_injected_line_ends_reach_no_answer_and_no_label(serve: Serve) -> None:
    with serve() as serving:
        answer = serving.exchange(post(target="/%0d%0aset-cookie:%20a=b%1b%5b31m"))
        assert answer.status == 404
        assert "set-cookie" not in answer.headers
        assert answer.body == b"expected one of the paths /validate\n"
        assert serving.recorder.finished == [("other", 404)]


def test_a_reader_that_never_reads_one_huge_answer(serve: Serve) -> None:
    with serve(write_seconds=SHORT) as serving:
        serving.endpoint.reply = Reply(200, b"x" * 20_000_000)
        with serving.peer(receive_buffer=4096) as peer:
            peer.send(post())
            while "answer_unread" not in serving.recorder.reasons:
                time.sleep(0.01)
            assert len(peer.wait_closed()) < 20_000_000
        serving.endpoint.reply = Reply(200, b"")
        serving.assert_healthy()


def test_a_reader_that_never_reads_many_answers(serve: Serve) -> None:
    with serve(write_seconds=SHORT) as serving:
        serving.endpoint.reply = Reply(200, b"x" * 50_000)
        with serving.peer(receive_buffer=4096) as peer, contextlib.suppress(OSError):
            for _ in range(100_000):
                peer.send(post())
        assert serving.recorder.reasons[0] == "answer_unread"
        serving.assert_healthy()


def test_a_crowd_makes_the_oldest_silent_connection_give_way(serve: Serve) -> None:
    with serve(max_connections=3) as serving, contextlib.ExitStack() as stack:
        used, oldest, newer = (stack.enter_context(serving.peer()) for _ in range(3))
        assert used.send(post()).answer().status == 200
        serving.assert_healthy()
        assert oldest.wait_closed() == b""
        assert serving.recorder.reasons == ["connections"]
        for peer in (used, newer):
            assert peer.send(post()).answer().status == 200


def test_a_crowd_of_idle_connections_makes_the_longest_idle_give_way(serve: Serve) -> None:
    with serve(max_connections=2) as serving, serving.peer() as first, serving.peer() as second:
        for peer in (first, second):
            assert peer.send(post()).answer().status == 200
        serving.assert_healthy()
        assert first.wait_closed() == b""
        assert second.send(post()).answer().status == 200


def test_a_crowd_at_work_turns_the_newcomer_away(serve: Serve) -> None:
    with serve(max_connections=1) as serving:
        release = serving.endpoint.release = asyncio.Event()
        with serving.peer() as busy:
            busy.send(post())
            assert serving.endpoint.entered.wait(5)
            with contextlib.suppress(OSError), serving.peer() as newcomer:
                assert newcomer.wait_closed() == b""
            serving.run(serving.on_loop(release.set))
            assert busy.answer().status == 200
        assert serving.recorder.reasons == ["connections"]
        serving.assert_healthy()


def test_bodies_share_a_budget(serve: Serve) -> None:
    with serve(max_body_bytes=1000, inflight_body_bytes=1500) as serving:
        release = serving.endpoint.release = asyncio.Event()
        with serving.peer() as holder:
            holder.send(post(b"x" * 1000))
            assert serving.endpoint.entered.wait(5)
            announced = serving.exchange(post(b"x" * 501))
            counted = serving.exchange(chunked(b"x" * 501) + b"0\r\n\r\n")
            serving.run(serving.on_loop(release.set))
            assert holder.answer().status == 200
        assert (announced.status, counted.status) == (503, 503)
        assert "retry-after" not in announced.headers
        assert serving.recorder.reasons == ["busy", "busy"]
        assert serving.exchange(post(b"x" * 1000)).status == 200
