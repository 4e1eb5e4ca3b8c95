"""What is asked of the cluster at the moment, whole objects among it: they are looked at and dropped."""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from webhook.errors import ForbiddenError, NotFoundError, RejectedError
from webhook.kube.api.client import Client
from webhook.kube.copies import ControllerCopies
from webhook.kube.informer.projections import JOB_UID
from webhook.kube.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    GATEWAYS,
    JOBS,
    PODS,
    RECORDS,
    SUBJECT_ACCESS_REVIEWS,
    Resource,
)
from webhook.policy.gateway import deployment_of
from webhook.policy.migration.evidence import controller_of
from webhook.policy.migration.job import CONTAINER
from webhook.policy.migration.job_views import JobEvent
from webhook.policy.objects import ConfigMap, Pod, UserInfo
from webhook.policy.record import Record

Manifest = Mapping[str, Any]
_LOG_KEPT = 64 * 1024
_LOG_LINES = 200
# A kubelet counts lines from the end, and then leaves out what follows this many bytes: the end, which tells most.
# So it has to be more than all of them, of which a container runtime (CRI) makes none longer than 16 KiB.
_LOG_BYTES = _LOG_LINES * 20 * 1024
_KEPT = 2048
_EVENTS = 100


class _Pods(msgspec.Struct):
    items: list[msgspec.Raw] = []


class _JobEvents(msgspec.Struct):
    items: list[JobEvent] | None = None


class Reads:
    """Asks an API server; a None is a certain no, everything else that goes wrong is a ClusterError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def manifest(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """Give a whole object, or None."""
        raw = await self.raw(resource, namespace, name)
        return None if raw is None else msgspec.json.decode(raw)

    async def raw(self, resource: Resource, namespace: str, name: str) -> bytes | None:
        """Give an object as it was sent, or None."""
        try:
            return await self._client.request("GET", resource.path(namespace, name))
        except NotFoundError:
            return None

    async def live_record(self, namespace: str, name: str) -> Record | None:
        """Give the record as it is stored now."""
        found = await self.manifest(RECORDS, namespace, name)
        return None if found is None else Record.from_manifest(found)

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """Give a ConfigMap as it is stored now."""
        raw = await self.raw(CONFIG_MAPS, namespace, name)
        return None if raw is None else msgspec.json.decode(raw, type=ConfigMap)

    async def gateway_manifest(self, namespace: str, name: str) -> Manifest | None:
        """Give a whole Gateway resource."""
        return await self.manifest(GATEWAYS, namespace, name)

    async def deployment_template(self, namespace: str, name: str) -> Manifest:
        """Give a Deployment's whole pod template; NotFoundError when it is gone."""
        found = msgspec.json.decode(await self._client.request("GET", DEPLOYMENTS.path(namespace, name)))
        template: Manifest = found["spec"]["template"]
        return template

    async def job(self, namespace: str, name: str) -> Manifest | None:
        """Give a whole Job."""
        return await self.manifest(JOBS, namespace, name)

    async def job_pods(self, namespace: str, uid: str) -> Sequence[Manifest]:
        """Give all whole pods that the Job of this UID controls; its label alone may be on anybody's pod."""
        raw = await self._client.request("GET", PODS.path(namespace), query={"labelSelector": f"{JOB_UID}={uid}"})
        pods: list[Manifest] = msgspec.json.decode(raw)["items"]
        return [pod for pod in pods if controller_of(pod) == uid]

    async def job_events(self, namespace: str, uid: str) -> Sequence[JobEvent]:
        """Give what was told of the Job of this UID, nothing if we may not read it; a hundred Events at most."""
        query = {"fieldSelector": f"regarding.uid={uid}", "limit": str(_EVENTS)}
        try:
            raw = await self._client.request("GET", EVENTS.path(namespace), query=query)
        except ForbiddenError:
            return ()
        return msgspec.json.decode(raw, type=_JobEvents).items or ()

    async def pod_log(self, namespace: str, name: str) -> str:
        """Give the end of the log of a pod's migrating container, 64 KiB at most, empty when there is none.

        It is ours by its name. The Job of an operator or chart calls it otherwise: then it is the first.
        """
        try:
            return await self._log(namespace, name, CONTAINER)
        except RejectedError:  # no container of that name, or one that has not started
            pass
        except (NotFoundError, ForbiddenError):
            return ""  # not everybody grants us to read them
        try:
            pod = await self.manifest(PODS, namespace, name)
            containers = ((pod or {}).get("spec") or {}).get("containers") or [{}]
            first = containers[0].get("name", "")
            return "" if first == CONTAINER else await self._log(namespace, name, first)
        except (NotFoundError, RejectedError, ForbiddenError):
            return ""  # a container that never started has none

    async def _log(self, namespace: str, name: str, container: str) -> str:
        query = {"tailLines": str(_LOG_LINES), "limitBytes": str(_LOG_BYTES)}
        query |= {"container": container} if container else {}
        path = PODS.path(namespace, name, "log")
        raw = await self._client.request("GET", path, query=query, accept="*/*", timeout=5.0)
        return raw[-_LOG_KEPT:].decode("utf-8", "replace")


class WebhookReads(Reads):
    """What the webhooks ask. For pods, which come in swarms, ConfigMaps are remembered for ``fresh`` seconds."""

    def __init__(self, client: Client, fresh: float = 2.0) -> None:
        super().__init__(client)
        self._fresh = fresh
        self._config_maps: OrderedDict[tuple[str, str], tuple[float, ConfigMap | None]] = OrderedDict()

    async def recent_config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """Give a ConfigMap as it is now, or was a moment ago."""
        kept = self._config_maps.get((namespace, name))
        asked = time.monotonic()
        if kept is not None and asked - kept[0] < self._fresh:
            return kept[1]
        found = await self.config_map(namespace, name)
        self._config_maps[(namespace, name)] = (asked, found)
        while len(self._config_maps) > _KEPT:
            self._config_maps.popitem(last=False)
        return found

    async def may_bypass(self, user: UserInfo, namespace: str, name: str) -> bool:
        """Ask whether the user holds the verb ``bypass`` on this record."""
        asked = {
            "group": RECORDS.group,
            "resource": RECORDS.plural,
            "verb": "bypass",
            "namespace": namespace,
            "name": name,
        }
        # All that authorizers may judge by (k8s.io/api/authorization/v1, SubjectAccessReviewSpec).
        who = {"user": user.username, "uid": user.uid, "groups": user.groups or (), "extra": user.extra or {}}
        spec = {**{field: value for field, value in who.items() if value}, "resourceAttributes": asked}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = await self._client.request("POST", SUBJECT_ACCESS_REVIEWS.path(), body=body, timeout=2.0)
        return msgspec.json.decode(answer)["status"].get("allowed") is True


class ControllerReads(Reads):
    """What the controller asks. A ConfigMap is asked for again only when its copy says that it changed."""

    def __init__(self, client: Client, copies: ControllerCopies) -> None:
        super().__init__(client)
        self._copies = copies
        self._config_maps: OrderedDict[tuple[str, str], ConfigMap] = OrderedDict()

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """Give a ConfigMap."""
        kept = self._config_maps.get((namespace, name))
        if kept is not None and kept.metadata.resource_version == self._copies.config_map_versions.get(
            namespace, name
        ):
            return kept
        found = await super().config_map(namespace, name)
        if found is None:
            self._config_maps.pop((namespace, name), None)
            return None
        small = msgspec.structs.replace(found, metadata=msgspec.structs.replace(found.metadata, annotations=None))
        self._config_maps[(namespace, name)] = small
        while len(self._config_maps) > _KEPT:
            self._config_maps.popitem(last=False)
        return small

    async def pods_of(self, namespace: str, deployment: str) -> Sequence[Pod]:
        """Give the pods of a Deployment's ReplicaSets."""
        stored = self._copies.deployment(namespace, deployment)
        labels = (stored.spec.selector.match_labels or {}) if stored else {}
        query = {"labelSelector": ",".join(f"{name}={value}" for name, value in sorted(labels.items()))}
        raw = await self._client.request("GET", PODS.path(namespace), query=query)
        pods = [msgspec.json.decode(item, type=Pod) for item in msgspec.json.decode(raw, type=_Pods).items]
        return [pod for pod in pods if deployment_of(pod) == deployment]
