"""``schemagate status``: how the migrations of Gateways stand."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook.cli.flags import cluster_namespace_option, cluster_options, name_argument
from webhook.cli.layout import full, listing
from webhook.cli.output import emit, format_option
from webhook.cli.standing import row
from webhook.errors import NotFoundError
from webhook.runtime.process import utc_now

if TYPE_CHECKING:
    from webhook.cli.live import LiveCluster


@click.command()
@name_argument(required=False)
@cluster_namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
@format_option
@cluster_options
def status(
    name: str | None,
    namespace: str | None,
    all_namespaces: bool,  # noqa: FBT001 # click gives them by name
    output: str,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Show how the migrations of a namespace stand, or all about the one of Deployment NAME.

    JSON and YAML hold a list of records, each with all that is known, however many are asked for.

    Example: schemagate status -A
    """
    from webhook.cli.live import Where, ask  # late, as it says

    if all_namespaces and (name or namespace):
        raise click.UsageError("-A shows all records of all namespaces: give no NAME and no -n with it")

    async def work(cluster: "LiveCluster", where: str) -> int:
        if name is not None:
            record = await cluster.live_record(where, name)
            if record is None:
                raise missing(where, name)
            rows = [row(record)]
            emit(output, rows, lambda: full(rows[0], utc_now()))
            return 0
        rows = [row(record) for record in await cluster.records("" if all_namespaces else where)]
        if rows or output != "table":
            emit(output, rows, lambda: listing(rows, utc_now()))
        else:
            click.echo(f"no records{'' if all_namespaces else f' in namespace {where}'}", err=True)
        return 0

    return ask(Where(kubeconfig, context, namespace), work)


def missing(namespace: str, name: str) -> NotFoundError:
    """Give the error that says why there may be no record."""
    return NotFoundError(
        f"there is no record {namespace}/{name}: nothing asks schemagate to guard a Deployment of this name, or "
        f"its controller does not run; to make one: schemagate migrate {name} -n {namespace} --image IMAGE"
    )
