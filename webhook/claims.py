"""Who asks for governance, gathered from what is known without waiting."""

from collections.abc import Iterable
from typing import Protocol

from webhook.policy.gateway_resource import Gateway
from webhook.policy.governance import Claims
from webhook.policy.objects import Namespace, ObjectMeta
from webhook.policy.record import Mode, Record


class Known(Protocol):
    """Synced copies of small records."""

    def record(self, namespace: str, name: str) -> Record | None:
        """Give the record of a Deployment."""

    def gateway(self, namespace: str, name: str) -> Gateway | None:
        """Give the Gateway resource."""

    def namespace(self, name: str) -> Namespace | None:
        """Give the namespace."""


def claims_of(
    known: Known, namespace: str, name: str, metas: Iterable[ObjectMeta], default_mode: Mode = Mode.REJECT
) -> Claims:
    """Gather the claims on a Deployment; ``metas`` are those of it that count, new and old.

    The operator gives a Gateway's Deployment the Gateway's name, and the record has it too.
    """
    return Claims(
        record=known.record(namespace, name),
        gateway=known.gateway(namespace, name),
        deployments=tuple(metas),
        namespace=known.namespace(namespace),
        default_mode=default_mode,
    )
