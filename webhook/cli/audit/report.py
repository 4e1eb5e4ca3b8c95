"""``schemagate audit report``: a cluster at one moment, as one HTML file."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook.audit.report.html.report import render
from webhook.audit.report.survey import survey
from webhook.audit.scan.stock import Stock
from webhook.cli.audit.stock import (
    all_namespaces_option,
    audit_default_mode_option,
    refuse_contradiction,
    stock_from_files,
    tell_gaps,
)
from webhook.cli.flags import cluster_namespace_option, cluster_options
from webhook.cli.output import objects_option
from webhook.errors import SourceError
from webhook.policy.record import Mode
from webhook.runtime.process import utc_now

if TYPE_CHECKING:
    from webhook.cli.live import LiveCluster

_STDOUT = Path("-")
_READABLE = 0o644


@click.command()
@objects_option(required=False, pods=True)
@cluster_namespace_option
@all_namespaces_option
@audit_default_mode_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    required=True,
    help="File to write, or - for standard output.",
)
@click.option("--title", help="What to call the cluster.  [default: the context, the API server or the files]")
@cluster_options
def report(
    objects: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: FBT001 # click gives them by name
    default_mode: str,
    output: Path,
    title: str | None,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Write a report to be looked at: which rollout waits for what, who was turned away, and what is wrong.

    It is one HTML file without scripts that loads nothing, so that it can be sent, printed and kept. It is about a
    namespace of the cluster, about all with -A, or about the files that --objects names.

    Example: schemagate audit report -A -o report.html
    """
    refuse_contradiction({"--objects": objects}, namespace, kubeconfig, context, all_namespaces=all_namespaces)
    mode = Mode(default_mode)

    def write(stock: Stock, called: str) -> int:
        tell_gaps(stock)
        page = render(survey(stock, cluster=title or called, taken=utc_now()))
        if output == _STDOUT:
            click.echo(page, nl=False)
        else:
            _replace(output, page)
            click.echo(f"wrote {output} ({len(page):,} bytes)", err=True)
        return 0

    if objects:
        return write(stock_from_files(objects, namespace or "", mode), ", ".join(objects))
    from webhook.cli.live import Where, ask  # late, as it says

    async def work(cluster: "LiveCluster", where: str) -> int:
        called = context or cluster.server
        if all_namespaces:
            return write(await cluster.stock("", mode), called)
        return write(await cluster.stock(where, mode), f"{called}, namespace {where}")

    return ask(Where(kubeconfig, context, namespace), work)


def _replace(target: Path, page: bytes) -> None:
    """Write beside the file and rename: whoever reads it sees the old report or the new one, never half of one."""
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            beside = Path(file.name)
            try:
                file.write(page)
                file.close()
                beside.chmod(_READABLE & ~_umask())
                beside.replace(target)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise SourceError(f"cannot write {target}: {error.strerror or error}") from None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
