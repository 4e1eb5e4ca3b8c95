"""The gate under load: a real one on an embedded cluster with a governed Gateway and many other records.

Its first line of output is JSON: port, records, and the worst stall of the event loop, in milliseconds, while the
records were loaded. Its CPU time is measured from outside.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.trivial import LOOPS
from webhook.cli.sources import load_cluster
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.logs import configure_logging
from webhook.runtime.embedded import EmbeddedGate
from webhook.runtime.process import calm_collector
from webhook.settings import read_settings

CASES = Path(__file__).parent.parent / "testdata" / "cases"
PAGE = 10
"""Records stored between two turns of the event loop."""


def filler(number: int) -> dict[str, Any]:
    """A record of another Gateway, with a history."""
    done = [
        {"hash": f"{number * 8 + at:064x}", "image": "docker.io/caapim/gateway:11.2.2", "database": "db:3306/ssg"}
        for at in range(3)
    ]
    return {
        "apiVersion": "schemagate.io/v1alpha1",
        "kind": "GatewayMigration",
        "metadata": {"name": f"gateway-{number}", "namespace": f"team-{number % 100}", "uid": f"u-{number}"},
        "spec": {"mode": "Reject"},
        "status": {"phase": "Complete", "specHash": f"{number * 8:064x}", "completedHashes": done},
    }


async def load_records(cluster: EmbeddedControllerCluster, count: int) -> float:
    """Store ``count`` records page by page and give the worst stall of the loop, in milliseconds."""
    worst, stop = 0.0, asyncio.Event()

    async def heartbeat() -> None:
        nonlocal worst
        last = time.perf_counter()
        while not stop.is_set():
            await asyncio.sleep(0)
            now = time.perf_counter()
            worst, last = max(worst, now - last), now

    calm_collector()
    beat = asyncio.create_task(heartbeat())
    for first in range(0, count, PAGE):
        for number in range(first, min(first + PAGE, count)):
            cluster.put(filler(number))
        await asyncio.sleep(0)
    stop.set()
    await beat
    return worst * 1000


async def serve(options: argparse.Namespace) -> None:
    """Load, serve, and say where."""
    cluster = load_cluster([str(CASES / "objects")])
    gateway = cluster.get("Gateway", "team-a", "ssg") or {}
    gateway["metadata"]["annotations"] = {"schemagate.io/migration-job": "enabled"}
    cluster.put(gateway)
    stall = await load_records(cluster, options.records)
    settings = read_settings(
        port=0, ops_port=0, tls_cert=options.cert, tls_key=options.key, decision_log=options.decision_log
    )
    gate = EmbeddedGate(cluster, settings)
    await gate.start()
    sys.stdout.write(json.dumps({"port": gate.server.port, "records": options.records, "stall_ms": stall}) + "\n")
    sys.stdout.flush()
    await gate.run(asyncio.Event())


def main() -> None:
    """Read the command line and serve until killed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cert", required=True, type=Path)
    options.add_argument("--key", required=True, type=Path)
    options.add_argument("--records", type=int, default=1000)
    options.add_argument("--decision-log", choices=("all", "notable", "off"), default="all")
    options.add_argument("--loop", choices=sorted(LOOPS), default="asyncio")
    given = options.parse_args()
    configure_logging("info")
    with asyncio.Runner(loop_factory=LOOPS[given.loop]) as runner:
        runner.run(serve(given))


if __name__ == "__main__":
    main()
