"""Taking rejections in: from a batch that a webhook handed over into the records that they are about, once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from webhook.audit.rejections.batch import by_record, credible, settling
from webhook.audit.rejections.rejection import Rejected, fold
from webhook.errors import UnreachableError
from webhook.policy.objects import Deployment
from webhook.policy.record import BATCHES_KEPT, Record, RecordStatus

Told = Callable[[Record, Deployment | None, Sequence[Rejected]], None]
"""Takes what was folded into a record, for Events; returns at once and never raises."""


def _nobody(_: Record, __: Deployment | None, ___: Sequence[Rejected]) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch: how many rejections fitted nothing that is stored, and how many may do so yet.

    While any may, the batch is to be taken in again.
    """

    left_out: int = 0
    unsettled: int = 0


class Ledgers(Protocol):
    """What taking in needs of the cluster."""

    def record(self, namespace: str, name: str) -> Record | None:
        """Give a record."""

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        """Give a stored Deployment."""

    async def write_status(self, record: Record, status: RecordStatus) -> Record:
        """Write the status; ConflictError when the record changed since it was read."""


async def take_in(
    cluster: Ledgers, uid: str, rejections: Sequence[Rejected], told: Told = _nobody, *, final: bool = True
) -> Taken:
    """Fold a batch of this UID into its records.

    A record that holds the batch already is left alone, so that a batch taken in twice counts once, and is told
    once. Unless this is the ``final`` time, so is one that is still to be made, or whose news may yet fit what is
    stored. Raises ConflictError when a record changed meanwhile: take it in again.
    """
    left_out = unsettled = 0
    for where, news in by_record(rejections).items():
        deployment = cluster.deployment(*where)
        try:
            record = cluster.record(*where)
        except UnreachableError:  # it cannot be read; what is about others must not wait until somebody mends it
            left_out += len(news)
            continue
        if record is not None and uid in record.status.rejections.folded:
            continue
        fitting = [item for item in news if record is not None and credible(item, record, deployment)]
        to_come = deployment is not None if record is None else settling(news, fitting)
        if to_come and not final:
            unsettled += len(news)
            continue
        left_out += len(news) - len(fitting)
        if record is not None and fitting:
            kept = fold(record.status.rejections, fitting)
            kept = replace(kept, folded=(uid, *record.status.rejections.folded)[:BATCHES_KEPT])
            written = await cluster.write_status(record, replace(record.status, rejections=kept))
            told(written, deployment, fitting)
    return Taken(left_out, unsettled)
