"""What the decision log adds to an answer: CPU per request with and without, in turn (part of ``make bench``)."""

import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import trustme

from tests.bench.__main__ import WORK, measure, started

ROUNDS = 3
SECONDS = 1.0
CONNECTIONS = 8


def main() -> None:
    """Print the ratios. The log is read as fast as it comes; processes share the machine's cores."""
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        authority = trustme.CA()
        trust = authority.cert_pem.bytes().decode()
        cert, key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        leaf = authority.issue_cert("localhost")
        leaf.cert_chain_pems[0].write_to_path(str(cert))
        leaf.private_key_pem.write_to_path(str(key))
        command = ["tests.bench.gate", "--cert", str(cert), "--key", str(key), "--decision-log"]
        gates = {word: stack.enter_context(started([*command, word], cores)) for word in ("off", "all")}
        for case in WORK:
            spent: dict[str, list[float]] = {word: [] for word in gates}
            for _ in range(ROUNDS):
                for word, gate in gates.items():
                    cpu, _ = measure(gate, trust, case, case.path, CONNECTIONS, SECONDS)
                    spent[word].append(cpu)
            off, every = (statistics.median(spent[word]) for word in ("off", "all"))
            sys.stdout.write(
                f"decision log, {case.name}: {off:.0f} us off, {every:.0f} us all, {every / off:.2f} x\n"
            )


if __name__ == "__main__":
    main()
