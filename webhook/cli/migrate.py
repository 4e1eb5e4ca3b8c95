"""``schemagate migrate``: announces an image, so that its migration runs ahead of the rollout."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook.cli.announcement import announcement
from webhook.cli.flags import cluster_namespace_option, cluster_options, name_argument, wait_options
from webhook.cli.waiting import SPARE_SECONDS, Goal, wait_for
from webhook.errors import NameTakenError
from webhook.policy.record import Record
from webhook.policy.record.wire import IMAGE_LIMIT

if TYPE_CHECKING:
    from webhook.cli.live import LiveCluster

_TRIES = 3


def _image(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value or len(value) > IMAGE_LIMIT or not value.isprintable() or " " in value:
        raise click.BadParameter("expected the image as the Deployment will name it", param=parameter)
    return value


@click.command()
@name_argument()
@cluster_namespace_option
@click.option(
    "--image", required=True, callback=_image, help="The image to upgrade to, as the Deployment will name it."
)
@wait_options
@cluster_options
def migrate(
    name: str,
    namespace: str | None,
    image: str,
    wait: bool,  # noqa: FBT001 # click gives them by name
    timeout: int | None,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Have the migration for an image run now, ahead of the rollout of Deployment NAME.

    Sets spec.image of the record, which is made where there is none; the rollout passes once it is complete. Needs
    the rights to read Deployments and to read, create and patch gatewaymigrations. With --wait exits with 1 when
    the migration fails or takes too long; Ctrl-C ends the wait alone.

    Example: schemagate migrate ssg -n team-a --image docker.io/caapim/gateway:11.3.0 --wait
    """
    from webhook.cli.live import Where, ask  # late, as it says

    if timeout is not None and not wait:
        raise click.UsageError("--timeout says how long to --wait")

    async def work(cluster: "LiveCluster", where: str) -> int:
        record = await _announce(cluster, where, name, image)
        if not wait:
            click.echo(f"{where}/{name}: announced {image}; watch it: schemagate status {name} -n {where}")
            return 0
        goal = Goal(where, name, image, record.generation)
        return await wait_for(cluster, goal, timeout or record.spec.active_deadline_seconds + SPARE_SECONDS)

    return ask(Where(kubeconfig, context, namespace), work)


async def _announce(cluster: "LiveCluster", namespace: str, name: str, image: str) -> Record:
    for _ in range(_TRIES):
        scene = await cluster.scene(namespace, name)
        step = announcement(scene, image)
        if step.announce is not None:
            return await cluster.announce(step.announce, image)
        if step.create is None:
            # The same as a record that is there, which is what makes it so.
            return scene.record or Record(namespace=namespace, name=name)
        try:
            return await cluster.create(step.create)
        except NameTakenError:
            continue  # the controller made it meanwhile
    raise NameTakenError(f"the record {namespace}/{name} comes and goes: find out who deletes it")
