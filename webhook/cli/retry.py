"""``schemagate retry``: asks for another attempt at a migration that failed."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook.cli.flags import cluster_namespace_option, cluster_options, name_argument, wait_options
from webhook.cli.status import missing
from webhook.cli.waiting import SPARE_SECONDS, Goal, wait_for
from webhook.errors import RefusedError
from webhook.policy.inputs import short
from webhook.policy.migration.notices import next_step
from webhook.policy.record import FailureClass, Phase, Record

if TYPE_CHECKING:
    from webhook.cli.live import LiveCluster


@click.command()
@name_argument()
@cluster_namespace_option
@wait_options
@cluster_options
def retry(
    name: str,
    namespace: str | None,
    wait: bool,  # noqa: FBT001 # click gives them by name
    timeout: int | None,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Try the failed migration of Deployment NAME again, once what its record names is mended.

    Annotates the record with the hash that failed; nothing happens to a migration that did not fail.

    Example: schemagate retry ssg -n team-a --wait
    """
    from webhook.cli.live import Where, ask  # late, as it says

    if timeout is not None and not wait:
        raise click.UsageError("--timeout says how long to --wait")

    async def work(cluster: "LiveCluster", where: str) -> int:
        record = await cluster.live_record(where, name)
        if record is None:
            raise missing(where, name)
        refuse(record)
        record = await cluster.ask_again(record)
        status = record.status
        if not wait:
            click.echo(
                f"{where}/{name}: asked for another attempt at {short(status.spec_hash)}; watch it: "
                f"schemagate status {name} -n {where}"
            )
            return 0
        attempts = status.job.attempts if status.job else 0
        goal = Goal(where, name, status.image, record.generation, attempts)
        return await wait_for(cluster, goal, timeout or record.spec.active_deadline_seconds + SPARE_SECONDS)

    return ask(Where(kubeconfig, context, namespace), work)


def refuse(record: Record) -> None:
    """Raise RefusedError where a retry would change nothing."""
    status, where = record.status, f"{record.namespace}/{record.name}"
    if status.phase is not Phase.FAILED:
        raise RefusedError(
            f"{where}: nothing failed that could be tried again; it is {status.phase or 'not known yet'}"
        )
    kind = status.failure.classification if status.failure else FailureClass.UNKNOWN
    if status.job is None or kind is FailureClass.INVALID_INPUTS:
        said = f": {status.failure.message}" if status.failure and status.failure.message else ""
        step = next_step(status, kind, record.namespace, record.name)
        raise RefusedError(f"{where}: a retry would change nothing ({kind.value}{said}); {step}")
