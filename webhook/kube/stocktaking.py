"""All that the scan looks at, read from an API server once, in pages: a person's command, or the leader."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from webhook.audit.scan.stock import Key, Stock, key_of, wanted_config_maps
from webhook.errors import ForbiddenError, InvalidObjectError, NotFoundError
from webhook.kube.api.client import JSON, Client
from webhook.kube.informer import projections
from webhook.kube.informer.listing import Object, decoded, list_all
from webhook.kube.resources import CONFIG_MAPS, DEPLOYMENTS, GATEWAYS, NAMESPACES, PODS, RECORDS, Resource
from webhook.policy.gateway import deployment_of, gateway_container
from webhook.policy.objects import ConfigMap, Deployment, Pod, View
from webhook.policy.record import Mode

T = TypeVar("T")
_PAGE = 100
_PAGE_SECONDS = 30.0


async def take_stock(client: Client, namespace: str = "", default_mode: Mode = Mode.REJECT) -> Stock:
    """Read the Gateways of a namespace, of all when it is empty, and what is about them.

    What may not be read is named in ``unread``, and so is an object that cannot be, whose Gateway is left out; of
    a kind that is not served there is nothing. Raises ForbiddenError where not even Deployments or records may be
    read, other ClusterErrors as they come.
    """
    reader = _Reader(client, namespace)
    deployments = await reader.listed(DEPLOYMENTS, _deployment)
    records = await reader.listed(RECORDS, projections.record)
    gateways = await reader.allowed(GATEWAYS, projections.gateway)
    namespaces = await reader.allowed(NAMESPACES, projections.namespace)
    deployments = [item for item in deployments if key_of(item.metadata) not in reader.left_out]
    names = {key_of(item.metadata) for item in deployments}
    pods = await reader.pods(names)
    return Stock(
        deployments=deployments,
        records={(item.namespace, item.name): item for item in records},
        gateways={key_of(item.metadata): item for item in gateways},
        namespaces={item.metadata.name: item for item in namespaces},
        pods=pods,
        config_maps=await reader.config_maps(wanted_config_maps(_readable(deployments))),
        unread=frozenset(reader.unread),
        default_mode=default_mode,
    )


class _Name(View, frozen=True):
    namespace: str = ""
    name: str = ""


class _Named(View, frozen=True):
    metadata: _Name = _Name()


class _Reader:
    """Lists with a memory of what it was not allowed to."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self.unread: set[str] = set()
        self.left_out: set[Key] = set()

    async def listed(
        self, resource: Resource, keep: Callable[[Object], T | None], namespace: str | None = None
    ) -> list[T]:
        """Give what is kept of each object; nothing of a kind that is not served."""
        found: list[T] = []

        def take(items: list[msgspec.Raw]) -> None:
            for item in items:
                try:
                    kept = keep(item)
                except (msgspec.MsgspecError, InvalidObjectError, RecursionError):
                    self._cannot_read(resource, item)
                    continue
                if kept is not None:
                    found.append(kept)

        path = resource.path((self._namespace if namespace is None else namespace) if resource.namespaced else "")
        try:
            await list_all(self._client, path, {}, JSON, _PAGE, _PAGE_SECONDS, take)
        except NotFoundError:
            return []
        except ForbiddenError as error:
            raise ForbiddenError(
                f"{error}{'' if self._namespace else '; name one that you may read: -n'}"
            ) from None
        return found

    def _cannot_read(self, resource: Resource, raw: Object) -> None:
        """Note an object that is none of its kind by our reading: of its Gateway no more is known."""
        try:
            meta = decoded(raw, _Named).metadata
        except msgspec.MsgspecError:
            self.unread.add(resource.kind)
            return
        key = (meta.namespace, meta.name)
        self.unread.add(f"{resource.kind} {'/'.join(key)}")
        self.left_out.add(key)

    async def allowed(self, resource: Resource, keep: Callable[[Object], T | None]) -> list[T]:
        """Give the same, or nothing where it is forbidden, which is noted."""
        try:
            if not resource.namespaced and self._namespace:
                # One namespace is what those may read who may not list them.
                kept = keep(await self._client.request("GET", resource.path(name=self._namespace)))
                return [] if kept is None else [kept]
            return await self.listed(resource, keep)
        except NotFoundError:
            return []
        except ForbiddenError:
            self.unread.add(resource.kind)
            return []

    async def pods(self, deployments: set[Key]) -> list[Pod]:
        """Give the pods of these Deployments: of their namespaces alone."""

        def keep(raw: Object) -> Pod | None:
            pod = decoded(raw, Pod)
            name = deployment_of(pod)
            return pod if name is not None and (pod.metadata.namespace, name) in deployments else None

        found: list[Pod] = []
        for namespace in sorted({where for where, _ in deployments}):
            try:
                found += await self.listed(PODS, keep, namespace)
            except ForbiddenError:
                self.unread.add(PODS.kind)
                break
        return found

    async def config_maps(self, wanted: Iterable[Key]) -> dict[Key, ConfigMap]:
        """Give these ConfigMaps, as far as they exist: each by itself, since all others are nobody's business."""
        found: dict[Key, ConfigMap] = {}
        for namespace, name in wanted:
            try:
                raw = await self._client.request("GET", CONFIG_MAPS.path(namespace, name))
            except NotFoundError:
                continue
            except ForbiddenError:
                self.unread.add(CONFIG_MAPS.kind)
                break
            found[namespace, name] = decoded(raw, ConfigMap)
        return found


def _deployment(raw: Object) -> Deployment | None:
    """Keep a Deployment with a Gateway container; one that cannot be looked into is kept, to be told of."""
    try:
        kept = projections.deployment(raw)
    except msgspec.ValidationError:
        return msgspec.json.decode(bytes(raw), type=Deployment)
    held = kept is not None and gateway_container(kept.template().spec, [kept.metadata]) is None
    return None if held else kept


def _readable(deployments: Iterable[Deployment]) -> Iterable[Deployment]:
    for item in deployments:
        try:
            item.template()
        except msgspec.ValidationError:
            continue
        yield item
