"""What the installed Gateway resource has room for, by the schema that the API server publishes."""

import asyncio
from collections.abc import Callable

import msgspec

from webhook.errors import ClusterError
from webhook.kube.api.client import Client
from webhook.kube.resources import GATEWAYS
from webhook.policy.gateway_resource import Gateway

_LONGEST = 60.0
"""Seconds between two looks at most for a schema that a Gateway says is there: it is published after a while."""


class GatewayKind:
    """Knows whether ``status.migrationStatus`` would be kept or pruned. Unknown counts as pruned."""

    def __init__(self, client: Client, pause: float = 2.0) -> None:
        self._client = client
        self._pause = pause
        self._surprised = asyncio.Event()
        self.mirrors = False

    def seen(self, gateway: Gateway) -> None:
        """Take a Gateway that was read: one that holds what is not in the schema we know tells of a newer one."""
        asks = gateway.spec.app.management.database.migration_job is not None
        if not self.mirrors and (asks or gateway.status.migration_status is not None):
            self._surprised.set()

    def pruned(self) -> None:
        """Take note that the field was written and not kept."""
        self.mirrors = False

    async def follow(self, changed: Callable[[], None]) -> None:
        """Look again, ever less often, once a Gateway surprises; ``changed`` is told once there is room."""
        while True:
            await self._surprised.wait()
            pause = self._pause
            await self.look()
            while not self.mirrors:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST)
                await self.look()
            self._surprised.clear()
            changed()

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
