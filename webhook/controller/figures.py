"""How all Gateways stand, in numbers: counted from the copies, for the metrics."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from webhook.claims import claims_of
from webhook.controller.ports import Copies
from webhook.errors import UnreachableError
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import govern
from webhook.policy.objects import Deployment
from webhook.policy.reasons import BEYOND_MIGRATION
from webhook.policy.record import STOPPED, Evidence, Mode, Phase, Record


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of a moment.

    ``phases`` has every phase. ``waiting`` counts rollouts that are denied or held until they are migrated,
    and would not pass now; ``waiting_since`` says when the oldest of them was tried first. ``migrated`` is when a
    migration was last found complete, of those that are known.
    """

    phases: Mapping[Phase, int]
    waiting: int
    waiting_since: datetime | None
    migrated: datetime | None
    governed: int
    ungoverned: int


def figures(copies: Copies, default_mode: Mode) -> Figures:
    """Count. A Gateway whose record or resource cannot be read counts as governed: rollouts of it are refused."""
    records = copies.records()
    phases = Counter(record.status.phase for record in records if record.status.phase)
    since = sorted(_waiting(records))
    done = (item for record in records for item in record.status.completed_hashes)
    migrated = [item.time for item in done if item.time and item.evidence is not Evidence.ADOPTED]
    guarded = [
        _governed(copies, item, default_mode)
        for item in copies.deployments()
        if gateway_container(item.template().spec, [item.metadata]) is not None
    ]
    return Figures(
        phases={phase: phases[phase] for phase in Phase},
        waiting=len(since),
        waiting_since=since[0] if since else None,
        migrated=max(migrated, default=None),
        governed=sum(guarded),
        ungoverned=len(guarded) - sum(guarded),
    )


def _waiting(records: Iterable[Record]) -> Iterable[datetime]:
    for record in records:
        for entry in record.status.rejections.newest:
            stopped = entry.ended is None and not entry.passes and entry.decision in STOPPED
            if stopped and entry.reason not in BEYOND_MIGRATION and entry.first is not None:
                yield entry.first


def _governed(copies: Copies, deployment: Deployment, default_mode: Mode) -> bool:
    meta = deployment.metadata
    try:
        return govern(claims_of(copies, meta.namespace, meta.name, [meta], default_mode)) is not None
    except UnreachableError:
        return True
