"""Which Gateways there are, who guards them, and who migrates them: by the same scan as the audit's."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from webhook.audit.scan.finding import Rule
from webhook.audit.scan.scan import scan
from webhook.audit.scan.stock import Key, Stock
from webhook.errors import ClusterError
from webhook.kube.api.client import Client
from webhook.kube.doctor.look import unread
from webhook.kube.resources import PODS
from webhook.kube.stocktaking import take_stock
from webhook.policy.diagnosis.facts import Gateways
from webhook.policy.diagnosis.line import Unread
from webhook.policy.governance import runner_of
from webhook.policy.record import Runner


async def gateways_of(client: Client, now: datetime) -> Gateways | Unread:
    """Give the Gateways and records of a cluster; ``now`` is aware."""
    try:
        stock = await take_stock(client)
    except ClusterError as error:
        return unread(error, "list deployments.apps and gatewaymigrations.schemagate.io in all namespaces")
    # Without any of these a Gateway that somebody guards could look like one that nobody does.
    if kinds := sorted(stock.unread & {"ConfigMap", "Gateway", "Namespace"}):
        return Unread(f"read {' and '.join(f'{kind}s' for kind in kinds)} in all namespaces")
    result = scan(stock, now)
    unguarded = {(item.namespace, item.name) for item in result.only([Rule.UNGOVERNED]).findings}
    disabled = {key for key in unguarded if key in stock.records}
    broken = result.only([Rule.UNREADABLE]).findings
    runners = {key: runner_of(record.spec, stock.gateways.get(key)) for key, record in stock.records.items()}
    return Gateways(
        records=tuple(stock.records.values()),
        ungoverned=_names(unguarded - disabled),
        disabled=_names(disabled),
        external=frozenset(_names(key for key, runner in runners.items() if runner is Runner.EXTERNAL)),
        doubled=_names(
            key for key, runner in runners.items() if runner is Runner.SCHEMAGATE and _both(stock, key)
        ),
        unreadable=tuple(
            sorted({*_broken(stock.unread), *(f"Deployment {item.namespace}/{item.name}" for item in broken)})
        ),
        count=len(result.gateways),
        namespaces=frozenset(namespace for namespace, _ in result.gateways),
    )


def _names(keys: Iterable[Key]) -> tuple[str, ...]:
    return tuple(sorted("/".join(key) for key in keys))


def _both(stock: Stock, key: Key) -> bool:
    """Tell whether a Gateway has its operator migrate too."""
    gateway = stock.gateways.get(key)
    return gateway is not None and gateway.is_migrated_by_operator


def _broken(entries: Iterable[str]) -> Iterator[str]:
    """Name what is stored and cannot be read, of what decides who is guarded: Pods do not."""
    for entry in entries:
        kind, _, name = entry.partition(" ")
        if kind != PODS.kind:
            yield f"{kind} {name.lstrip('/')}" if name else f"some {kind}"
