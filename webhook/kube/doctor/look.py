"""Reads whole objects with a person's rights: what may or can not be read hides nothing else."""

from collections.abc import Callable
from typing import Final

import msgspec

from webhook.errors import ClusterError, ForbiddenError, NotFoundError
from webhook.kube.api.client import JSON, Client
from webhook.kube.informer.listing import list_all
from webhook.kube.resources import Resource
from webhook.policy.diagnosis.facts import Manifest
from webhook.policy.diagnosis.line import Unread

_PAGE: Final = 100
_SECONDS: Final = 30.0


def unread(error: ClusterError, right: str) -> Unread:
    """Say why something could not be read: for want of a right, or as the error does."""
    return Unread(right) if isinstance(error, ForbiddenError) else Unread(cause=str(error))


class Look:
    """Gives objects as they are stored; what is not there is None."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def raw(self, resource: Resource, namespace: str, name: str) -> bytes | Unread | None:
        """Give one object as JSON."""
        try:
            return await self._client.request("GET", resource.path(namespace, name))
        except NotFoundError:
            return None
        except ClusterError as error:
            return unread(
                error, f"get {_kind(resource)} {name}{f' in namespace {namespace}' if namespace else ''}"
            )

    async def one(self, resource: Resource, namespace: str, name: str) -> Manifest | Unread | None:
        """Give one object."""
        raw = await self.raw(resource, namespace, name)
        if not isinstance(raw, bytes):
            return raw
        found: Manifest = msgspec.json.decode(raw)
        return found

    async def all(
        self,
        resource: Resource,
        namespace: str = "",
        selector: str = "",
        keep: Callable[[Manifest], bool] = lambda _: True,
    ) -> list[Manifest] | Unread:
        """Give the objects of a kind that are to be kept, none of one that is not served."""
        found: list[Manifest] = []

        def take(items: list[msgspec.Raw]) -> None:
            found.extend(item for raw in items if keep(item := msgspec.json.decode(raw)))

        query = {"labelSelector": selector} if selector else {}
        try:
            await list_all(self._client, resource.path(namespace), query, JSON, _PAGE, _SECONDS, take)
        except NotFoundError:
            return []
        except ClusterError as error:
            where = f"namespace {namespace}" if namespace else "all namespaces"
            return unread(error, f"list {_kind(resource)}{f' in {where}' if resource.namespaced else ''}")
        return found


def _kind(resource: Resource) -> str:
    return f"{resource.plural}{f'.{resource.group}' if resource.group else ''}"
