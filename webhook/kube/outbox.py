"""How rejections get from a webhook replica to the controller: one ConfigMap a batch, in schemagate's namespace.

The webhook, which the network can reach, may do nothing but create it; the controller takes it in and deletes it.
One batch a replica at a time: a controller that is away makes the replica keep its news, not fill the cluster.
"""

import contextlib
from collections.abc import Callable, Sequence

import msgspec

from webhook.audit.rejections.batch import decode, encode
from webhook.audit.rejections.rejection import Rejected
from webhook.errors import ConflictError, NotFoundError
from webhook.kube.api.client import Client
from webhook.kube.api.pace import Pace
from webhook.kube.informer.listing import Object
from webhook.kube.informer.reflector import Reflector
from webhook.kube.resources import CONFIG_MAPS
from webhook.policy.names import COMPONENT, MANAGED_BY, PRODUCT
from webhook.policy.objects import ConfigMap
from webhook.policy.value import Value

COMPONENT_OF_A_BATCH = "rejections"
_KEY = "rejections.json"


class Outbox:
    """Sends batches, as the replica ``identity`` (a DNS label)."""

    def __init__(self, client: Client, namespace: str, identity: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = f"{PRODUCT}-rejections-{identity}"

    async def send(self, batch: Sequence[Rejected]) -> None:
        """Send a batch; NameTakenError while the controller has not taken in the one before."""
        labels = {MANAGED_BY: PRODUCT, COMPONENT: COMPONENT_OF_A_BATCH}
        body = {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": {"namespace": self._namespace, "name": self._name, "labels": labels},
            "immutable": True,
            "data": {_KEY: encode(batch)},
        }
        await self._client.request("POST", CONFIG_MAPS.path(self._namespace), body=body)


class Received(Value, frozen=True):
    """A batch that arrived, ``uid`` and ``name`` those of its object."""

    uid: str
    name: str
    rejections: tuple[Rejected, ...]


class Inbox:
    """Receives batches in schemagate's namespace."""

    def __init__(
        self,
        client: Client,
        writer: Client,
        namespace: str,
        changed: Callable[[], None],
        pace: Pace | None = None,
    ) -> None:
        self._writer = writer
        self._namespace = namespace
        self._reflector: Reflector[Received] = Reflector(
            client,
            CONFIG_MAPS,
            _received,
            lambda _namespace, _name: changed(),
            namespace=namespace,
            labels=f"{MANAGED_BY}={PRODUCT},{COMPONENT}={COMPONENT_OF_A_BATCH}",
            pace=pace,
        )

    async def run(self) -> None:
        """Follow what arrives, for ever."""
        await self._reflector.run()

    def waiting(self) -> list[Received]:
        """Give what has arrived and is not taken in."""
        return self._reflector.values()

    async def done(self, received: Received) -> None:
        """Delete a batch that is taken in."""
        path = CONFIG_MAPS.path(self._namespace, received.name)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": received.uid}}
        with contextlib.suppress(NotFoundError, ConflictError):  # gone already, or another of its name
            await self._writer.request("DELETE", path, body=body)
        self._reflector.forget(self._namespace, received.name, received.uid)


def _received(raw: Object) -> Received:
    """Read a batch; one that cannot be read is empty, and so deleted: it would lie there for ever."""
    found = msgspec.json.decode(raw, type=ConfigMap)
    try:
        rejections = decode((found.data or {}).get(_KEY, ""))
    except msgspec.MsgspecError:
        rejections = ()
    return Received(found.metadata.uid, found.metadata.name, rejections)
