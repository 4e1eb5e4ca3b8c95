"""How the story of a rollout that was turned away goes on: whether it would pass now, and how it ended. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from webhook.policy.completions import ahead_of
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.objects import Deployment
from webhook.policy.reasons import Reason
from webhook.policy.record import (
    Completion,
    Mode,
    RecordStatus,
    Rejection,
    RejectionDecision,
    RejectionEnd,
    Rejections,
    Rollback,
)

ABANDONED_AFTER = timedelta(hours=24)
"""How long after the last try a rollout counts as given up, if nothing announces it."""
# Its inputs may be the stored ones, for it was turned away for something else than their hash.
_TOLD_BY_NO_HASH = frozenset({Reason.GATEWAY_CONTAINER_LOST, Reason.INVALID_INPUTS})


@dataclass(frozen=True, slots=True)
class Standing:
    """How a Deployment stands. ``image`` is None without a stored Deployment, "" without a gateway container.

    ``hash`` is the full one of what is stored, "" where it is not known. ``mode`` is the one that holds, None
    where nothing guards it; with ``newest_only`` no rollback passes.
    """

    image: str | None
    hash: str = ""
    paused: bool = False
    mode: Mode | None = None
    newest_only: bool = False

    @classmethod
    def of(
        cls, deployment: Deployment | None, running: MigrationInputs | None, governance: Governance | None
    ) -> "Standing":
        """Tell how a stored Deployment stands, with the inputs of its template where they are known."""
        container = None
        if deployment is not None:
            container = gateway_container(deployment.template().spec, [deployment.metadata])
        return cls(
            image=None if deployment is None else container.image if container else "",
            hash=running.spec_hash if running else "",
            paused=deployment is not None and deployment.spec.paused,
            mode=governance.mode if governance else None,
            newest_only=governance is not None and governance.spec.rollback is Rollback.DENY,
        )


def followed(kept: Rejections, status: RecordStatus, standing: Standing, now: datetime) -> Rejections:
    """Give the rejections with what can be told of each by now; the same ones when there is nothing new.

    ``status`` is the record's, with what is complete and what is wanted. An end is final until the same is tried
    again.
    """
    bypassed = {item.hash for item in kept.newest if item.decision is RejectionDecision.BYPASSED}
    newest = tuple(_followed(item, status, standing, bypassed, now) for item in kept.newest)
    return kept if newest == kept.newest else replace(kept, newest=newest)


def _followed(
    entry: Rejection, status: RecordStatus, standing: Standing, bypassed: set[str], now: datetime
) -> Rejection:
    entry = replace(entry, passes=_passes(entry, status, standing))
    if entry.ended is not None:
        return entry
    ended = _end(entry, status, standing, bypassed, now)
    return entry if ended is None else replace(entry, ended=ended, ended_at=now)


def _passes(entry: Rejection, status: RecordStatus, standing: Standing) -> bool:
    if standing.mode in {None, Mode.WARN, Mode.AUDIT}:
        return True
    done = _completion(status, entry)
    return done is not None and not (standing.newest_only and ahead_of(status, done))


def _end(
    entry: Rejection, status: RecordStatus, standing: Standing, bypassed: set[str], now: datetime
) -> RejectionEnd | None:
    """Give the end that is seen, None while it is open."""
    stored = _is_stored(entry, standing)
    if stored and standing.paused:
        return None
    if (
        entry.decision in _LET_THROUGH
    ):  # on record since it was stored, whatever its pods migrated or followed since
        return _LET_THROUGH[entry.decision]
    if stored:
        if _completion(status, entry) is not None or status.completion(standing.hash) is not None:
            return RejectionEnd.MIGRATED
        return RejectionEnd.BYPASSED if entry.hash in bypassed else RejectionEnd.OPENED
    if entry.decision is RejectionDecision.HELD or (standing.image is None and entry.from_image):
        return RejectionEnd.ABANDONED
    wanted = bool(_hash(entry)) and status.spec_hash.startswith(_hash(entry))
    elsewhere = standing.image not in {None, entry.from_image}
    given_up = entry.last is not None and now - entry.last > ABANDONED_AFTER
    return RejectionEnd.ABANDONED if (elsewhere or given_up) and not wanted else None


_LET_THROUGH: Mapping[RejectionDecision | None, RejectionEnd] = {
    RejectionDecision.WARNED: RejectionEnd.OPENED,
    RejectionDecision.NOTED: RejectionEnd.OPENED,
    RejectionDecision.BYPASSED: RejectionEnd.BYPASSED,
}


def _is_stored(entry: Rejection, standing: Standing) -> bool:
    """Tell whether the Deployment is what was asked for; where the image stays, only its hash can tell."""
    if standing.image is None or entry.reason == Reason.GATEWAY_CONTAINER_LOST:
        return False  # the update that takes the container out may keep image and hash as they are
    if _hash(entry) and short(standing.hash) == _hash(entry):
        return True
    return entry.to_image != entry.from_image and standing.image == entry.to_image


def _completion(status: RecordStatus, entry: Rejection) -> Completion | None:
    hash_ = _hash(entry)
    return next((done for done in status.completed_hashes if hash_ and short(done.hash) == hash_), None)


def _hash(entry: Rejection) -> str:
    """Give the hash that tells the rollout, empty where none does."""
    return "" if entry.reason in _TOLD_BY_NO_HASH else entry.hash
