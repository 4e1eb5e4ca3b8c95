"""What ``schemagate audit`` looks at: a cluster in files, or a live one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from webhook.audit.scan.stock import Key, Stock, wanted_config_maps
from webhook.cli.sources import tell_unread
from webhook.embedded.cluster import EmbeddedCluster
from webhook.embedded.files import load
from webhook.policy.names import RECORD_KIND
from webhook.policy.objects import ConfigMap, Pod, view
from webhook.policy.record import Mode

all_namespaces_option = click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
audit_default_mode_option = click.option(
    "--default-mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.REJECT.value,
    show_default=True,
    help="Mode where neither record nor namespace names one: the one that schemagate was started with.",
)

_SILENT = {
    "ConfigMap": "only migrations that failed or keep a rollout waiting are told",
    "Gateway": "a Gateway that nothing else asks to guard counts as unknown",
    "Namespace": "a Gateway that nothing else asks to guard counts as unknown",
    "Pod": "pods are left out",
}


def refuse_contradiction(
    sources: Mapping[str, Sequence[str]],
    namespace: str | None,
    kubeconfig: Path | None,
    context: str | None,
    *,
    all_namespaces: bool,
) -> None:
    """Raise click.UsageError for flags that contradict each other; ``sources`` stand for a cluster."""
    given = [flag for flag, values in sources.items() if values]
    if all_namespaces and namespace:
        raise click.UsageError("-A means all namespaces: give no -n with it")
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} are two sources: give one of them")
    if given and (kubeconfig or context):
        raise click.UsageError(f"{given[0]} stands for a cluster: give no --kubeconfig or --context with it")


def stock_from_files(paths: Sequence[str], namespace: str, default_mode: Mode) -> Stock:
    """Load a cluster from files or folders; ``namespace`` leaves out all others, unless it is empty.

    Raises SourceError, with file and line, for what cannot be read.
    """
    objects = load(paths)
    tell_unread(objects)
    cluster = EmbeddedCluster()
    cluster.load(objects)
    return stock_of(cluster, namespace, default_mode)


def stock_of(cluster: EmbeddedCluster, namespace: str = "", default_mode: Mode = Mode.REJECT) -> Stock:
    """Give what the scan looks at of a cluster in memory."""
    deployments = cluster.deployments(namespace)
    wanted = set(wanted_config_maps(deployments))
    gateways = cluster.gateways(namespace)
    return Stock(
        deployments=deployments,
        records={
            (item.namespace, item.name): item for item in cluster.records() if namespace in {"", item.namespace}
        },
        gateways={(item.metadata.namespace, item.metadata.name): item for item in gateways},
        namespaces={name: seen for _, _, name in cluster.keys("Namespace") if (seen := cluster.namespace(name))},
        pods=list(_pods(cluster, namespace)),
        config_maps={
            key: view(ConfigMap, cluster.get("ConfigMap", *key) or {}) for key in _there(cluster, wanted)
        },
        default_mode=default_mode,
    )


def tell_gaps(stock: Stock) -> None:
    """Say on stderr what could not be read, and what that does to the result."""
    for kind in sorted(stock.unread):
        kinds = "GatewayMigrations" if kind == RECORD_KIND else f"{kind}s"
        click.echo(f"you may not read {kinds}: {_SILENT.get(kind, 'they are left out')}", err=True)


def _pods(cluster: EmbeddedCluster, namespace: str) -> Iterable[Pod]:
    for key in cluster.keys("Pod"):
        manifest = cluster.get(*key) if namespace in {"", key[1]} else None
        if manifest is not None:
            yield view(Pod, manifest)


def _there(cluster: EmbeddedCluster, wanted: set[Key]) -> list[Key]:
    return [(namespace, name) for _, namespace, name in cluster.keys("ConfigMap") if (namespace, name) in wanted]
