"""Taking rejections in: from a batch that a webhook handed over into the records that they are about, once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from webhook.audit.rejections.batch import by_record, credible
from webhook.audit.rejections.rejection import Rejected, fold
from webhook.errors import UnreachableError
from webhook.policy.objects import Deployment
from webhook.policy.record import BATCHES_KEPT, Record, RecordStatus

Told = Callable[[Record, Deployment | None, Sequence[Rejected]], None]
"""Takes what was folded into a record, for Events; returns at once and never raises."""


def _nobody(_: Record, __: Deployment | None, ___: Sequence[Rejected]) -> None:
    """Tell nobody."""


class Ledgers(Protocol):
    """What taking in needs of the cluster."""

    def record(self, namespace: str, name: str) -> Record | None:
        """Give a record."""

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        """Give a stored Deployment."""

    async def write_status(self, record: Record, status: RecordStatus) -> Record:
        """Write the status; ConflictError when the record changed since it was read."""


async def take_in(cluster: Ledgers, uid: str, rejections: Sequence[Rejected], told: Told = _nobody) -> int:
    """Fold a batch of this UID into its records; gives how many rejections fitted nothing that is stored.

    A record that holds the batch already is left alone, so that a batch taken in twice counts once, and is told
    once. Raises ConflictError when a record changed meanwhile: take it in again.
    """
    left_out = 0
    for (namespace, name), news in by_record(rejections).items():
        try:
            record = cluster.record(namespace, name)
        except UnreachableError:  # it cannot be read; what is about others must not wait until somebody mends it
            record = None
        deployment = cluster.deployment(namespace, name)
        fitting = [item for item in news if record is not None and credible(item, record, deployment)]
        left_out += len(news) - len(fitting)
        if record is None or not fitting or uid in record.status.rejections.folded:
            continue
        kept = fold(record.status.rejections, fitting)
        kept = replace(kept, folded=(uid, *record.status.rejections.folded)[:BATCHES_KEPT])
        written = await cluster.write_status(record, replace(record.status, rejections=kept))
        told(written, deployment, fitting)
    return left_out
