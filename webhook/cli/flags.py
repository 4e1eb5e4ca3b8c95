"""Flags that several commands share. Each is a setting, and an environment variable of the same name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from webhook.policy.record import Mode

F = TypeVar("F", bound=Callable[..., Any])


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
