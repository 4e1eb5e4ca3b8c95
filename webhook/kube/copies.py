"""Copies of what the cluster holds: small parts of objects, kept by watching."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from webhook.errors import UnreachableError
from webhook.kube.api.client import Client
from webhook.kube.api.pace import Pace
from webhook.kube.informer import projections
from webhook.kube.informer.listing import Object
from webhook.kube.informer.projections import Obstacle
from webhook.kube.informer.reflector import Reflector
from webhook.kube.resources import CONFIG_MAPS, DEPLOYMENTS, GATEWAYS, JOBS, NAMESPACES, PODS, RECORDS, Resource
from webhook.policy.gateway_resource import Gateway
from webhook.policy.migration.job_views import Job
from webhook.policy.names import COMPONENT, MANAGED_BY, MIGRATION_COMPONENT, PRODUCT
from webhook.policy.objects import Deployment, Namespace, ObjectMeta
from webhook.policy.record import Record

T = TypeVar("T")
Changed = Callable[[str, str, str], None]
"""Takes kind, namespace and name of an object that changed, came or went."""
Poison = Callable[[str, str, str, Exception], None]
"""Takes kind, namespace and name of an object that cannot be read, and why."""

_REMEMBERED = 4096
_OUR_PODS = f"{COMPONENT}={MIGRATION_COMPONENT},{MANAGED_BY}={PRODUCT}"


class Copies:
    """What webhooks and controller both know without asking: who is governed, and by what."""

    def __init__(self, client: Client, changed: Changed, poison: Poison, pace: Pace | None = None) -> None:
        self._client = client
        self._pace = pace
        self._changed = changed
        self._poison = poison
        self._reflectors: dict[str, Reflector[Any]] = {}
        self.record_copies = self._follow(RECORDS, projections.record)
        self.gateway_copies = self._follow(GATEWAYS, projections.gateway)
        self.namespace_copies = self._follow(NAMESPACES, projections.namespace, metadata_only=True)

    def _follow(
        self,
        resource: Resource,
        project: Callable[[Object], T | None],
        *,
        labels: str = "",
        metadata_only: bool = False,
    ) -> Reflector[T]:
        kind = resource.kind
        made: Reflector[T] = Reflector(
            self._client,
            resource,
            project,
            lambda namespace, name: self._changed(kind, namespace, name),
            poison=lambda namespace, name, error: self._poison(kind, namespace, name, error),
            labels=labels,
            metadata_only=metadata_only,
            pace=self._pace,
            schema_may_change=resource in {RECORDS, GATEWAYS},
        )
        self._reflectors[resource.plural] = made
        return made

    def unsynced(self) -> list[str]:
        """Say which copies are not complete yet, and why, for readiness."""
        return [
            f"{plural} are not synced{f': {item.problem}' if item.problem else ''}"
            for plural, item in self._reflectors.items()
            if not item.synced
        ]

    async def run(self) -> None:
        """Follow the cluster for ever."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors.values():
                group.create_task(reflector.run())

    async def wait_synced(self) -> None:
        """Wait until every copy is complete."""
        for reflector in self._reflectors.values():
            await reflector.wait_synced()

    def age(self) -> float:
        """Give the seconds since the quietest of the copies was heard of."""
        return max(item.age() for item in self._reflectors.values())

    def record(self, namespace: str, name: str) -> Record | None:
        """Give the record of a Deployment; UnreachableError when there is one that cannot be read."""
        return _readable(self.record_copies, RECORDS, namespace, name)

    def gateway(self, namespace: str, name: str) -> Gateway | None:
        """Give the Gateway resource; UnreachableError when there is one that cannot be read."""
        return _readable(self.gateway_copies, GATEWAYS, namespace, name)

    def namespace(self, name: str) -> Namespace | None:
        """Give the namespace."""
        return self.namespace_copies.get("", name)


class WebhookCopies(Copies):
    """What the webhooks know: of Deployments no more than our annotations."""

    def __init__(self, client: Client, changed: Changed, poison: Poison, pace: Pace | None = None) -> None:
        super().__init__(client, changed, poison, pace)
        self.meta_copies = self._follow(DEPLOYMENTS, projections.deployment_meta, metadata_only=True)

    def deployment_meta(self, namespace: str, name: str) -> ObjectMeta | None:
        """Give the metadata of a stored Deployment, if it has any of ours."""
        return self.meta_copies.get(namespace, name)


class ControllerCopies(Copies):
    """What the controller knows besides: Gateway Deployments, migration Jobs and what their pods wait for."""

    def __init__(self, client: Client, changed: Changed, poison: Poison, pace: Pace | None = None) -> None:
        super().__init__(client, changed, poison, pace)
        self.deployment_copies = self._follow(DEPLOYMENTS, projections.deployment)
        self.job_copies = self._follow(JOBS, projections.job)
        self._obstacles: OrderedDict[str, str] = OrderedDict()
        self.obstacle_copies: Reflector[Obstacle] = self._follow(PODS, self._obstacle, labels=_OUR_PODS)
        self.config_map_versions = self._follow(CONFIG_MAPS, projections.version, metadata_only=True)

    def _obstacle(self, raw: Object) -> Obstacle:
        """Keep what a pod waited for when it has ended: at the deadline it goes before its Job fails."""
        found = projections.job_obstacle(raw)
        if not found.ended:
            self._obstacles[found.job_uid] = found.text
            self._obstacles.move_to_end(found.job_uid)
            if len(self._obstacles) > _REMEMBERED:
                self._obstacles.popitem(last=False)
        return found

    def records(self) -> Sequence[Record]:
        """Give all records."""
        return self.record_copies.values()

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        """Give a stored Deployment, if it has a Gateway container or is held by us."""
        return self.deployment_copies.get(namespace, name)

    def deployments(self, namespace: str = "") -> Sequence[Deployment]:
        """Give those of a namespace, or of all."""
        return [item for item in self.deployment_copies.values() if namespace in {"", item.metadata.namespace}]

    def gateways(self, namespace: str = "") -> Sequence[Gateway]:
        """Give the Gateway resources of a namespace, or of all."""
        return [item for item in self.gateway_copies.values() if namespace in {"", item.metadata.namespace}]

    def jobs(self, namespace: str) -> Sequence[Job]:
        """Give the Jobs of a namespace, or of all, that migrate, or say that they do."""
        return [item for item in self.job_copies.values() if namespace in {"", item.metadata.namespace}]

    def obstacle(self, namespace: str, job_uid: str) -> str:  # noqa: ARG002 # a UID is one in the whole cluster
        """Say why the pod of a Job does not run, empty when it does or nothing is known."""
        return self._obstacles.get(job_uid, "")


def _readable(copies: Reflector[T], resource: Resource, namespace: str, name: str) -> T | None:
    """Give what is kept of an object; what cannot be read is not absent: that would let anything pass."""
    found = copies.get(namespace, name)
    if found is None and (namespace, name) in copies.unreadable:
        raise UnreachableError(f"{resource.kind} {namespace}/{name} cannot be read; its log line says why")
    return found
