"""Writes policy reports, one object a namespace and kind: conditional, and only where something changed."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from webhook.errors import ConflictError, NotFoundError
from webhook.kube.api.client import Client
from webhook.kube.informer.listing import ACCEPT_METADATA_LIST, list_all, meta_of
from webhook.kube.resources import Resource
from webhook.policy.names import MANAGED_BY, PRODUCT

REPORTS: Final = Resource("openreports.io", "v1alpha1", "reports", "Report")
POLICY_REPORTS: Final = Resource("wgpolicyk8s.io", "v1alpha2", "policyreports", "PolicyReport")
NAME: Final = PRODUCT
"""The name of every report of ours."""

_SOURCED: Final = frozenset({REPORTS})
"""The kinds that name their source as a whole, beside that of every result."""
_MERGE: Final = "application/merge-patch+json"
_PAGE: Final = 500
_LIST_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class _Stored:
    """A report as it was seen last; ``digest`` is empty where its content is not known."""

    uid: str
    version: str
    digest: str = ""


class ReportWriter:
    """Keeps the reports of one kind. ``writer`` is fenced; contents are remembered as digests alone."""

    def __init__(self, client: Client, writer: Client, resource: Resource) -> None:
        self._client = client
        self._writer = writer
        self._resource = resource
        self._stored: dict[str, _Stored] = {}
        self.served = False

    @property
    def namespaces(self) -> Collection[str]:
        """Where a report of ours is stored, as far as is known."""
        return self._stored.keys()

    async def look(self) -> None:
        """See whether the kind is served, and which reports of ours are stored. Raises ClusterErrors.

        What changed since it was written, by whomever, is written again.
        """
        found: dict[str, _Stored] = {}

        def take(items: list[msgspec.Raw]) -> None:
            for meta in map(meta_of, items):
                if meta.name == NAME:
                    found[meta.namespace] = _Stored(meta.uid, meta.version)

        ours = {"labelSelector": f"{MANAGED_BY}={PRODUCT}"}
        try:
            await list_all(
                self._client, self._resource.path(), ours, ACCEPT_METADATA_LIST, _PAGE, _LIST_SECONDS, take
            )
        except NotFoundError:
            self.forget()
            return
        for namespace, known in self._stored.items():
            if namespace in found and replace(known, digest="") == found[namespace]:
                found[namespace] = known
        self._stored, self.served = found, True

    def forget(self) -> None:
        """Know nothing any more, as before the first look."""
        self._stored, self.served = {}, False

    async def write(self, namespace: str, body: Mapping[str, Any]) -> bool:
        """Store what a report says; False when that is stored already. Raises ClusterErrors.

        NameTakenError for a report of that name that is not ours, ConflictError when ours changed meanwhile.
        """
        content = {"source": PRODUCT, **body} if self._resource in _SOURCED else dict(body)
        digest = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
        known = self._stored.get(namespace)
        if known is not None and known.digest == digest:
            return False
        metadata: dict[str, Any] = {"name": NAME, "namespace": namespace, "labels": {MANAGED_BY: PRODUCT}}
        try:
            if known is None:
                kind = {"apiVersion": self._resource.api_version, "kind": self._resource.kind}
                path = self._resource.path(namespace)
                raw = await self._writer.request("POST", path, body={**kind, "metadata": metadata, **content})
            else:
                metadata |= {"uid": known.uid, "resourceVersion": known.version}
                path, patch = self._resource.path(namespace, NAME), {"metadata": metadata, **content}
                raw = await self._writer.request("PATCH", path, body=patch, content_type=_MERGE)
        except (NotFoundError, ConflictError):
            self._stored.pop(namespace, None)
            raise
        meta = meta_of(raw)
        self._stored[namespace] = _Stored(meta.uid, meta.version, digest)
        return True

    async def delete(self, namespace: str) -> None:
        """Delete the report of a namespace; one that is gone is no error, one that is another's is kept."""
        known = self._stored.pop(namespace, None)
        if known is None:
            return
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": known.uid}}
        try:
            await self._writer.request("DELETE", self._resource.path(namespace, NAME), body=body)
        except (NotFoundError, ConflictError):
            return
