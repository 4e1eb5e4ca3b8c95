"""``schemagate webhook`` and ``schemagate controller``: the two processes of an installation."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from webhook.cli.flags import cluster_options, listening_options, mode_option, tls_options, webhook_port_option
from webhook.logs import configure_logging, logger
from webhook.runtime.process import stop_or_exit, unique_identity, user_agent
from webhook.settings import Settings, read_settings

if TYPE_CHECKING:
    from webhook.kube.api.client import Client


class Process(Protocol):
    """Runs until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop``."""


Make = Callable[["Client", Settings, str, str], Process]


certificates_option = click.option(
    "--certificates",
    type=click.Choice(["self-managed", "files"]),
    help="Who keeps the certificate of the webhooks: the controller, or whoever writes the files (cert-manager).  "
    "[default: files with --tls-cert, else self-managed]",
)
identity_options = click.option(
    "--identity", help="Name of this replica, unique.  [default: host name and a number]"
)


@click.command()
@cluster_options
@identity_options
@listening_options
@webhook_port_option
@tls_options
@click.option(
    "--tls-ca",
    type=click.Path(path_type=Path),
    help="CA bundle (PEM) that has to verify --tls-cert before it is ready.",
)
@certificates_option
@mode_option
def webhook(**flags: Any) -> int:
    """Serve the webhooks to an API server: one of any number of equal replicas.

    Knows the cluster by watching it, and writes nothing but what it turned away, into its own namespace. Every
    flag is an environment variable too, as SCHEMAGATE_OPS_PORT is. Ends on SIGTERM: not ready, then serve on and
    close connections, then stop.

    Without --tls-cert it shows the certificate that the controller keeps.

    Example: schemagate webhook --tls-cert tls.crt --tls-key tls.key
    """
    # Imported here: commands without a cluster need not wait for the Kubernetes client to load.
    from webhook.runtime.webhook import WebhookProcess

    return _run(WebhookProcess, flags, "schemagate-webhook")


@click.command()
@cluster_options
@listening_options
@identity_options
@certificates_option
@click.option(
    "--view",
    is_flag=True,
    default=None,
    help="Show the report of `schemagate audit report` as /audit on the ops port, to whoever reaches it.",
)
@mode_option
def controller(**flags: Any) -> int:
    """Run migrations and keep their records: of all replicas the one that holds the Lease.

    Every flag is an environment variable too, as SCHEMAGATE_IDENTITY is. Ends on SIGTERM: the work in hand ends,
    and the Lease is given up, so that another replica goes on at once.

    Example: schemagate controller --kubeconfig ~/.kube/config
    """
    from webhook.runtime.controller import ControllerProcess  # as above

    return _run(ControllerProcess, flags, "schemagate-controller")


def _run(make: Make, flags: dict[str, Any], program: str) -> int:
    settings = read_settings(**flags)
    configure_logging(settings.log_level)
    return asyncio.run(_until_stopped(make, settings, program))


async def _until_stopped(make: Make, settings: Settings, program: str) -> int:
    from webhook.kube.api.connection import connect, own_namespace  # as above

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_or_exit, stop)
    identity = settings.identity or unique_identity()
    client = await connect(
        settings.kubeconfig,
        settings.context,
        strict_x509=settings.strict_x509,
        user_agent=user_agent(program, identity),
    )
    namespace = settings.namespace or own_namespace(settings.kubeconfig, settings.context)
    try:
        process = make(client, settings, namespace, identity)
        logger().info("started", server=client.server, namespace=namespace)
        await process.run(stop)
    finally:
        await client.close()
    return 0
