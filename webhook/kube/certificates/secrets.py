"""The two Secrets of our certificates, as they are stored: no other Secret is ever asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from webhook.errors import NotFoundError
from webhook.kube.api.client import Client
from webhook.kube.informer.listing import Object
from webhook.kube.resources import Resource
from webhook.policy.names import MANAGED_BY, PRODUCT

SECRETS: Final = Resource("", "v1", "secrets", "Secret")
AUTHORITY: Final = "schemagate-ca"
"""Holds the CA with its key; mounted by nothing, read by the controller alone."""
LEAF: Final = "schemagate-webhook-tls"
"""Holds what the webhooks show: chain, key and the bundle that verifies it."""
_TYPES: Final = {AUTHORITY: "Opaque", LEAF: "kubernetes.io/tls"}


class _Stored(msgspec.Struct, frozen=True):
    metadata: dict[str, Any]
    data: dict[str, bytes] | None = None
    type: str = "Opaque"


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret as it was read. ``data`` stays out of its repr."""

    name: str
    type: str
    metadata: Mapping[str, Any]
    values: "Values"

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations."""
        return dict(self.metadata.get("annotations") or {})

    @property
    def data(self) -> dict[str, bytes]:
        """What it holds."""
        return self.values.held


class Values:
    """Values that are shown to nobody."""

    __slots__ = ("held",)

    def __init__(self, held: dict[str, bytes]) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"<{len(self.held)} values>"


def read_secret(raw: Object) -> Secret:
    """Read a Secret; msgspec's error when it is none."""
    found = msgspec.json.decode(raw, type=_Stored)
    return Secret(str(found.metadata.get("name", "")), found.type, found.metadata, Values(found.data or {}))


class Secrets:
    """Reads and writes in schemagate's namespace. Every write is of the version that was read."""

    def __init__(self, client: Client, writer: Client, namespace: str) -> None:
        self._client = client
        self._writer = writer
        self._namespace = namespace

    async def read(self, name: str) -> Secret | None:
        """Give a Secret as it is stored right now, None when there is none."""
        try:
            return read_secret(await self._client.request("GET", SECRETS.path(self._namespace, name)))
        except NotFoundError:
            return None

    async def write(
        self, name: str, before: Secret | None, data: Mapping[str, bytes], annotations: Mapping[str, str]
    ) -> None:
        """Store values, and annotations beside those that are there.

        NameTakenError or ConflictError when somebody was quicker.
        """
        metadata: dict[str, Any] = {"name": name, "namespace": self._namespace}
        if before is None:
            metadata["labels"] = {MANAGED_BY: PRODUCT}
        else:
            metadata |= {key: value for key, value in before.metadata.items() if key != "managedFields"}
        metadata["annotations"] = {**(before.annotations if before else {}), **annotations}
        body = {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": metadata,
            "type": before.type if before else _TYPES[name],
            "data": dict(data),
        }
        if before is None:
            await self._writer.request("POST", SECRETS.path(self._namespace), body=body)
        else:
            await self._writer.request("PUT", SECRETS.path(self._namespace, name), body=body)
