"""The cluster as commands ask it that a person runs. Imported late: the Kubernetes client takes long to load."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from webhook.audit.scan.stock import Stock
from webhook.cli.announcement import Scene
from webhook.errors import ForbiddenError, NotFoundError, UnreachableError
from webhook.kube.api.client import JSON, Client
from webhook.kube.api.connection import connect, own_namespace
from webhook.kube.certificates.registrations import KINDS
from webhook.kube.informer.listing import list_all
from webhook.kube.reads import Reads
from webhook.kube.resources import DEPLOYMENTS, GATEWAYS, NAMESPACES, RECORDS, Resource
from webhook.kube.stocktaking import take_stock
from webhook.kube.writes import MERGE
from webhook.logs import configure_logging
from webhook.policy.diagnosis.facts import Facts
from webhook.policy.gateway_resource import Gateway
from webhook.policy.migration.migration_log import redacted_tail
from webhook.policy.migration.target import is_held
from webhook.policy.names import GROUP, HELD, RETRY
from webhook.policy.objects import Deployment, Namespace, ObjectMeta
from webhook.policy.record import Mode, Record
from webhook.settings import read_settings

_PAGE = 100
_PAGE_SECONDS = 30.0


class _Hook(msgspec.Struct, frozen=True):
    name: str = ""


class _Registration(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    webhooks: list[_Hook] | None = None


class LiveCluster(Reads):
    """Reads with a person's rights, and the few things that a person writes."""

    async def records(self, namespace: str) -> list[Record]:
        """Give the records of a namespace, of all when it is empty, by namespace and name."""
        found: list[Record] = []

        def take(items: list[msgspec.Raw]) -> None:
            found.extend(Record.from_manifest(msgspec.json.decode(item)) for item in items)

        try:
            await list_all(self._client, RECORDS.path(namespace), {}, JSON, _PAGE, _PAGE_SECONDS, take)
        except NotFoundError:
            raise NotFoundError(
                "the cluster knows no GatewayMigrations: schemagate is not installed on it"
            ) from None
        return sorted(found, key=lambda record: (record.namespace, record.name))

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self._client.server

    async def stock(self, namespace: str, default_mode: Mode) -> Stock:
        """Give all that the audit's scan looks at, of a namespace, or of all when it is empty."""
        return await take_stock(self._client, namespace, default_mode)

    async def examine(self, namespace: str, canary_namespace: str, now: Callable[[], datetime]) -> Facts:
        """Give all that the doctor looks at, of the installation in a namespace."""
        from webhook.kube.doctor.examination import examine  # late: it loads cryptography

        return await examine(self._client, namespace, canary_namespace, now)

    async def scene(self, namespace: str, name: str) -> Scene:
        """Give all that decides whether an image can be announced. Who may not read Gateways has none."""
        deployment = await self.raw(DEPLOYMENTS, namespace, name)
        gateway = await self._if_allowed(GATEWAYS, namespace, name)
        asks = await self._if_allowed(NAMESPACES, "", namespace)
        return Scene(
            namespace,
            name,
            record=await self.live_record(namespace, name),
            deployment=msgspec.json.decode(deployment, type=Deployment) if deployment else None,
            gateway=msgspec.json.decode(gateway, type=Gateway) if gateway else None,
            asks=msgspec.json.decode(asks, type=Namespace) if asks else None,
        )

    async def create(self, record: Record) -> Record:
        """Create a record; NameTakenError when there is one by now."""
        body = record.to_manifest()
        raw = await self._client.request("POST", RECORDS.path(record.namespace), body=body)
        return Record.from_manifest(msgspec.json.decode(raw))

    async def announce(self, record: Record, image: str) -> Record:
        """Have a record announce an image."""
        return await self._patch(record, {"metadata": {"uid": record.uid}, "spec": {"image": image}})

    async def ask_again(self, record: Record) -> Record:
        """Ask for another attempt at the hash that the record's status names."""
        notes = {RETRY: record.status.spec_hash}
        return await self._patch(record, {"metadata": {"uid": record.uid, "annotations": notes}})

    async def deployment(self, namespace: str, name: str) -> Deployment | None:
        """Give a Deployment as it is stored now."""
        found = await self.raw(DEPLOYMENTS, namespace, name)
        return msgspec.json.decode(found, type=Deployment) if found else None

    async def held(self, namespace: str) -> list[tuple[str, str]]:
        """Give namespace and name of what we hold in a namespace, in all when it is empty, in that order."""
        found: list[ObjectMeta] = []

        def take(items: list[msgspec.Raw]) -> None:
            deployments = (msgspec.json.decode(item, type=Deployment) for item in items)
            found.extend(item.metadata for item in deployments if is_held(item))

        await list_all(self._client, DEPLOYMENTS.path(namespace), {}, JSON, _PAGE, _PAGE_SECONDS, take)
        return sorted((meta.namespace, meta.name) for meta in found)

    async def registered(self) -> list[str] | None:
        """Give the webhook configurations of ours, as kubectl names them; None to who may not read them.

        They are known by their webhooks: an installation may call the configurations otherwise.
        """
        found: list[str] = []
        for word, resource in KINDS.items():

            def take(items: list[msgspec.Raw], kind: str = f"{word}webhookconfiguration") -> None:
                configurations = (msgspec.json.decode(item, type=_Registration) for item in items)
                found.extend(
                    f"{kind}/{item.metadata.name}"
                    for item in configurations
                    if any(hook.name.endswith(f".{GROUP}") for hook in item.webhooks or ())
                )

            try:
                await list_all(self._client, resource.path(), {}, JSON, _PAGE, _PAGE_SECONDS, take)
            except ForbiddenError:
                return None
        return found

    async def disable(self, record: Record) -> Record:
        """Have a record guard nothing any more."""
        return await self._patch(record, {"metadata": {"uid": record.uid}, "spec": {"enabled": False}})

    async def resume(self, deployment: Deployment) -> Deployment:
        """Let a Deployment go on that we paused, and take our mark off; ConflictError when it has changed."""
        meta = deployment.metadata
        same = {"uid": meta.uid, "resourceVersion": meta.resource_version}
        patch = {"metadata": {**same, "annotations": {HELD: None}}, "spec": {"paused": None}}
        path = DEPLOYMENTS.path(meta.namespace, meta.name)
        raw = await self._client.request("PATCH", path, body=patch, content_type=MERGE)
        return msgspec.json.decode(raw, type=Deployment)

    async def annotate(self, resource: Resource, namespace: str, name: str, notes: Mapping[str, str]) -> None:
        """Annotate an object; NotFoundError when there is none."""
        patch = {"metadata": {"annotations": dict(notes)}}
        await self._client.request("PATCH", resource.path(namespace, name), body=patch, content_type=MERGE)

    async def log_tail(self, record: Record) -> list[str]:
        """Give the last lines of the log of a record's Job, without credentials, as far as they can be had."""
        job = record.status.job
        if job is None or not job.uid:
            return []
        try:
            pods = await self.job_pods(record.namespace, job.uid)
            newest = max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)
            log = await self.pod_log(record.namespace, newest["metadata"]["name"]) if newest else ""
        except (ForbiddenError, UnreachableError):
            return []
        return redacted_tail(log).splitlines()

    async def _patch(self, record: Record, patch: object) -> Record:
        path = RECORDS.path(record.namespace, record.name)
        raw = await self._client.request("PATCH", path, body=patch, content_type=MERGE)
        return Record.from_manifest(msgspec.json.decode(raw))

    async def _if_allowed(self, resource: Resource, namespace: str, name: str) -> bytes | None:
        try:
            return await self.raw(resource, namespace, name)
        except ForbiddenError:
            return None


@dataclass(frozen=True, slots=True)
class Where:
    """Which cluster and namespace a command is about, as far as its flags say."""

    kubeconfig: Path | None
    context: str | None
    namespace: str | None = None


def ask(where: Where, work: Callable[[LiveCluster, str], Awaitable[int]]) -> int:
    """Do work with the cluster and the namespace that the flags mean, and give its exit code."""
    configure_logging("error")
    return asyncio.run(_ask(where, work))


async def _ask(where: Where, work: Callable[[LiveCluster, str], Awaitable[int]]) -> int:
    settings = read_settings(kubeconfig=where.kubeconfig, context=where.context)
    namespace = where.namespace or own_namespace(settings.kubeconfig, settings.context)
    client: Client = await connect(
        settings.kubeconfig, settings.context, strict_x509=settings.strict_x509, user_agent="schemagate-cli"
    )
    try:
        return await work(LiveCluster(client), namespace)
    finally:
        await client.close()
