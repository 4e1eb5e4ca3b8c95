"""The controller's writes: conditional on what was read, safe to repeat, and known to its own copies at once."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from webhook.errors import ConflictError, NotFoundError
from webhook.kube.api.client import Client
from webhook.kube.copies import ControllerCopies
from webhook.kube.informer.reflector import Reflector
from webhook.kube.resources import DEPLOYMENTS, GATEWAYS, JOBS, RECORDS, Resource
from webhook.policy.gateway_resource import Gateway, MigrationStatus
from webhook.policy.names import HELD, MIGRATED, RETRY
from webhook.policy.record import Record, RecordSpec, RecordStatus

Manifest = Mapping[str, Any]
MERGE = "application/merge-patch+json"
_TRIES = 16
"""How often a write that conflicts with nothing but what others keep in a record is tried again at once."""


class _List(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]


class Writes:
    """Writes to an API server. ``writer`` is fenced: what it sends, it sends as the leader.

    ``pruned`` is told when a Gateway's kind turns out to have no room for what was mirrored.
    """

    def __init__(self, writer: Client, copies: ControllerCopies, pruned: Callable[[], None]) -> None:
        self._writer = writer
        self._copies = copies
        self._pruned = pruned

    async def create_record(self, namespace: str, name: str, spec: RecordSpec) -> Record:
        """Create a managed record."""
        body = Record(namespace=namespace, name=name, managed=True, spec=spec).to_manifest()
        return self._learned(await self._writer.request("POST", RECORDS.path(namespace), body=body))

    async def write_spec(self, record: Record, spec: RecordSpec) -> Record:
        """Bring a managed record in line with its source."""
        wanted = replace(record, spec=spec).to_manifest()["spec"]
        gone = dict.fromkeys(record.to_manifest()["spec"].keys() - wanted.keys())
        return await self._patch_record(record, {"spec": {**gone, **wanted}})

    async def delete_record(self, record: Record) -> None:
        """Delete a managed record whose source is gone; ConflictError when it changed meanwhile."""
        same = {"uid": record.uid, "resourceVersion": record.resource_version}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": same}
        await self._delete(RECORDS, self._copies.record_copies, (record.namespace, record.name), body)

    async def write_status(self, record: Record, status: RecordStatus) -> Record:
        """Write the status; ConflictError when the record changed since it was read."""
        path = RECORDS.path(record.namespace, record.name, "status")

        async def put(newest: Record) -> Record:
            body = replace(newest, status=status).to_manifest()
            return self._learned(await self._writer.request("PUT", path, body=body))

        return await self._despite_others(record, put)

    async def clear_retry(self, record: Record) -> None:
        """Take the retry annotation off."""
        newest = self._copies.record(record.namespace, record.name) or record
        await self._patch_record(newest, {"metadata": {"annotations": {RETRY: None}}})

    async def create_job(self, manifest: Manifest) -> str:
        """Create a Job and give its UID; NameTakenError when one of that name exists."""
        raw = await self._writer.request("POST", JOBS.path(manifest["metadata"]["namespace"]), body=manifest)
        self._copies.job_copies.learn(raw)
        uid: str = msgspec.json.decode(raw)["metadata"]["uid"]
        return uid

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete the Job of this UID with its pods; one that is gone already is no error."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        with contextlib.suppress(ConflictError):  # another of its name
            await self._delete(JOBS, self._copies.job_copies, (namespace, name), body)

    async def unpause(self, namespace: str, name: str, version: str) -> None:
        """Let a Deployment go on that we paused, and take our mark off; ConflictError when it has changed."""
        deployment = self._copies.deployment(namespace, name)
        if deployment is None:
            return
        meta = deployment.metadata
        # The version makes sure that it is still our pause, of what was judged: a user's own is not ours to end.
        if meta.resource_version != version:
            raise ConflictError(f"Deployment {namespace}/{name} changed since it was to be released")
        same = {"uid": meta.uid, "resourceVersion": version}
        patch = {"metadata": {**same, "annotations": {HELD: None}}, "spec": {"paused": None}}
        await self._patch_deployment(namespace, name, patch)

    async def mark_migrated(self, namespace: str, name: str, mark: str) -> None:
        """Annotate a Deployment with the hash that is complete; one that is gone is no error."""
        deployment = self._copies.deployment(namespace, name)
        if deployment is None:
            return
        patch = {"metadata": {"uid": deployment.metadata.uid, "annotations": {MIGRATED: mark}}}
        try:
            await self._patch_deployment(namespace, name, patch)
        except NotFoundError:
            return

    async def mirror(self, namespace: str, name: str, status: MigrationStatus) -> None:
        """Tell a Gateway resource how its migration stands; one that is gone is no error."""
        told = {"specHash": status.spec_hash, "complete": status.complete}
        path = GATEWAYS.path(namespace, name, "status")
        try:
            raw = await self._writer.request(
                "PATCH", path, body={"status": {"migrationStatus": told}}, content_type=MERGE
            )
        except NotFoundError:
            return
        self._copies.gateway_copies.learn(raw)
        if msgspec.json.decode(raw, type=Gateway).status.migration_status is None:
            self._pruned()

    async def _delete(
        self, resource: Resource, copies: Reflector[Any], key: tuple[str, str], body: Manifest
    ) -> None:
        """Delete what has the UID of the preconditions; one that is gone already is no error."""
        try:
            raw = await self._writer.request("DELETE", resource.path(*key), body=body)
        except NotFoundError:
            raw = b""
        if not raw or msgspec.json.decode(raw).get("kind") == "Status":
            copies.forget(*key, body["preconditions"]["uid"])
        else:  # finalizers keep it for a while
            copies.learn(raw)

    async def _patch_record(self, record: Record, patch: dict[str, Any]) -> Record:
        path = RECORDS.path(record.namespace, record.name)

        async def send(newest: Record) -> Record:
            same = {"uid": newest.uid, "resourceVersion": newest.resource_version}
            body = {**patch, "metadata": {**patch.get("metadata", {}), **same}}
            return self._learned(await self._writer.request("PATCH", path, body=body, content_type=MERGE))

        return await self._despite_others(record, send)

    async def _despite_others(self, record: Record, write: Callable[[Record], Awaitable[Record]]) -> Record:
        """Write a record; at once again when what changed meanwhile is nothing that we read of it.

        Whoever keeps writing annotations or fields of their own would otherwise starve us: a new look takes longer
        than they need for their next write. ConflictError when anything that a plan depends on changed.
        """
        newest = record
        for _ in range(_TRIES):
            try:
                return await write(newest)
            except ConflictError:
                found = await self._newest(record)
                if found is None or replace(found, resource_version=record.resource_version) != record:
                    raise
                newest = found
        return await write(newest)

    async def _newest(self, record: Record) -> Record | None:
        """Give a record as it is stored now, by a list: the account may list records, but get none."""
        only = {"fieldSelector": f"metadata.name={record.name}"}
        raw = await self._writer.request("GET", RECORDS.path(record.namespace), query=only)
        items = msgspec.json.decode(raw, type=_List).items
        return self._learned(bytes(items[0])) if items else None

    async def _patch_deployment(self, namespace: str, name: str, patch: Manifest) -> None:
        path = DEPLOYMENTS.path(namespace, name)
        raw = await self._writer.request("PATCH", path, body=patch, content_type=MERGE)
        self._copies.deployment_copies.learn(raw)

    def _learned(self, raw: bytes) -> Record:
        self._copies.record_copies.learn(raw)
        return Record.from_manifest(msgspec.json.decode(raw))
