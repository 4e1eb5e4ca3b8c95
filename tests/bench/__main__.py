"""``make bench``: CPU per request and latency of the webhooks beside a trivial aiohttp handler, as ratios.

Both serve the same recorded reviews over keep-alive TLS, in turn, in one run: A B A B. CPU is the server process's
own (user and system, from the kernel), so that the load generator does not count. Quote the ratios; absolute times
move with the machine.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import trustme

from tests.bench import trivial
from tests.bench.gate import CASES
from tests.bench.load import LoadResult, go_request, run_load

TICKS = os.sysconf("SC_CLK_TCK")
AIMS = {"template unchanged": 1.5, "pod patched": 2.0}


@dataclass(frozen=True)
class Case:
    """A recorded review and the webhook that it goes to."""

    name: str
    file: str
    path: str


VALIDATE, MUTATE_POD = trivial.PATH, "/mutate-v1-pod"
WORK = (
    Case("template unchanged", "deployment-update-operator-noop.json", VALIDATE),
    Case("migration complete", "deployment-update-operator-image-change.json", VALIDATE),
    Case("denied", "deployment-update-kubectl-set-image.json", VALIDATE),
    Case("pod patched", "pod-create-operator-gateway.json", MUTATE_POD),
)


@dataclass
class Row:
    """One point: medians over the rounds."""

    case: str
    loop: str
    records: int
    connections: int
    cpu_us: float = 0.0
    trivial_cpu_us: float = 0.0
    ratio: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    trivial_p50_ms: float = 0.0
    trivial_p99_ms: float = 0.0
    per_second: float = 0.0
    errors: int = 0
    ratios: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Server:
    """A server process and where it listens."""

    pid: int
    port: int
    stall_ms: float = 0.0

    def cpu_seconds(self) -> float:
        """Give the CPU time used so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mib(self) -> float:
        """Give the resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def started(arguments: Sequence[str], cores: set[int]) -> Iterator[Server]:
    """Start a server module on the given cores; it is ended with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ) as process:
        try:
            first = json.loads(process.stdout.readline() if process.stdout else "{}")
            said = first if isinstance(first, dict) else {"port": first}
            # A decision log that nobody reads would be dropped, and cost less than it does.
            threading.Thread(target=_read_on, args=(process.stdout,), daemon=True).start()
            yield Server(process.pid, said["port"], said.get("stall_ms", 0.0))
        finally:
            process.terminate()


def _read_on(output: IO[str] | None) -> None:
    for _ in output or ():
        pass


def measure(
    server: Server, trust: str, case: Case, path: str, connections: int, seconds: float
) -> tuple[float, LoadResult]:
    """Put load on a server and give its CPU microseconds per request, and what the client saw."""
    body = json.dumps(
        json.loads((CASES / "reviews" / case.file).read_text(encoding="utf-8")), separators=(",", ":")
    )
    request = go_request("localhost", f"{path}?timeout=5s", body.encode())

    async def run() -> tuple[float, LoadResult]:
        await run_load(
            "localhost", server.port, trust, [request], connections=connections, seconds=0.3, warmup=0.2
        )
        before = server.cpu_seconds()
        seen = await run_load(
            "localhost", server.port, trust, [request], connections=connections, seconds=seconds, warmup=0.0
        )
        return server.cpu_seconds() - before, seen

    with asyncio.Runner(loop_factory=trivial.LOOPS["uvloop"]) as runner:
        cpu, seen = runner.run(run())
    return cpu * 1e6 / max(1, seen.requests), seen


def compare(gate: Server, plain: Server, trust: str, row: Row, case: Case, rounds: int, seconds: float) -> Row:
    """Measure both in turn and fill in the row with medians."""
    ours, theirs, seen, plainly = [], [], [], []
    for _ in range(rounds):
        cpu, result = measure(gate, trust, case, case.path, row.connections, seconds)
        ours.append(cpu)
        seen.append(result)
        cpu, result = measure(plain, trust, case, trivial.PATH, row.connections, seconds)
        theirs.append(cpu)
        plainly.append(result)
    row.ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    row.ratio = statistics.median(row.ratios)
    row.cpu_us, row.trivial_cpu_us = statistics.median(ours), statistics.median(theirs)
    row.p50_ms, row.p99_ms = (
        statistics.median(getattr(one, name) for one in seen) for name in ("p50_ms", "p99_ms")
    )
    row.trivial_p50_ms, row.trivial_p99_ms = (
        statistics.median(getattr(one, name) for one in plainly) for name in ("p50_ms", "p99_ms")
    )
    row.per_second = statistics.median(one.per_second for one in seen)
    row.errors = sum(one.errors for one in (*seen, *plainly))
    return row


def grid(*, quick: bool) -> list[tuple[str, int, list[Row]]]:
    """Give what is measured, by server: event loop, number of records, points."""
    names = [case.name for case in WORK]
    many = (1, 8) if quick else (1, 8, 32)
    full = [Row(name, "asyncio", 1000, connections) for name in names for connections in many]
    other = [Row(name, "uvloop", 1000, 8) for name in AIMS]
    large = [Row(name, "asyncio", 10000, 8) for name in names]
    return [("asyncio", 1000, full), ("uvloop", 1000, other), ("asyncio", 10000, large)]


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    print(
        f"{'case':<20}{'loop':<9}{'records':>8}{'conn':>5}{'CPU/req':>10}{'trivial':>10}{'ratio':>7}"
        f"{'p50':>8}{'p99':>8}{'(trivial':>10}{'p99)':>8}{'req/s':>8}{'errors':>7}"
    )
    for row in rows:
        print(
            f"{row.case:<20}{row.loop:<9}{row.records:>8}{row.connections:>5}{row.cpu_us:>7.0f} us"
            f"{row.trivial_cpu_us:>7.0f} us{row.ratio:>7.2f}{row.p50_ms:>8.2f}{row.p99_ms:>8.2f}"
            f"{row.trivial_p50_ms:>10.2f}{row.trivial_p99_ms:>8.2f}{row.per_second:>8.0f}{row.errors:>7}"
        )


def conclude(rows: Sequence[Row], stalls: dict[int, float]) -> None:
    """Print the ratios that the aims speak of. Nothing here passes or fails: machines are shared and noisy."""
    for name, aim in AIMS.items():
        found = [row.ratio for row in rows if row.case == name and row.loop == "asyncio"]
        print(f"{name}: {min(found):.2f} to {max(found):.2f} x the trivial handler's CPU (aim: at most {aim})")
    for name in [case.name for case in WORK]:
        by_size = {
            row.records: row.cpu_us / row.trivial_cpu_us
            for row in rows
            if row.case == name and row.connections == 8 and row.loop == "asyncio"
        }
        print(
            f"{name}: 10,000 records cost {by_size[10000] / by_size[1000]:.2f} x what 1,000 cost (aim: no growth)"
        )
    for records, stall in stalls.items():
        print(f"worst stall of the event loop while {records:,} records load: {stall:.1f} ms (aim: under 20)")


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--output", type=Path, help="where to write the figures as JSON")
    options.add_argument("--rounds", type=int, default=3, help="pairs of runs per point")
    options.add_argument("--seconds", type=float, default=1.0, help="length of a run")
    options.add_argument("--quick", action="store_true", help="leave out 32 connections")
    given = options.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    servers, client = {cores[0]}, set(cores[1:]) or {cores[0]}
    os.sched_setaffinity(0, client)
    rows: list[Row] = []
    stalls: dict[int, float] = {}
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        authority = trustme.CA()
        trust = authority.cert_pem.bytes().decode()
        cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
        leaf = authority.issue_cert("localhost")
        leaf.cert_chain_pems[0].write_to_path(cert)
        leaf.private_key_pem.write_to_path(key)
        files = ["--cert", cert, "--key", key]
        for loop, records, points in grid(quick=given.quick):
            plain = stack.enter_context(started(["tests.bench.trivial", *files, "--loop", loop], servers))
            gate = stack.enter_context(
                started(["tests.bench.gate", *files, "--loop", loop, "--records", str(records)], servers)
            )
            stalls[records] = max(gate.stall_ms, stalls.get(records, 0.0))
            for point in points:
                case = next(case for case in WORK if case.name == point.case)
                rows.append(compare(gate, plain, trust, point, case, given.rounds, given.seconds))
                print(f"\r{len(rows)} points measured", end="", file=sys.stderr, flush=True)
            memory[f"{loop}/{records}"] = gate.rss_mib()
    print(file=sys.stderr)
    show(rows)
    conclude(rows, stalls)
    if given.output:
        machine = {"python": sys.version.split()[0], "machine": platform.machine(), "cores": len(cores)}
        figures = {
            "machine": machine,
            "rows": [asdict(row) for row in rows],
            "stall_ms": stalls,
            "rss_mib": memory,
        }
        given.output.write_text(json.dumps(figures, indent=1), encoding="utf-8")
        print(f"figures written to {given.output}")


if __name__ == "__main__":
    main()
