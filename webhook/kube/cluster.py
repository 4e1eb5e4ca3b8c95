"""The real cluster behind the ports of webhooks and controller: copies, reads and writes in one."""

from webhook.kube.api.client import Client
from webhook.kube.api.pace import Pace
from webhook.kube.copies import Changed, ControllerCopies, Poison, WebhookCopies
from webhook.kube.gateway_kind import GatewayKind
from webhook.kube.reads import ControllerReads, WebhookReads
from webhook.kube.writes import Writes

STALE_SECONDS = 120.0
"""From which age on copies may hide that a Gateway came under guard. A dead watch is found in half of that."""


class WebhookCluster(WebhookCopies, WebhookReads):
    """All that the webhooks know of the cluster. They write nothing that it holds of Gateways."""

    def __init__(self, client: Client, poison: Poison, pace: Pace | None = None) -> None:
        WebhookCopies.__init__(self, client, _nobody, poison, pace)
        WebhookReads.__init__(self, client)

    def stale(self) -> str:
        """Say why the copies may be too old to let anything new pass; empty when they are fresh."""
        age = self.age()
        return f"the API server was last heard {age:.0f} s ago" if age > STALE_SECONDS else ""


class ControllerCluster(ControllerCopies, ControllerReads, Writes):
    """All that the controller knows of the cluster, and does to it: ``writer`` is the client that is fenced."""

    def __init__(
        self, client: Client, writer: Client, changed: Changed, poison: Poison, pace: Pace | None = None
    ) -> None:
        ControllerCopies.__init__(self, client, changed, poison, pace)
        ControllerReads.__init__(self, client, self)
        self.kind = GatewayKind(client)
        Writes.__init__(self, writer, self, self.kind.pruned)

    @property
    def mirrors(self) -> bool:
        """Tell whether the Gateway resource has room for ``status.migrationStatus``."""
        return self.kind.mirrors

    async def catch_up(self) -> None:
        """Bring what decides over the next Job up to what is stored now, past what another leader just wrote."""
        await self.record_copies.refresh()
        await self.job_copies.refresh()
        await self.kind.look()


def _nobody(_kind: str, _namespace: str, _name: str) -> None:
    """Tell nobody of changes: a webhook looks when it is asked."""
