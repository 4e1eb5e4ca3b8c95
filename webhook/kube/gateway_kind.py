"""What the installed Gateway resource has room for, by the schema that the API server publishes."""

import msgspec

from webhook.errors import ClusterError
from webhook.kube.client import Client
from webhook.kube.resources import GATEWAYS


class GatewayKind:
    """Knows whether ``status.migrationStatus`` would be kept or pruned. Unknown counts as pruned."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.mirrors = False

    async def look(self) -> None:
        """Look at the schema; a server that cannot be asked, or publishes none, changes nothing.

        ``/openapi/v3`` may be read by every authenticated client (ClusterRole system:discovery, Kubernetes 1.36).
        """
        path = f"/openapi/v3/apis/{GATEWAYS.api_version}"
        try:
            raw = await self._client.request("GET", path, timeout=10.0)
            schemas = msgspec.json.decode(raw)["components"]["schemas"]
        except (ClusterError, msgspec.MsgspecError, KeyError, TypeError):
            return
        self.mirrors = any(_has_room(schema) for schema in schemas.values())


def _has_room(schema: object) -> bool:
    """Tell whether this is the schema of a Gateway whose status keeps the field."""
    if not isinstance(schema, dict):
        return False
    kinds = schema.get("x-kubernetes-group-version-kind") or []
    if {"group": GATEWAYS.group, "version": GATEWAYS.version, "kind": GATEWAYS.kind} not in kinds:
        return False
    status = (schema.get("properties") or {}).get("status") or {}
    kept = status.get("x-kubernetes-preserve-unknown-fields") is True
    return kept or "migrationStatus" in (status.get("properties") or {})
