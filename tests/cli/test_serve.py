"""``schemagate serve`` and ``schemagate demo`` as processes: real TLS, real signals."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from certs import CertificateAuthority
from tests.cli.conftest import CASES, PATIENCE, Process
from tests.controlplane.arguments import free_ports
from tests.support.builders import config_map, deployment, record
from webhook.audit.decisions import LIMIT

REVIEWS = sorted((CASES / "reviews").iterdir())
JSON = {"Content-Type": "application/json"}
VALIDATE = "/validate-apps-v1-deployment"


class Served:
    """A serving process, as an API server and a kubelet see it."""

    def __init__(self, process: Process, authority: Path) -> None:
        self.process = process
        self.url = urlsplit(process.line("webhooks ").split()[1])
        self.ops_url = urlsplit(process.line("ops ").split()[1])
        self.trust = ssl.create_default_context(cafile=str(authority))

    def connect(self) -> http.client.HTTPSConnection:
        assert self.url.hostname
        return http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=PATIENCE, context=self.trust)

    def ask(self, path: str, body: bytes, method: str = "POST", **headers: str) -> tuple[int, bytes]:
        with closing(self.connect()) as connection:
            connection.request(method, path, body, {**JSON, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def ops(self, path: str) -> tuple[int, str]:
        assert self.ops_url.hostname
        connection = http.client.HTTPConnection(self.ops_url.hostname, self.ops_url.port, timeout=PATIENCE)
        with closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def until_draining(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while (seen := self.ops("/readyz"))[0] != 503:
            assert time.monotonic() < deadline
        assert seen == (503, "not ready: draining\n")

    def signal(self) -> None:
        self.process.process.send_signal(signal.SIGTERM)


@pytest.fixture
def served(start: Callable[..., Any], tmp_path: Path) -> Any:
    @contextmanager
    def _served(*arguments: object, objects: Path = CASES / "objects", drain: float = 0) -> Iterator[Served]:
        ca = tmp_path / "ca.pem"
        if "--tls-cert" not in arguments:
            arguments = (*arguments, "--write-ca", ca)
        command = ("serve", "--objects", objects, "--port", 0, "--ops-port", 0, *arguments)
        environment = {"SCHEMAGATE_DRAIN_SECONDS": str(drain), "SCHEMAGATE_RELOAD_SECONDS": "0.1"}
        with start(*command, **environment) as process:
            yield Served(process, ca)

    return _served


def path_of(review: dict[str, Any]) -> str:
    return "/mutate-v1-pod" if review["request"]["kind"]["kind"] == "Pod" else VALIDATE


def test_it_answers_what_was_recorded_and_outlives_what_is_hostile(served: Callable[..., Any]) -> None:
    with served() as gate:
        assert gate.ops("/healthz") == gate.ops("/readyz") == (200, "ok\n")
        recorded = [json.loads(path.read_text()) for path in REVIEWS]
        for review in recorded:
            status, body = gate.ask(path_of(review), json.dumps(review).encode())
            assert status == 200
            assert json.loads(body)["response"]["uid"] == review["request"]["uid"]
        old = json.dumps({**recorded[0], "apiVersion": "admission.k8s.io/v1beta1"}).encode()
        hostile = [
            (gate.ask("/nonsense", b"{}"), 404, b"expected one of the paths"),
            (gate.ask(VALIDATE, b"", method="GET"), 405, b"expected method POST"),
            (gate.ask(VALIDATE, b"{}", **{"Content-Length": str(20 << 20)}), 413, b"at most 8388608 bytes"),
            (gate.ask(VALIDATE, b"hello"), 400, b"expected an AdmissionReview in JSON"),
            (gate.ask(VALIDATE, old), 400, b"expected apiVersion admission.k8s.io/v1 "),
        ]
        for (status, body), expected, said in hostile:
            assert status == expected
            assert said in body
            assert body.count(b"\n") == 1
        assert gate.ops("/readyz")[0] == 200
        assert "schemagate_http_refused_total" in gate.ops("/metrics")[1]
        gate.signal()
        code, out, err = gate.process.end()
        assert (code, err) == (0, "")
        lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        assert [line["uid"] for line in lines] == [review["request"]["uid"] for review in recorded]
        assert {line["schema"] for line in lines} == {"schemagate.io/decision/v1"}


def test_the_logs_and_metrics_of_a_denial_hold_no_secret(
    served: Callable[..., Any], tmp_path: Path, write: Callable[..., Any]
) -> None:
    objects = write(
        config_map(SSG_DATABASE_JDBC_URL="jdbc:mysql://root:hunter2@db:3306/ssg"), deployment(), record()
    )
    review = json.loads((CASES / "reviews" / "deployment-update-kubectl-set-image.json").read_text())
    new = deployment()
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "gateway:11.9.0"
    review["request"] |= {
        "object": new,
        "oldObject": deployment(),
        "namespace": "team-a",
        "name": "ssg",
        "dryRun": False,
    }
    review["request"]["userInfo"]["username"] = "x\x1b[31m" + "y" * 10_000
    with served("--jobs", "wait", objects=objects) as gate:
        status, body = gate.ask(VALIDATE, json.dumps(review).encode())
        assert (status, json.loads(body)["response"]["allowed"]) == (200, False)
        metrics = gate.ops("/metrics")[1]
        gate.signal()
        code, out, err = gate.process.end()
    assert code == 0
    (event,) = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert (event["decision"], event["namespace"], event["name"]) == ("deny", "team-a", "ssg")
    assert len(event["user"]) <= 256
    assert "team-a" not in metrics
    for text in (out, err, metrics, body.decode()):
        assert "hunter2" not in text
        assert "\x1b" not in text


def test_answers_do_not_wait_for_a_reader_of_the_decision_log(served: Callable[..., Any]) -> None:
    review = (CASES / "reviews" / "deployment-update-kubectl-set-image.json").read_bytes()
    with served() as gate:
        assert gate.process.process.stdout is not None
        fcntl.fcntl(gate.process.process.stdout, fcntl.F_SETPIPE_SZ, 4096)  # and nobody reads it from now on
        count = LIMIT + 500
        with closing(gate.connect()) as connection:
            for _ in range(count):
                connection.request("POST", VALIDATE, review, JSON)
                answer = connection.getresponse()
                assert answer.status == 200
                answer.read()
        (dropped,) = re.findall(
            r"^schemagate_decisions_dropped_total (\S+)", gate.ops("/metrics")[1], re.MULTILINE
        )
        assert 0 < float(dropped) <= 500
        assert gate.ops("/readyz")[0] == 200
        gate.signal()
        assert gate.process.process.wait(PATIENCE) == 0
        code, _, err = gate.process.end()
        assert (code, err) == (0, "")


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "its reader went away"])
def test_it_serves_without_a_standard_output(tmp_path: Path, closed: bool) -> None:
    review = REVIEWS[0].read_bytes()
    ca, metrics = tmp_path / "ca.pem", "schemagate_decisions_dropped_total"
    ports = free_ports(2)
    command = [sys.executable, "-m", "webhook", "serve", "--objects", CASES / "objects", "--write-ca", ca]
    command += ["--port", ports[0], "--ops-port", ports[1]]
    reader, writer = os.pipe()
    environment = {**os.environ, "SCHEMAGATE_DRAIN_SECONDS": "0"}
    shell = ["sh", "-c", 'exec "$@" >&-' if closed else 'exec "$@"', "sh", *map(str, command)]
    with subprocess.Popen(shell, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment) as process:
        os.close(writer)
        try:
            first = "" if closed else os.read(reader, 4096).decode()
            assert closed or first
            os.close(reader)
            until_listening(ports[1], process)
            trust = ssl.create_default_context(cafile=str(ca))
            for _ in range(3):
                connection = http.client.HTTPSConnection("127.0.0.1", ports[0], timeout=PATIENCE, context=trust)
                with closing(connection):
                    connection.request("POST", path_of(json.loads(review)), review, JSON)
                    assert connection.getresponse().status == 200
            with closing(http.client.HTTPConnection("127.0.0.1", ports[1], timeout=PATIENCE)) as ops:
                ops.request("GET", "/metrics")
                assert metrics in ops.getresponse().read().decode()
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0, err
    (event,) = [json.loads(text) for text in err.splitlines()]
    assert event["event"] == ("decision_log_off" if closed else "decision_log_not_written")


def until_listening(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except ConnectionRefusedError:
            continue
        finally:
            connection.close()


def test_sigterm_drains(served: Callable[..., Any]) -> None:
    review = REVIEWS[0].read_bytes()
    with served(drain=2) as gate, closing(gate.connect()) as begun:
        begun.putrequest("POST", VALIDATE)
        begun.putheader("Content-Type", "application/json")
        begun.putheader("Content-Length", str(len(review)))
        begun.endheaders(review[:100])
        gate.signal()
        gate.until_draining()
        with closing(gate.connect()) as late:
            late.request("POST", VALIDATE, review, JSON)
            answer = late.getresponse()
            assert (answer.status, answer.getheader("Connection")) == (200, "close")
            answer.read()
        begun.send(review[100:])
        assert begun.getresponse().status == 200
        assert gate.process.end()[0] == 0


def test_a_second_signal_ends_it_at_once(served: Callable[..., Any]) -> None:
    with served(drain=300) as gate:
        gate.signal()
        gate.until_draining()
        gate.signal()
        assert gate.process.end()[0] == 1


def test_a_job_of_somebody_else_is_no_matter(served: Callable[..., Any], write: Callable[..., Any]) -> None:
    backup = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "backup", "namespace": "team-a"}}
    with served(objects=write(backup, record(), deployment(), config_map())) as gate:
        assert gate.ops("/readyz")[0] == 200
        gate.signal()
        assert gate.process.end()[0] == 0


def authority(name: str = "ca") -> CertificateAuthority:
    return CertificateAuthority.create(name, now=datetime.now(UTC), lifetime=timedelta(days=1))


def keep_pair(folder: Path, issuer: CertificateAuthority) -> tuple[Path, Path]:
    pair = issuer.issue(["localhost"], now=datetime.now(UTC), lifetime=timedelta(days=1))
    (folder / "tls.crt").write_bytes(pair.certificate_chain)
    (folder / "tls.key").write_bytes(pair.private_key)
    return folder / "tls.crt", folder / "tls.key"


def test_a_new_certificate_is_shown_while_it_serves(served: Callable[..., Any], tmp_path: Path) -> None:
    first, second = (authority(name) for name in ("first", "second"))
    cert, key = keep_pair(tmp_path, first)
    (tmp_path / "ca.pem").write_bytes(first.certificate_pem)
    with served("--tls-cert", cert, "--tls-key", key, "--host", "localhost") as gate:
        assert gate.ask("/", b"")[0] == 404
        key.write_text("half written")
        keep_pair(tmp_path, second)
        gate.trust = ssl.create_default_context(cadata=second.certificate_pem.decode())
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                assert gate.ask("/", b"")[0] == 404
                break
            except ssl.SSLError:
                assert time.monotonic() < deadline
        gate.signal()
        assert gate.process.end()[0] == 0


@pytest.fixture
def taken() -> Any:
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        yield sock.getsockname()[1]


def refused(start: Any, *arguments: object) -> str:
    with start("serve", "--objects", CASES / "objects", *arguments) as process:
        code, out, err = process.end()
    assert (code, out) == (2, "")
    assert err.startswith("schemagate: ")
    assert err.count("\n") == 1
    return str(err)


def test_a_port_that_is_taken_is_told(start: Callable[..., Any], taken: int) -> None:
    assert f"--port {taken}: cannot listen there" in refused(start, "--port", taken, "--ops-port", 0)
    assert f"--ops-port {taken}: cannot listen there" in refused(start, "--ops-port", taken, "--port", 0)


@pytest.mark.parametrize("host", ["nonsense.invalid", "x" * 70])
def test_a_host_that_is_none_is_told(start: Callable[..., Any], host: str) -> None:
    assert f"--host {host} " in refused(start, "--host", host, "--port", 0, "--ops-port", 0)


def test_certificates_that_cannot_be_used_are_told(start: Callable[..., Any], tmp_path: Path) -> None:
    cert, key = keep_pair(tmp_path, authority())
    other = tmp_path / "other"
    other.mkdir()
    _, foreign = keep_pair(other, authority())
    assert "missing.crt" in refused(start, "--tls-cert", tmp_path / "missing.crt", "--tls-key", key)
    assert str(foreign) in refused(start, "--tls-cert", cert, "--tls-key", foreign)
    assert str(tmp_path) in refused(start, "--tls-cert", tmp_path, "--tls-key", key)
    assert "give both" in refused(start, "--tls-cert", cert)
    assert "--write-ca goes with" in refused(
        start, "--tls-cert", cert, "--tls-key", key, "--write-ca", tmp_path / "x"
    )


@pytest.mark.parametrize("path", ["/proc/ca.pem", "missing/ca.pem"])
def test_an_authority_that_cannot_be_written_is_told(start: Callable[..., Any], path: str) -> None:
    assert f"--write-ca {path}: " in refused(start, "--write-ca", path, "--port", 0, "--ops-port", 0)


def test_all_bad_settings_are_told_at_once(start: Callable[..., Any]) -> None:
    with start("serve", "--objects", CASES, "--port", "70000", SCHEMAGATE_LOG_LEVEL="loud") as process:
        code, _, err = process.end()
    assert code == 2
    assert "SCHEMAGATE_PORT" in err
    assert "SCHEMAGATE_LOG_LEVEL" in err


# The demo.


def test_the_demo_comes_out_as_told_whatever_the_environment(start: Callable[..., Any]) -> None:
    odd = {"SCHEMAGATE_DEFAULT_MODE": "Audit", "SCHEMAGATE_TLS_CERT": "/x", "SCHEMAGATE_HOST": "nonsense.invalid"}
    with start("demo", **odd, PYTHONIOENCODING="ascii") as process:
        code, out, err = process.end()
    assert (code, err) == (0, "")
    assert "WRONG" not in out
    assert "22 of 22 steps came out as told" in out
    assert "7layer" not in out


def test_a_demo_that_is_kept_answers_its_own_curl_line(start: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    with start("demo", "--keep", TMPDIR=str(folder)) as process:
        curl = shlex.split(process.line("curl --cacert"))
        metrics = shlex.split(process.line("/metrics"))[-1]
        options = dict(zip(curl[1:-1:2], curl[2:-1:2], strict=True))
        url = urlsplit(curl[-1])
        trust = ssl.create_default_context(cafile=options["--cacert"])
        assert url.hostname
        with closing(http.client.HTTPSConnection(url.hostname, url.port, timeout=PATIENCE, context=trust)) as api:
            api.request("POST", url.path, Path(options["--data"].removeprefix("@")).read_bytes(), JSON)
            answer = json.loads(api.getresponse().read())
        assert answer["response"]["allowed"] is False
        assert urlsplit(metrics).port
        process.process.send_signal(signal.SIGINT)
        code, _, err = process.end()
    assert (code, err) == (0, "")
    assert not list(folder.iterdir())


# What becomes of output and input that break.


def shell(line: str) -> subprocess.CompletedProcess[str]:
    line = line.replace("schemagate", f"{sys.executable} -m webhook").replace("CASES", str(CASES))
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("schemagate review CASES/reviews/deployment-delete.json > /dev/full", "cannot write the result"),
        ("schemagate hash - <&-", "standard input is closed"),
        ("schemagate hash - < /dev/null", "no Deployment with a gateway container"),
    ],
)
def test_streams_that_fail_are_told(line: str, said: str) -> None:
    done = shell(line)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_reader_that_goes_away_is_no_denial() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "webhook", "review", str(REVIEWS[0])]
    with os.fdopen(write, "wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (2, b"")
