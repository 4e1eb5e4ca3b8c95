"""`python -m tests.live up --state DIR | down --state DIR`: a control plane with schemagate installed, by hand."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.controlplane import binaries, detached
from tests.controlplane.arguments import free_ports
from tests.controlplane.client import Client
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.objects import install, stock
from tests.controlplane.processes import Component
from tests.live.installation import Installation


def main() -> int:
    """Run one command; errors are one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.live", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("up", "start it, print its kubeconfig"), ("down", "end it, remove the folder")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", type=Path, required=True, metavar="DIR")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # one that is ended half way ends what it started
    try:
        if chosen.command == "down":
            detached.down(chosen.state)
            return 0
        kubeconfig = detached.up(chosen.state, _installed)
    except (binaries.NotBuiltError, detached.StateError, RuntimeError, TimeoutError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"export KUBECONFIG={kubeconfig}\n# kubectl: {binaries.paths()['kubectl']}\n")
    return 0


def _installed(plane: ControlPlane) -> Mapping[str, Component]:
    """Install schemagate, and start both its processes."""
    installation = Installation(plane, detached=True)
    (port,) = free_ports(1)

    async def apply(*, webhooks: bool) -> None:
        async with Client(plane.api_url, plane.client_context) as client:
            await install(client, stock())
            await installation.apply(client, webhook_port=port if webhooks else None)

    try:
        asyncio.run(apply(webhooks=False))
        installation.start("webhook", port=port)
        installation.start("controller")
        asyncio.run(apply(webhooks=True))
    except BaseException:
        installation.stop()
        raise
    return installation.components


if __name__ == "__main__":
    sys.exit(main())
