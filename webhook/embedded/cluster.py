"""A cluster in memory: objects by kind, namespace and name, behind the ports of webhooks and controller."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from webhook.embedded.files import Located
from webhook.embedded.shapes import Template, pod_template
from webhook.errors import InvalidObjectError, SourceError
from webhook.policy.environment import config_maps_of, resolve
from webhook.policy.gateway import deployment_of, gateway_container
from webhook.policy.gateway_resource import Gateway
from webhook.policy.migration.job_views import Job, JobEvent
from webhook.policy.objects import (
    ConfigMap,
    Deployment,
    Namespace,
    ObjectMeta,
    Pod,
    UserInfo,
    View,
    view,
    without_nulls,
)
from webhook.policy.record import Record

Key = tuple[str, str, str]
Manifest = dict[str, Any]
V = TypeVar("V", bound=View)
CLUSTER_SCOPED = frozenset({"Namespace"})
MASTERS = "system:masters"

_VIEWS: Mapping[str, type[View]] = {
    "ConfigMap": ConfigMap,
    "Deployment": Deployment,
    "Gateway": Gateway,
    "Job": Job,
    "Namespace": Namespace,
    "Pod": Pod,
}


class EmbeddedCluster:
    """Stores objects as an API server would: UID, resourceVersion and generation are its own to give.

    ``subscribe`` is called with the key of every object that changes. RBAC is not played: only members of
    ``system:masters`` may break glass here.
    """

    def __init__(self) -> None:
        # As JSON: every reader gets its own copy, and the garbage collector has nothing to walk.
        self._manifests: dict[Key, bytes] = {}
        self._views: dict[Key, View | Record] = {}
        self._version = 0
        self._subscribers: list[Callable[[Key], None]] = []

    # Storage.

    def subscribe(self, subscriber: Callable[[Key], None]) -> None:
        """Call ``subscriber`` after every change."""
        self._subscribers.append(subscriber)

    def load(self, objects: Iterable[Located]) -> None:
        """Store objects from files; SourceError names file and line of the first that is bad."""
        for located in objects:
            if not located.used or located.kind == "AdmissionReview":
                continue
            try:
                self.put(located.manifest, strict=True)
            except InvalidObjectError as error:
                raise SourceError(f"{located.where}: {located.kind}: {error}") from None

    def put(self, manifest: Mapping[str, Any], *, strict: bool = False) -> Manifest:
        """Store an object and give it as stored; InvalidObjectError when its kind does not allow it."""
        stored: Manifest = without_nulls(manifest)
        _view(stored, strict=strict)
        meta = stored["metadata"]
        if stored["kind"] not in CLUSTER_SCOPED:
            meta.setdefault("namespace", "default")
        if not meta.get("name"):
            meta["name"] = f"{meta.get('generateName', '')}{uuid.uuid4().hex[:5]}"
        key = key_of(stored)
        before = self.get(*key)
        self._version += 1
        if before is None:
            given = {"uid": meta.get("uid") or str(uuid.uuid4()), "generation": meta.get("generation", 1)}
        else:
            old = before["metadata"]
            changed = before.get("spec") != stored.get("spec")
            given = {"uid": old["uid"], "generation": old["generation"] + changed}
        meta |= {**given, "resourceVersion": str(self._version)}
        self._manifests[key] = msgspec.json.encode(stored)
        seen = _view(stored, strict=False)
        if seen is not None:
            self._views[key] = seen
        self._notify(key)
        return stored

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """Give an object as stored, or None."""
        found = self._manifests.get((kind, namespace, name))
        return msgspec.json.decode(found) if found is not None else None

    def delete(self, kind: str, namespace: str, name: str) -> bool:
        """Delete an object and, as the garbage collector does, all that it owns; False when there was none."""
        key = (kind, namespace, name)
        self._views.pop(key, None)
        gone = self.get(*key)
        if gone is None:
            return False
        del self._manifests[key]
        uid = gone["metadata"]["uid"]
        named = [where for where, item in self._manifests.items() if uid.encode() in item]
        for dependent in named:
            if owned(self.get(*dependent) or {}, uid):
                self.delete(*dependent)
        self._notify(key)
        return True

    def keys(self, kind: str) -> list[Key]:
        """Give the keys of all objects of a kind, sorted."""
        return sorted(key for key in self._manifests if key[0] == kind)

    def _notify(self, key: Key) -> None:
        for subscriber in self._subscribers:
            subscriber(key)

    # What webhooks and controller read.

    def record(self, namespace: str, name: str) -> Record | None:
        """Give the record of a Deployment."""
        found = self._views.get(("GatewayMigration", namespace, name))
        return found if isinstance(found, Record) else None

    def records(self) -> list[Record]:
        """Give all records."""
        return [item for item in self._views.values() if isinstance(item, Record)]

    def gateway(self, namespace: str, name: str) -> Gateway | None:
        """Give a Gateway resource."""
        found = self._views.get(("Gateway", namespace, name))
        return found if isinstance(found, Gateway) else None

    def namespace(self, name: str) -> Namespace | None:
        """Give a namespace."""
        found = self._views.get(("Namespace", "", name))
        return found if isinstance(found, Namespace) else None

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        """Give a stored Deployment."""
        found = self._views.get(("Deployment", namespace, name))
        return found if isinstance(found, Deployment) else None

    def deployment_meta(self, namespace: str, name: str) -> ObjectMeta | None:
        """Give the metadata of a stored Deployment."""
        found = self.deployment(namespace, name)
        return found.metadata if found else None

    def deployments(self, namespace: str = "") -> list[Deployment]:
        """Give the Deployments of a namespace, or of all."""
        return self._all(Deployment, namespace)

    def gateways(self, namespace: str = "") -> list[Gateway]:
        """Give the Gateway resources of a namespace, or of all."""
        return self._all(Gateway, namespace)

    def jobs(self, namespace: str) -> list[Job]:
        """Give the Jobs of a namespace."""
        return self._all(Job, namespace)

    def _all(self, kind: type[V], namespace: str) -> list[V]:
        found = self._views.items()
        return [item for (_, where, _), item in found if namespace in {"", where} and isinstance(item, kind)]

    def obstacle(self, namespace: str, job_uid: str) -> str:  # noqa: ARG002
        """Say why the pod of a Job does not run: here every pod does."""
        return ""

    async def job_events(self, namespace: str, uid: str) -> list[JobEvent]:  # noqa: ARG002
        """Give what was told of a Job: here every pod is made at once."""
        return []

    @property
    def mirrors(self) -> bool:
        """Tell whether the Gateway resource has room for ``status.migrationStatus``: here it has."""
        return True

    async def pods_of(self, namespace: str, deployment: str) -> list[Pod]:
        """Give the pods that a Deployment's ReplicaSets own."""
        return [
            pod
            for (_, where, _), pod in self._views.items()
            if isinstance(pod, Pod) and where == namespace and deployment_of(pod) == deployment
        ]

    def stale(self) -> str:
        """Say why what is known may be too old: in memory it never is."""
        return ""

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """Give a ConfigMap."""
        return self._config_map(namespace, name)

    async def recent_config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """Give a ConfigMap; in memory there is nothing to save."""
        return await self.config_map(namespace, name)

    def _config_map(self, namespace: str, name: str) -> ConfigMap | None:
        found = self._views.get(("ConfigMap", namespace, name))
        return found if isinstance(found, ConfigMap) else None

    async def live_record(self, namespace: str, name: str) -> Record | None:
        """Give the record; in memory it is live always."""
        return self.record(namespace, name)

    async def may_bypass(self, user: UserInfo, namespace: str, name: str) -> bool:  # noqa: ARG002
        """Tell whether a user may break glass: here, members of system:masters."""
        return MASTERS in (user.groups or ())

    def dangling(self, objects: Iterable[Located]) -> list[str]:
        """Say which ConfigMaps, or keys of them, the gateway containers among ``objects`` need and do not find."""
        problems = []
        for located in objects:
            if located.kind != "Deployment":
                continue
            stored = check(located)
            container = gateway_container(stored.template().spec, [stored.metadata])
            if container is None:
                continue
            namespace = stored.metadata.namespace or "default"
            maps = {name: self._config_map(namespace, name) for name in config_maps_of(container)}
            for missing in sorted(set(resolve(container, maps).missing)):
                name, _, key = missing.partition("/")
                found = key and maps[name] is not None
                problems.append(
                    f"{located.where}: Deployment {namespace}/{stored.metadata.name} takes its environment from "
                    + (f"key {key} of ConfigMap {name}, which has no such key" if found else "")
                    + ("" if found else f"ConfigMap {name}, which is not among the objects")
                    + f"; expected the output of: kubectl get configmap {name} -n {namespace} -o yaml"
                )
        return problems


def check(located: Located) -> Deployment:
    """Give a Deployment from a file; SourceError names file and line when it cannot be one."""
    try:
        seen = _view(without_nulls(located.manifest), strict=False)
    except InvalidObjectError as error:
        raise SourceError(f"{located.where}: {located.kind}: {error}") from None
    if not isinstance(seen, Deployment):
        raise SourceError(f"{located.where}: expected a Deployment, got {located.kind}")
    return seen


def key_of(manifest: Mapping[str, Any]) -> Key:
    """Give kind, namespace (empty for cluster-scoped kinds) and name."""
    meta = manifest["metadata"]
    kind = str(manifest["kind"])
    return kind, "" if kind in CLUSTER_SCOPED else meta.get("namespace", "default"), meta["name"]


def owned(manifest: Mapping[str, Any], uid: str) -> bool:
    """Tell whether an object has an owner of this UID."""
    owners = manifest.get("metadata", {}).get("ownerReferences") or ()
    return any(owner.get("uid") == uid for owner in owners)


def _view(manifest: Mapping[str, Any], *, strict: bool) -> View | Record | None:
    """Read what the product reads; InvalidObjectError says what an API server would not have stored."""
    kind = manifest["kind"]
    try:
        msgspec.convert(manifest.get("metadata"), ObjectMeta)
        msgspec.convert(pod_template(manifest), Template)
        if kind == "GatewayMigration":
            return Record.from_manifest(manifest, strict=strict)
        seen = view(_VIEWS[kind], manifest) if kind in _VIEWS else None
        if isinstance(seen, Deployment):
            seen.template()
    except (msgspec.MsgspecError, TypeError) as error:
        raise InvalidObjectError(str(error)) from None
    return seen
