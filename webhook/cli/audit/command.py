"""``schemagate audit``: what is wrong in a cluster as it stands, and what was turned away."""

import click

from webhook.cli.audit.rejections import rejections
from webhook.cli.audit.report import report
from webhook.cli.audit.scan import scan


@click.group()
def audit() -> None:
    """Tell what is unguarded or wrong, and which rollouts were turned away."""


audit.add_command(scan)
audit.add_command(rejections)
audit.add_command(report)
