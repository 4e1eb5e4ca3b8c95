"""``schemagate serve``: webhooks and controller on an embedded cluster."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import click

from webhook.cli.flags import listening_options, mode_option, tls_options, webhook_port_option
from webhook.cli.output import objects_option
from webhook.cli.sources import load_cluster
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import StartError
from webhook.logs import configure_logging
from webhook.runtime.embedded import EmbeddedGate, JobPolicy
from webhook.runtime.process import stop_or_exit
from webhook.settings import Settings, read_settings


@click.command()
@objects_option(required=True)
@listening_options
@webhook_port_option
@tls_options
@click.option(
    "--write-ca",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Without --tls-cert: where to write the CA of the certificate made on the spot.",
)
@mode_option
@click.option(
    "--jobs",
    type=click.Choice(["complete", "fail", "wait"]),
    default="complete",
    show_default=True,
    help="How migration Jobs end in the embedded cluster.",
)
def serve(objects: tuple[str, ...], write_ca: Path | None, jobs: JobPolicy, **flags: Any) -> int:
    """Serve the webhooks over HTTPS on a cluster held in memory, loaded from --objects.

    --host, --port, --ops-port, --tls-cert, --tls-key and --default-mode are environment variables too, as
    SCHEMAGATE_OPS_PORT is; SCHEMAGATE_DRAIN_SECONDS, _RELOAD_SECONDS, _DECISION_LOG and _LOG_LEVEL are that
    alone. Every verdict is a JSON line on standard output. Ends on SIGTERM or Ctrl-C: not ready, then serve on
    and close connections, then stop.

    Example: schemagate serve --objects cluster/ --write-ca ca.pem
    """
    settings = read_settings(**flags)
    if write_ca is not None and settings.tls_cert is not None:
        raise StartError("--write-ca goes with a certificate made on the spot; leave it out with --tls-cert")
    configure_logging(settings.log_level)
    cluster = load_cluster(objects)
    return asyncio.run(_serve(cluster, settings, write_ca, jobs))


async def _serve(
    cluster: EmbeddedControllerCluster, settings: Settings, write_ca: Path | None, jobs: JobPolicy
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_or_exit, stop)
    gate = EmbeddedGate(cluster, settings, jobs=jobs)
    if write_ca is not None and gate.tls.authority_pem is not None:
        _write(write_ca, gate.tls.authority_pem)
    await gate.start()
    told = [
        f"webhooks  {gate.url}/validate-apps-v1-deployment (and /mutate-apps-v1-deployment, /mutate-v1-pod)",
        f"ops       {gate.ops_url}/readyz (and /healthz, /metrics)",
    ]
    if write_ca is not None:
        told.append(f"CA        {write_ca}")
    click.echo("\n".join(told))  # at once: whoever reads no further than the first line ends nothing
    await gate.run(stop)
    return 0


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StartError(f"--write-ca {path}: {error.strerror or error}") from None
