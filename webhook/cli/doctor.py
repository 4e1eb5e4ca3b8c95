"""``schemagate doctor``: whether the API server would reach this installation, and whether it would decide."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook.cli.flags import cluster_options
from webhook.cli.output import emit, format_option, table
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.line import TEXT_LIMIT, Level, Line
from webhook.policy.names import PRODUCT
from webhook.runtime.process import utc_now

if TYPE_CHECKING:
    from webhook.cli.live import LiveCluster

_HEAD = ("LEVEL", "CHECK", "MESSAGE")
_ARROW = "→ "
_FAILED = 1
_UNKNOWN = 2


@click.command()
@click.option(
    "-n", "--namespace", default=PRODUCT, show_default=True, help="Namespace that schemagate is installed in."
)
@click.option(
    "--canary-namespace",
    default="default",
    show_default=True,
    help="Namespace of the dry run that is to reach schemagate; not one that it leaves out.",
)
@format_option
@cluster_options
def doctor(
    namespace: str, canary_namespace: str, output: str, kubeconfig: Path | None, context: str | None
) -> int:
    """Tell whether the API server reaches schemagate, and whether it would decide.

    Compares what is installed with what this version needs, and has the API server try a Deployment by a dry run
    that stores nothing. Each line says what to do. Reads with your rights; what cannot be read is UNKNOWN.
    Exits with 1 when something fails, else with 2 when something is unknown.

    Example: schemagate doctor -o json
    """
    from webhook.cli.live import Where, ask  # late, as it says

    async def work(cluster: "LiveCluster", where: str) -> int:
        return told(diagnose(await cluster.examine(where, canary_namespace, utc_now)), output)

    return ask(Where(kubeconfig, context, namespace), work)


def told(lines: Sequence[Line], output: str) -> int:
    """Print the lines, and give the exit code."""
    rows = [
        {"check": line.check.value, "level": line.level.value, "message": line.message, "next": line.advice}
        for line in lines
    ]
    emit(output, rows, lambda: _table(lines))
    levels = {line.level for line in lines}
    if Level.FAIL in levels:
        return _FAILED
    return _UNKNOWN if Level.UNKNOWN in levels else 0


def _table(lines: Sequence[Line]) -> str:
    """Lay out a line for each, and below it what to do."""
    rows = []
    for line in lines:
        rows.append([line.level.value, line.check.value, line.message])
        if line.advice:
            rows.append(["", "", f"{_ARROW}{line.advice}"])
    return table(_HEAD, rows, TEXT_LIMIT + len(_ARROW))
