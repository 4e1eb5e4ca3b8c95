"""`python -m tests.controlplane build | up --state DIR | down --state DIR`."""

import argparse
import signal
import sys
from pathlib import Path

from tests.controlplane import binaries, detached


def main() -> int:
    """Run one command; errors are one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the programs that are missing")
    for name, text in (
        ("up", "start a control plane, print its kubeconfig"),
        ("down", "end it, remove the folder"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", type=Path, required=True, metavar="DIR")
    chosen = parser.parse_args()
    # An `up` that is ended half way ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if chosen.command == "build":
            lines = [f"{path}\n" for path in binaries.build().values()]
        elif chosen.command == "up":
            lines = [
                f"export KUBECONFIG={detached.up(chosen.state)}\n",
                f"# kubectl: {binaries.paths()['kubectl']}\n",
            ]
        else:
            detached.down(chosen.state)
            lines = []
    except (binaries.NotBuiltError, detached.StateError, RuntimeError, TimeoutError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
