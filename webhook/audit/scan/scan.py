"""A scan, whoever asks for it: what is wrong in a cluster as it stands, and how much of it is guarded."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from webhook.audit.scan.finding import Finding, Rule
from webhook.audit.scan.judgement import Judged, judge
from webhook.audit.scan.rules import CHECKS
from webhook.audit.scan.stock import Key, Stock, key_of
from webhook.policy.objects import Deployment
from webhook.policy.reasons import Reason
from webhook.policy.record import Phase

LIMIT = 10_000
"""Findings that are kept; further ones are counted."""
_SHARERS_SHOWN = 3
_LOOPBACK = ("127.", "localhost:", "[::1]")
_WAITING = frozenset({Phase.PENDING, Phase.WAITING, Phase.RUNNING, Phase.SUPERSEDED})
_WITHOUT_CONFIG_MAPS = frozenset({Rule.MIGRATION_FAILED, Rule.HELD_FOR_LONG, Rule.UNREADABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many Gateways of a namespace are guarded, and how they stand.

    Each of ``gateways`` is ``governed``, ``ungoverned``, ``without_database``, or ``unknown`` where what would ask
    for a guard could not be read. Of the governed ones that know the modes, ``complete``, ``held`` and
    ``incomplete`` say what is stored now; ``unsupported`` are too old for them. ``waiting`` and ``failed`` count
    records by the migration that they are about.
    """

    namespace: str
    gateways: int = 0
    governed: int = 0
    ungoverned: int = 0
    unknown: int = 0
    without_database: int = 0
    unsupported: int = 0
    complete: int = 0
    incomplete: int = 0
    held: int = 0
    waiting: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a scan found, the gravest first; ``omitted`` counts findings beyond the limit.

    ``gateways`` are the Deployments that were looked at (namespace, name), ``unread`` the kinds that could not be
    read.
    """

    findings: tuple[Finding, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    gateways: tuple[Key, ...] = ()
    unread: frozenset[str] = frozenset()
    omitted: int = 0

    def only(self, rules: Collection[Rule]) -> "Scan":
        """Give the same with the findings of these rules alone; of all where there is none."""
        return replace(self, findings=tuple(item for item in self.findings if not rules or item.rule in rules))

    @property
    def total(self) -> Coverage:
        """The figures of all namespaces together, under the namespace ``*``."""
        names = [field.name for field in fields(Coverage) if field.name != "namespace"]
        return Coverage(
            namespace="*", **{name: sum(getattr(item, name) for item in self.coverage) for name in names}
        )


def scan(stock: Stock, now: datetime) -> Scan:
    """Look at all Gateways of a cluster; ``now`` is aware. The same stock gives the same result."""
    return scan_of(judge(stock), stock, now)


def scan_of(items: Iterable[Judged | tuple[Deployment, str]], stock: Stock, now: datetime) -> Scan:
    """Give the scan of a stock by what ``judge`` made of it: for who needs both, since to judge is most of it."""
    judged: list[Judged] = []
    found: list[Finding] = []
    for item in items:
        if isinstance(item, Judged):
            judged.append(item)
        else:
            deployment, cause = item
            said = f"the pod template cannot be read: {cause}"
            found.append(Finding.of(Rule.UNREADABLE, key_of(deployment.metadata), said, Rule.UNREADABLE.advice))
    found += [each for item in judged for check in CHECKS for each in check(item, now)]
    found += _shared(judged)
    found = [each for each in found if _known(each, stock)]
    rules = list(Rule)
    found.sort(key=lambda item: (-item.severity.rank, *_where(item), rules.index(item.rule), item.subject))
    return Scan(
        findings=tuple(found[:LIMIT]),
        coverage=tuple(_coverage(judged, stock)),
        gateways=tuple(item.where for item in judged),
        unread=stock.unread,
        omitted=max(0, len(found) - LIMIT),
    )


def _where(item: Finding) -> tuple[str, str]:
    return item.namespace, item.name


def _known(item: Finding, stock: Stock) -> bool:
    """Leave out what is only said because something could not be read."""
    governs = item.rule is not Rule.UNGOVERNED or not stock.unread & {"Gateway", "Namespace"}
    return governs and ("ConfigMap" not in stock.unread or item.rule in _WITHOUT_CONFIG_MAPS)


def _shared(judged: Sequence[Judged]) -> Iterator[Finding]:
    """Find databases with several images, each told at every Deployment that uses it."""
    by_database: dict[str, list[Judged]] = {}
    for item in judged:
        key = _database(item)
        if key:
            by_database.setdefault(key, []).append(item)
    for sharers in by_database.values():
        if len({item.container.image for item in sharers}) < 2:
            continue
        for item in sharers:
            others = ["/".join(other.where) for other in sharers if other is not item]
            more = f" and {len(others) - _SHARERS_SHOWN} more" if len(others) > _SHARERS_SHOWN else ""
            database = item.inputs.database if item.inputs else ""
            said = f"database {database} is used by {', '.join(others[:_SHARERS_SHOWN])}{more} with another image"
            yield Finding.of(Rule.SHARED_DATABASE, item.where, said, Rule.SHARED_DATABASE.advice)


def _database(judged: Judged) -> str:
    """Name a Deployment's database, empty where it is not known; some names lead elsewhere from elsewhere."""
    database = judged.inputs.database if judged.inputs else None
    hosts = (database or "").partition("/")[0].split(",")
    if not database or any(host.startswith(_LOOPBACK) for host in hosts):  # a proxy in the pod itself
        return ""
    return database if all("." in host for host in hosts) else f"{judged.where[0]} {database}"


def _coverage(judged: Sequence[Judged], stock: Stock) -> list[Coverage]:
    counts: dict[str, Counter[str]] = {}
    for item in judged:
        counts.setdefault(item.where[0], Counter()).update(("gateways", *_counted(item, stock)))
    return [Coverage(namespace=namespace, **counted) for namespace, counted in sorted(counts.items())]


def _counted(item: Judged, stock: Stock) -> Iterator[str]:
    """Give the figures that a Gateway counts in."""
    if item.inputs is None:
        yield "without_database"
        return
    if item.governance is None:
        yield "unknown" if stock.unread & {"Gateway", "Namespace"} else "ungoverned"
        return
    yield "governed"
    phase = item.governance.status.phase
    if phase in _WAITING:
        yield "waiting"
    elif phase is Phase.FAILED:
        yield "failed"
    if item.decision is None:
        return
    if item.decision.reason is Reason.UNSUPPORTED_GATEWAY_VERSION:
        yield "unsupported"
    elif item.complete:
        yield "complete"
    else:
        yield "held" if item.decision.reason is Reason.HELD else "incomplete"
