"""Loading what a command judges, and the cluster that it judges against."""

from collections.abc import Iterable, Sequence

import click

from webhook.embedded.cluster import CLUSTER_SCOPED
from webhook.embedded.files import STDIN, USED_KINDS, Located, load
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import SourceError


def load_cluster(paths: Sequence[str]) -> EmbeddedControllerCluster:
    """Load a cluster from files; tells on stderr which kinds are not read, and stops at references to nothing."""
    cluster = EmbeddedControllerCluster()
    objects = load(paths)
    cluster.load(objects)
    tell_unread(objects)
    refuse_dangling(cluster, objects)
    return cluster


def load_judged(paths: Sequence[str], namespace: str | None, objects: Sequence[str]) -> list[Located]:
    """Load what a command judges; tells which kinds it passes over, and gives a namespace to what has none.

    Without ``namespace`` that is ``default``, as it says on stderr: charts write none, and a Gateway looked for
    in the wrong one is not governed.
    """
    if [*paths, *objects].count(STDIN) > 1:
        raise SourceError("-: standard input can be read once only; give a file for the other")
    found = load(paths)
    tell_unread(found)
    unplaced: Located | None = None
    for located in found:
        if located.used and located.kind not in {*CLUSTER_SCOPED, "AdmissionReview"}:
            meta = located.manifest["metadata"]
            unplaced = unplaced or (None if meta.get("namespace") or namespace else located)
            meta["namespace"] = meta.get("namespace") or namespace or "default"
    if unplaced is not None:
        click.echo(f"{unplaced.where}: {unplaced.kind} names no namespace, taken as default; give -n", err=True)
    return found


def refuse_dangling(cluster: EmbeddedControllerCluster, objects: Iterable[Located]) -> None:
    """Raise SourceError when a gateway container needs a ConfigMap that is not there."""
    problems = cluster.dangling(objects)
    if problems:
        raise SourceError("\n".join(problems))


def tell_unread(objects: Iterable[Located]) -> None:
    """Say which objects are of kinds that are not read: once a kind, with the place of the first."""
    first: dict[str, Located] = {}
    counts: dict[str, int] = {}
    for located in objects:
        if not located.used:
            first.setdefault(located.kind, located)
            counts[located.kind] = counts.get(located.kind, 0) + 1
    for kind, located in first.items():
        click.echo(
            f"{located.where}: kind {kind} is not read ({counts[kind]}); read are {', '.join(USED_KINDS)}",
            err=True,
        )
