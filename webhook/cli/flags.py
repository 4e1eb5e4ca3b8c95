"""Flags that several commands share. Those of processes are settings, and environment variables of that name."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from webhook.policy.record import Mode

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


listening_options = _all(
    click.option("--host", help="Address to listen on.  [default: 127.0.0.1]"),
    click.option(
        "--ops-port", type=int, help="Port of /healthz, /readyz, /metrics (HTTP), 0 for any.  [default: 8080]"
    ),
)
webhook_port_option = click.option(
    "--port", type=int, help="Port of the webhooks (HTTPS), 0 for any.  [default: 9443]"
)
tls_options = _all(
    click.option(
        "--tls-cert", type=click.Path(path_type=Path), help="Certificate chain (PEM); reloaded when it changes."
    ),
    click.option("--tls-key", type=click.Path(path_type=Path), help="Private key (PEM)."),
    click.option(
        "--client-ca",
        type=click.Path(path_type=Path),
        help="CA (PEM) of the API server's client certificate.  [default: none is asked for]",
    ),
    click.option("--client-names", help="Common names that may come, separated by commas.  [default: any]"),
)
mode_option = click.option(
    "--default-mode", type=click.Choice([mode.value for mode in Mode]), help="Mode where none is named."
)
cluster_options = _all(
    click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path),
        help="Kubeconfig of the cluster.  [default: the pod's service account, $KUBECONFIG, ~/.kube/config]",
    ),
    click.option("--context", help="Context of the kubeconfig."),
)


def _checked(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and _NAME.fullmatch(value) is None:
        raise click.BadParameter(
            "expected the name of an object: lower case, digits, '-' and '.'", param=parameter
        )
    return value


def name_argument(*, required: bool = True) -> Callable[[F], F]:
    """Give the argument that names a Deployment, and so its record."""
    return click.argument("name", metavar="NAME" if required else "[NAME]", required=required, callback=_checked)


cluster_namespace_option = click.option(
    "-n", "--namespace", callback=_checked, help="Namespace.  [default: that of the kubeconfig's context]"
)
wait_options = _all(
    click.option("--wait", is_flag=True, help="Wait until the migration is complete or failed."),
    click.option(
        "--timeout",
        type=click.IntRange(min=1),
        metavar="SECONDS",
        help="How long to wait.  [default: the deadline of the migration Job, and a minute]",
    ),
)
