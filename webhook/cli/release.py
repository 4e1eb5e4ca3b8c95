"""``schemagate release``: leaves no Deployment held behind, whatever is left of schemagate itself.

While its webhooks stand, they pause or deny what is resumed before it is migrated. So the record is disabled
first, and made where there is none; then anybody's resume passes, ours or the controller's, which releases too.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from webhook.cli.announcement import Scene
from webhook.cli.flags import cluster_namespace_option, cluster_options, name_argument
from webhook.errors import (
    ConflictError,
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    SchemagateError,
    UnreachableError,
)
from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.governance import govern, source_spec
from webhook.policy.migration.target import is_held
from webhook.policy.objects import Deployment
from webhook.policy.record import Phase, Record, RecordSpec

if TYPE_CHECKING:
    from webhook.cli.live import LiveCluster

SECONDS = 20
"""How long to try by default: a webhook configuration that was deleted is obeyed for a moment longer."""
_ROUND_SECONDS = 1.0
_LOCK = "ValidatingAdmissionPolicy"


class Releasing(Protocol):
    """What a release asks of the cluster, and does to it."""

    async def deployment(self, namespace: str, name: str) -> Deployment | None:
        """Give the Deployment as it is stored now."""

    async def scene(self, namespace: str, name: str) -> Scene:
        """Give all that decides over who guards it."""

    async def create(self, record: Record) -> Record:
        """Create a record; NameTakenError when there is one by now."""

    async def disable(self, record: Record) -> Record:
        """Have a record guard nothing any more."""

    async def resume(self, deployment: Deployment) -> Deployment:
        """Let it go on; ConflictError when it has changed. Gives it as it is stored then."""


@click.command()
@name_argument(required=False)
@cluster_namespace_option
@click.option("--all", "everything", is_flag=True, help="All that is held in the namespace.")
@click.option("-A", "--all-namespaces", is_flag=True, help="With --all: in all namespaces.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    default=SECONDS,
    show_default=True,
    help="How long to try.",
)
@cluster_options
def release(
    name: str | None,
    namespace: str | None,
    everything: bool,  # noqa: FBT001 # click gives them by name
    all_namespaces: bool,  # noqa: FBT001
    dry_run: bool,  # noqa: FBT001
    timeout: int,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Let Deployment NAME go on, or --all, which schemagate holds: its new pods migrate by themselves.

    Works while schemagate runs, when half of it is gone, and when all is: then the rights to list and patch
    Deployments are enough. While its webhooks stand it disables the record, so that nothing is held again. What a
    user paused stays paused. Exits with 1 when something is still held.

    Example: schemagate release --all -A
    """
    from webhook.cli.live import Where, ask  # late, as it says

    if everything == (name is not None):
        raise click.UsageError("give the NAME of a Deployment, or --all")
    if all_namespaces and (namespace or not everything):
        raise click.UsageError("-A goes with --all, and without -n")

    async def work(cluster: "LiveCluster", where: str) -> int:
        found = [(where, name)] if name else await cluster.held("" if all_namespaces else where)
        if not found:
            click.echo(f"nothing is held{'' if all_namespaces else f' in namespace {where}'}")
            return 0
        registered = await cluster.registered()
        releases = [Release(cluster, *key, guarded=registered is None or bool(registered)) for key in found]
        if dry_run:
            for each in releases:
                click.echo(await each.preview())
            return 0
        return await carry_out(releases, registered, timeout)

    return ask(Where(kubeconfig, context, namespace), work)


class Release:
    """One Deployment on its way to go on. ``guarded``: webhooks of ours stand, or nobody may know."""

    def __init__(self, cluster: Releasing, namespace: str, name: str, *, guarded: bool) -> None:
        self._cluster = cluster
        self._key = (namespace, name)
        self._guarded = guarded
        self._opened = ""
        self.where = f"{namespace}/{name}"
        self.obstacle = "not tried yet"
        """Why it is still held."""

    async def preview(self) -> str:
        """Say what a release would do."""
        deployment = await self._stored()
        if not is_held(deployment):
            return f"{self.where}: {_free(deployment)}"
        steps = ["resume it"]
        if self._guarded:
            record = _disabled(await self._cluster.scene(*self._key))
            if record is not None:
                steps.insert(0, "disable its record" if record.uid else "make a disabled record")
        return f"{self.where}: would {' and '.join(steps)}"

    async def attempt(self) -> str | None:
        """Try once; gives what was done, or None while it is held, with the obstacle. Raises NotFoundError."""
        try:
            deployment = await self._stored()
        except UnreachableError as error:
            self.obstacle = str(error)
            return None
        if not is_held(deployment):
            return f"released by the controller{self._opened}" if self._opened else _free(deployment)
        try:
            if self._guarded and not self._opened:
                await self._open()
            stored = await self._cluster.resume(deployment)
        except ConflictError:
            self.obstacle = "it keeps changing"
            return None
        except SchemagateError as error:
            # The second lock stands without webhooks, and heeds a disabled record as they do.
            self._guarded |= isinstance(error, ForbiddenError) and _LOCK in str(error)
            self.obstacle = str(error)
            return None
        if is_held(stored):
            self.obstacle = "a webhook pauses it again"
            return None
        return f"released{self._opened}"

    async def _open(self) -> None:
        """Have nobody guard it."""
        scene = await self._cluster.scene(*self._key)
        record = _disabled(scene)
        if record is None:
            return
        namespace, name = self._key
        try:
            stored = await (self._cluster.disable(record) if record.uid else self._cluster.create(record))
        except NameTakenError as error:
            raise ConflictError(str(error)) from None  # the controller made it meanwhile
        except NotFoundError:
            return  # there are no records on this cluster any more
        again = f"""kubectl patch gwm {name} -n {namespace} --type merge -p '{{"spec":{{"enabled":true}}}}'"""
        self._opened = f"; its record is disabled, to guard it again: {again}"
        job = stored.status.job
        if job is not None and stored.status.phase in {Phase.RUNNING, Phase.SUPERSEDED}:
            self._opened = f"; Job {job.name} still migrates, and new pods wait for its lock{self._opened}"

    async def _stored(self) -> Deployment:
        found = await self._cluster.deployment(*self._key)
        if found is None:
            raise NotFoundError(f"there is no Deployment {self.where}")
        return found


async def carry_out(releases: Sequence[Release], registered: Sequence[str] | None, seconds: float) -> int:
    """Try all in turns until none is left or the time is up; tells each outcome, and gives the exit code."""
    end, left = time.monotonic() + seconds, list(releases)
    while True:
        left = [each for each in left if not await _tell(each, alone=len(releases) == 1)]
        if not left or time.monotonic() >= end:
            break
        await asyncio.sleep(min(_ROUND_SECONDS, max(0.0, end - time.monotonic())))
    for each in left:
        click.echo(printable(f"{each.where}: still held: {each.obstacle}", MESSAGE_LIMIT))
    if left and registered:
        click.echo(
            "schemagate's webhooks stand in the way; to open the gate for all, and then try again: "
            f"kubectl delete {' '.join(registered)}",
            err=True,
        )
    return 1 if left else 0


async def _tell(release: Release, *, alone: bool) -> bool:
    """Try one, tell what was done, and whether that is all."""
    try:
        done = await release.attempt()
    except NotFoundError as error:
        if alone:
            raise
        done = str(error)  # deleted meanwhile
    if done is not None:
        click.echo(printable(f"{release.where}: {done}", MESSAGE_LIMIT))
    return done is not None


def _disabled(scene: Scene) -> Record | None:
    """Give the record that has nobody guard the Deployment, stored if it has a UID; None where nobody does.

    What a Gateway, annotation or namespace asks for stays a managed record: its source rules the rest of it.
    """
    if scene.record is not None:
        return scene.record if govern(scene.claims(scene.record)) is not None else None
    wish = source_spec(scene.claims(None))
    if wish is None and scene.asks is not None:
        return None
    spec = replace(wish[1] if wish else RecordSpec(), enabled=False)
    return Record(namespace=scene.namespace, name=scene.name, managed=wish is not None, spec=spec)


def _free(deployment: Deployment) -> str:
    paused = deployment.spec.paused
    return "paused, but not by schemagate: it is left so" if paused else "is not held"
