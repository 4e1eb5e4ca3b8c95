"""A cluster at one moment, as a report shows it: what waits for what, what was turned away, what is wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from webhook.audit.report.wait import State, Wait, wait_of
from webhook.audit.scan.finding import Finding
from webhook.audit.scan.judgement import Judged, judge
from webhook.audit.scan.scan import Coverage, scan_of
from webhook.audit.scan.stock import Key, Stock
from webhook.policy.governance import Claims, Governance, govern
from webhook.policy.names import HELD
from webhook.policy.objects import Deployment
from webhook.policy.record import Completion, Failure, Mode, Phase, Record, RecordStatus, Rejection

_STATES = tuple(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The last attempt at a migration; ``end`` is None while it runs."""

    start: datetime
    end: datetime | None
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One Gateway: how it stands and what has happened, newest first.

    ``source`` and ``mode`` are empty where nothing governs it. ``image`` is the one of the stored Deployment,
    empty where there is none; ``held`` says that schemagate paused it. ``rejected`` counts all requests that were
    or would have been turned away, ``rejections`` are the newest distinct ones that its record keeps.
    """

    namespace: str
    name: str
    wait: Wait
    source: str = ""
    mode: str = ""
    image: str = ""
    held: bool = False
    spec_hash: str = ""
    completions: tuple[Completion, ...] = ()
    attempt: Attempt | None = None
    failure: Failure | None = None
    rejected: int = 0
    rejections: tuple[Rejection, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All Gateways, the most urgent first.

    ``cluster`` is what a person calls it; ``omitted`` counts findings left out, and ``unread``
    names the kinds of objects that could not be read.
    """

    cluster: str
    taken: datetime
    standings: tuple[Standing, ...]
    coverage: tuple[Coverage, ...] = ()
    omitted: int = 0
    unread: tuple[str, ...] = ()

    @property
    def states(self) -> Mapping[State, int]:
        """How many Gateways stand how; every state is there."""
        counted = Counter(standing.wait.state for standing in self.standings)
        return {state: counted[state] for state in State}

    @property
    def modes(self) -> Mapping[str, int]:
        """How many of the governed Gateways have which mode; every mode is there."""
        counted = Counter(standing.mode for standing in self.standings if standing.source)
        return {mode.value: counted[mode.value] for mode in Mode}


def survey(stock: Stock, *, cluster: str, taken: datetime) -> Survey:
    """Put together what is stored; records whose Deployment is not there, or not yet, count too."""
    judgements = list(judge(stock))
    scan = scan_of(judgements, stock, taken)
    found: dict[Key, list[Finding]] = {}
    for finding in scan.findings:
        found.setdefault((finding.namespace, finding.name), []).append(finding)
    standings: dict[Key, Standing] = {}
    for item in judgements:
        judged = item if isinstance(item, Judged) else None
        deployment = judged.deployment if judged else _unjudged(item)
        key = (deployment.metadata.namespace, deployment.metadata.name)
        governance = judged.governance if judged else _governance(stock, key, deployment)
        image = judged.container.image if judged else ""
        held = deployment.spec.paused and deployment.metadata.annotation(HELD) is not None
        # Where its ConfigMaps are not known, a Gateway without a database cannot be told from one that has it.
        database = judged is None or judged.inputs is not None or "ConfigMap" in stock.unread
        wait = wait_of(*key, stock.records.get(key), governance, database=database)
        record = stock.records.get(key)
        standings[key] = _standing(key, record, governance, wait, found.pop(key, ()), image=image, held=held)
    for key, record in stock.records.items():
        if key not in standings:
            governance = _governance(stock, key, None)
            wait = wait_of(*key, record, governance)
            standings[key] = _standing(key, record, governance, wait, found.pop(key, ()))
    ordered = sorted(
        standings.values(), key=lambda item: (_STATES.index(item.wait.state), item.namespace, item.name)
    )
    return Survey(
        cluster=cluster,
        taken=taken,
        standings=tuple(ordered),
        coverage=scan.coverage,
        omitted=scan.omitted,
        unread=tuple(sorted(stock.unread)),
    )


def _unjudged(item: object) -> Deployment:
    """Give the Deployment of one that cannot be judged; a finding says why."""
    match item:
        case (Deployment() as deployment, str()):
            return deployment
    raise AssertionError(f"not what judge gives: {type(item).__name__}")


def _governance(stock: Stock, key: Key, deployment: Deployment | None) -> Governance | None:
    return govern(
        Claims(
            record=stock.records.get(key),
            gateway=stock.gateways.get(key),
            deployments=(deployment.metadata,) if deployment else (),
            namespace=stock.namespaces.get(key[0]),
            default_mode=stock.default_mode,
        )
    )


def _standing(
    key: Key,
    record: Record | None,
    governance: Governance | None,
    wait: Wait,
    findings: Iterable[Finding],
    *,
    image: str = "",
    held: bool = False,
) -> Standing:
    status = record.status if record else RecordStatus()
    return Standing(
        namespace=key[0],
        name=key[1],
        wait=wait,
        source=governance.source.value if governance else "",
        mode=governance.mode.value if governance else "",
        image=image,
        held=held,
        spec_hash=status.spec_hash,
        completions=status.completed_hashes,
        attempt=_attempt(status),
        failure=status.failure if status.phase is Phase.FAILED else None,
        rejected=status.rejections.count,
        rejections=status.rejections.newest,
        findings=tuple(findings),
    )


def _attempt(status: RecordStatus) -> Attempt | None:
    if status.start_time is None:
        return None
    if status.phase is Phase.FAILED:
        failed = next((item.last_transition_time for item in status.conditions if item.type == "Degraded"), None)
        return Attempt(start=status.start_time, end=failed or status.start_time, failed=True)
    if status.phase in {Phase.RUNNING, Phase.SUPERSEDED}:
        return Attempt(start=status.start_time, end=None, failed=False)
    end = status.completion_time
    return Attempt(start=status.start_time, end=end, failed=False) if end and end >= status.start_time else None
