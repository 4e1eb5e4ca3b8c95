"""``schemagate audit scan``: what is wrong in a cluster as it stands."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook.audit.formats.document import scan_document
from webhook.audit.formats.junit import scan_junit
from webhook.audit.formats.sarif import scan_sarif
from webhook.audit.formats.separated import scan_csv
from webhook.audit.scan.finding import Rule, Severity
from webhook.audit.scan.scan import Scan
from webhook.audit.scan.scan import scan as look
from webhook.audit.scan.stock import Stock
from webhook.cli.audit.layout import scan_table
from webhook.cli.audit.stock import (
    all_namespaces_option,
    audit_default_mode_option,
    refuse_contradiction,
    stock_from_files,
    tell_gaps,
)
from webhook.cli.flags import cluster_namespace_option, cluster_options
from webhook.cli.output import objects_option
from webhook.policy.record import Mode
from webhook.runtime.process import utc_now

if TYPE_CHECKING:
    from webhook.cli.live import LiveCluster

_NEVER = "never"


@click.command()
@objects_option(required=False, pods=True)
@cluster_namespace_option
@all_namespaces_option
@click.option(
    "--rule",
    "rules",
    type=click.Choice([rule.value for rule in Rule]),
    multiple=True,
    help="Tell findings of this rule alone. May be given again.",
)
@audit_default_mode_option
@click.option(
    "--fail-on",
    type=click.Choice([*(severity.value for severity in Severity), _NEVER]),
    default=Severity.HIGH.value,
    show_default=True,
    help="Exit with 1 when there is a finding of this severity or a graver one.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("table", "wide", "json", "csv", "junit", "sarif")),
    default="table",
    show_default=True,
    help="How to print the result.",
)
@cluster_options
def scan(
    objects: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: FBT001 # click gives them by name
    rules: tuple[str, ...],
    default_mode: str,
    fail_on: str,
    output: str,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Tell what is wrong with the Gateways of a namespace, as they are stored.

    Judges each Gateway's Deployment and pods as the webhooks would, in a cluster and with your rights, or in the
    files that --objects names (then those of all namespaces). Exits with 1 when something is found that --fail-on
    asks for, else with 2 when something could not be read; with "never" always with 0.

    Example: schemagate audit scan -A -o sarif
    """
    refuse_contradiction({"--objects": objects}, namespace, kubeconfig, context, all_namespaces=all_namespaces)
    mode, limit = Mode(default_mode), None if fail_on == _NEVER else Severity(fail_on)

    def show(stock: Stock) -> int:
        tell_gaps(stock)
        now = utc_now()
        found = look(stock, now).only([rule for rule in Rule if rule.value in rules])
        texts = {
            "table": lambda: scan_table(found),
            "wide": lambda: scan_table(found, wide=True),
            "json": lambda: scan_document(found, now),
            "csv": lambda: scan_csv(found),
            "junit": lambda: scan_junit(found, limit),
            "sarif": lambda: scan_sarif(found),
        }
        click.echo(texts[output]())
        return exit_code(found, limit)

    if objects:
        return show(stock_from_files(objects, namespace or "", mode))
    from webhook.cli.live import Where, ask  # late, as it says

    async def work(cluster: "LiveCluster", where: str) -> int:
        return show(await cluster.stock("" if all_namespaces else where, mode))

    return ask(Where(kubeconfig, context, namespace), work)


def exit_code(found: Scan, limit: Severity | None) -> int:
    """Give 1 for a finding of this severity or a graver one, else 2 where something is unread; 0 without limit."""
    if limit is None:
        return 0
    if any(item.severity.rank >= limit.rank for item in found.findings):
        return 1
    return 2 if found.unread else 0
