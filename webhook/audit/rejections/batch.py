"""Rejections on their way from a webhook replica to the controller: a bounded batch as text, and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from webhook.audit.rejections.rejection import Rejected
from webhook.policy.decision import printable
from webhook.policy.gateway import gateway_container
from webhook.policy.objects import Deployment
from webhook.policy.record import Record, RejectionDecision
from webhook.policy.record.wire import GROUPS_KEPT

LIMIT = 500
"""Rejections in a batch."""
BYTES = 512 * 1024
"""Longest text of a batch: half of what an object may hold."""
FORMAT = 1
TIMES_LIMIT = 10**6
"""How often one rejection may have come in the seconds between two batches; more was made up."""
_TEXT_LIMIT = 256
_FRAME = len(b'{"format":1,"rejections":[]}')


class Batch(msgspec.Struct, frozen=True):
    """Rejections with the number of their format."""

    format: int
    rejections: tuple[Rejected, ...]


def portion(rejections: Sequence[Rejected]) -> int:
    """Say how many of these, from the first on, go into one batch: no fewer than one, of those there are."""
    size = _FRAME
    for count, item in enumerate(rejections[:LIMIT]):
        size += len(msgspec.json.encode(_bounded(item))) + 1
        if size > BYTES:
            return count
    return min(len(rejections), LIMIT)


def encode(rejections: Sequence[Rejected]) -> str:
    """Give a batch of at most ``LIMIT`` rejections as JSON text; ``portion`` says how many keep to ``BYTES``."""
    return msgspec.json.encode(Batch(FORMAT, tuple(map(_bounded, rejections[:LIMIT])))).decode()


def decode(text: str) -> tuple[Rejected, ...]:
    """Read a batch; msgspec.MsgspecError when it is none of a format that is known."""
    batch = msgspec.json.decode(text, type=Batch)
    if batch.format != FORMAT:
        raise msgspec.ValidationError(f"batch of format {batch.format}, known is {FORMAT}")
    return tuple(_bounded(item) for item in batch.rejections[:LIMIT] if 0 < item.times <= TIMES_LIMIT)


def by_record(rejections: Iterable[Rejected]) -> Mapping[tuple[str, str], tuple[Rejected, ...]]:
    """Group rejections by namespace and name of their record."""
    grouped: dict[tuple[str, str], tuple[Rejected, ...]] = {}
    for rejected in rejections:
        where = (rejected.namespace, rejected.name)
        grouped[where] = (*grouped.get(where, ()), rejected)
    return grouped


def credible(rejected: Rejected, record: Record, deployment: Deployment | None) -> bool:
    """Tell whether a rejection fits what is stored: anybody may send a webhook a review of something invented.

    The image it says it started from must be the stored one, or one that was migrated before the rollout went
    on; none only where there is no Deployment, or one that is as it was created. What was let through must have
    been stored, or at least migrated since: another webhook or a quota may have refused it all the same, and a
    bypass that never was must not be on anybody's record.
    """
    if _let_through(rejected):
        return _went_through(rejected, record, deployment)
    known = _migrated(record)
    if deployment is None or deployment.metadata.generation <= 1:
        known.add("")
    if deployment is not None:
        container = gateway_container(deployment.template().spec, [deployment.metadata])
        known.add(container.image if container else "")
    return rejected.from_image in known


def settling(news: Sequence[Rejected], fitting: Sequence[Rejected]) -> bool:
    """Tell whether more of these, all about one record, may yet fit what is stored than do.

    What is let through is judged before it is stored, and copies of the cluster lag behind. It waits no longer
    once something that was let through later is stored.
    """
    stored = max((item.last for item in fitting if _let_through(item)), default=None)
    open_ = (item.last for item in news if _let_through(item) and item not in fitting)
    return any(stored is None or last > stored for last in open_)


def _let_through(rejected: Rejected) -> bool:
    return rejected.decision not in {None, RejectionDecision.DENIED}


def _went_through(rejected: Rejected, record: Record, deployment: Deployment | None) -> bool:
    if deployment is None:  # copies hold Gateways alone: what lost its container is none any more
        return not rejected.to_image and rejected.from_image in _migrated(record)
    container = gateway_container(deployment.template().spec, [deployment.metadata])
    stored = container.image if container else ""
    return rejected.to_image == stored or record.status.completion(rejected.hash) is not None


def _migrated(record: Record) -> set[str]:
    return {done.image for done in record.status.completed_hashes}


def _bounded(rejected: Rejected) -> Rejected:
    """Cut texts that a request chose, so that the batch stays within its size."""
    return replace(
        rejected,
        namespace=printable(rejected.namespace, _TEXT_LIMIT),
        name=printable(rejected.name, _TEXT_LIMIT),
        hash=printable(rejected.hash, _TEXT_LIMIT),
        reason=printable(rejected.reason, _TEXT_LIMIT),
        user=printable(rejected.user, _TEXT_LIMIT),
        from_image=printable(rejected.from_image, _TEXT_LIMIT),
        to_image=printable(rejected.to_image, _TEXT_LIMIT),
        groups=tuple(printable(group, _TEXT_LIMIT) for group in rejected.groups[:GROUPS_KEPT]),
        bypass_reason=printable(rejected.bypass_reason, _TEXT_LIMIT),
    )
