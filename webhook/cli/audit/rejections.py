"""``schemagate audit rejections``: which rollouts were turned away, and what came of them."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook.audit.formats.document import rejections_document
from webhook.audit.formats.junit import rejections_junit
from webhook.audit.formats.separated import rejections_csv
from webhook.audit.history import Filter, Refusal, refusals_of
from webhook.cli.audit.layout import rejections_table
from webhook.cli.audit.log import read_logs
from webhook.cli.audit.period import moment
from webhook.cli.audit.stock import all_namespaces_option, refuse_contradiction, stock_from_files
from webhook.cli.flags import cluster_namespace_option, cluster_options
from webhook.cli.output import objects_option
from webhook.policy.reasons import ALLOWING, Reason
from webhook.policy.record import Mode
from webhook.runtime.process import utc_now

if TYPE_CHECKING:
    from webhook.cli.live import LiveCluster

_TOLD = {Reason.HELD, Reason.BYPASSED}
_REASONS = sorted(reason.value for reason in Reason if reason not in ALLOWING or reason in _TOLD)


@click.command()
@objects_option(required=False)
@click.option(
    "--from-audit-log",
    "logs",
    metavar="FILE",
    multiple=True,
    help="Audit log of kube-apiserver to read instead of the records (audit.k8s.io/v1, an event a line, gzip or "
    "not; - for stdin). May be given again.",
)
@cluster_namespace_option
@all_namespaces_option
@click.option("--since", metavar="TIME", help="Those seen since: 2h, 3d, or a time as 2026-11-22T12:00:00Z.")
@click.option("--until", metavar="TIME", help="Those seen until then, in the same form.")
@click.option("--user", default="", help="Of this user; * and ? stand for any characters.")
@click.option(
    "--reason",
    "reasons",
    type=click.Choice(_REASONS),
    multiple=True,
    help="With this reason. May be given again.",
)
@click.option(
    "--mode",
    "modes",
    type=click.Choice([mode.value for mode in Mode]),
    multiple=True,
    help="Under this mode. May be given again.",
)
@click.option("--open", "open_only", is_flag=True, help="Those of which nothing has come yet.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(("table", "wide", "json", "csv", "junit")),
    default="table",
    show_default=True,
    help="How to print the result.",
)
@cluster_options
def rejections(
    objects: tuple[str, ...],
    logs: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: FBT001 # click gives them by name
    since: str | None,
    until: str | None,
    user: str,
    reasons: tuple[str, ...],
    modes: tuple[str, ...],
    open_only: bool,  # noqa: FBT001
    output: str,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Tell which rollouts were, or would have been, turned away, and what came of them.

    Reads the records of a namespace, which keep the last 20 distinct ones of each Gateway; or those in the files
    that --objects names; or an audit log, which holds them all but knows no outcome. Exits with 0, however many
    there are.

    Example: schemagate audit rejections -A --since 3d --open
    """
    sources = {"--objects": objects, "--from-audit-log": logs}
    refuse_contradiction(sources, namespace, kubeconfig, context, all_namespaces=all_namespaces)
    if logs and open_only:
        raise click.UsageError("--open needs records: an audit log does not know what came of a rejection")
    now = utc_now()
    wanted = Filter(
        user=user,
        namespace=namespace or "",
        reasons=frozenset(reasons),
        modes=frozenset(Mode(mode) for mode in modes),
        since=moment(since, now) if since else None,
        until=moment(until, now) if until else None,
        open_only=open_only,
    )

    def show(rows: list[Refusal]) -> int:
        _print(output, [row for row in rows if wanted.takes(row)], now)
        return 0

    if logs:
        return show(read_logs(logs, wanted))
    if objects:
        records = stock_from_files(objects, namespace or "", Mode.REJECT).records
        return show(refusals_of(records.values()))
    from webhook.cli.live import Where, ask  # late, as it says

    async def work(cluster: "LiveCluster", where: str) -> int:
        return show(refusals_of(await cluster.records("" if all_namespaces else where)))

    return ask(Where(kubeconfig, context, namespace), work)


def _print(output: str, rows: list[Refusal], now: datetime) -> None:
    texts = {
        "table": lambda: rejections_table(rows, now),
        "wide": lambda: rejections_table(rows, now, wide=True),
        "json": lambda: rejections_document(rows, now),
        "csv": lambda: rejections_csv(rows),
        "junit": lambda: rejections_junit(rows),
    }
    if rows or output not in {"table", "wide"}:
        click.echo(texts[output]())
    else:
        click.echo("no rejections", err=True)
