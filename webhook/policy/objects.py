"""The parts of Kubernetes objects that the rules read, as frozen values.

The structs decode straight from JSON and leave out everything that is not read: that is where an admission
request spends its time (decoding whole objects costs five times as much). A pod template stays raw bytes until
somebody looks inside, since most updates leave it as it was.

Kubernetes writes an absent list as ``null`` where Go does not omit it (``PodSpec.containers``), and mutating
webhooks run before validation, so such fields accept ``null``.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec

TEMPLATE_LIMIT = 3 * 2**20
"""Longest pod template that is looked into, in bytes of JSON.

The API server stores 1.5 MiB an object, and writes some characters as six; what is longer than this was made to
keep the event loop busy.
"""


class View(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Base of all partial objects: unknown fields are ignored, names are camelCase on the wire."""


class OwnerReference(View, frozen=True):
    """Who owns an object (``metadata.ownerReferences[]``)."""

    kind: str = ""
    name: str = ""
    api_version: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(View, frozen=True):
    """What is read of ``metadata``."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    deletion_timestamp: str | None = None

    def annotation(self, name: str) -> str | None:
        """Give the annotation's value, or None."""
        return (self.annotations or {}).get(name)

    def controller(self, kind: str) -> OwnerReference | None:
        """Give the controlling owner if it is of this kind, else None."""
        for owner in self.owner_references or ():
            if owner.controller and owner.kind == kind:
                return owner
        return None


class DatedMeta(ObjectMeta, frozen=True):
    """``metadata`` of what is compared by its age. An API server writes all times alike: texts compare."""

    creation_timestamp: str | None = None


class ManagedFields(View, frozen=True):
    """When a writer changed its part of an object last (``metadata.managedFields[]``)."""

    time: str | None = None


class ChangedMeta(DatedMeta, frozen=True):
    """``metadata`` of what may change under those who read it."""

    managed_fields: tuple[ManagedFields, ...] | None = None

    @property
    def changed(self) -> str:
        """When it changed last; empty where nothing tells."""
        times = [entry.time for entry in self.managed_fields or () if entry.time]
        return max(times, default=self.creation_timestamp or "")


class KeySelector(View, frozen=True):
    """A key in a ConfigMap or Secret (``configMapKeyRef``, ``secretKeyRef``)."""

    name: str = ""
    key: str = ""
    optional: bool | None = None


class FileKeySelector(View, frozen=True):
    """A key in a file of environment variables on a volume (``fileKeyRef``)."""

    volume_name: str = ""
    path: str = ""
    key: str = ""
    optional: bool | None = None


class FieldSelector(View, frozen=True):
    """A field of the pod (``fieldRef``)."""

    field_path: str = ""


class EnvVarSource(View, frozen=True):
    """Where a variable's value comes from. Only ConfigMaps are read; the others are told apart, no more."""

    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None
    file_key_ref: FileKeySelector | None = None
    field_ref: FieldSelector | None = None


class EnvVar(View, frozen=True):
    """One entry of a container's ``env``."""

    name: str = ""
    value: str | None = None
    value_from: EnvVarSource | None = None


class SourceReference(View, frozen=True):
    """A whole ConfigMap or Secret (``configMapRef``, ``secretRef``)."""

    name: str = ""
    optional: bool | None = None


class EnvFromSource(View, frozen=True):
    """One entry of a container's ``envFrom``."""

    prefix: str = ""
    config_map_ref: SourceReference | None = None
    secret_ref: SourceReference | None = None


class VolumeMount(View, frozen=True):
    """One entry of a container's ``volumeMounts``."""

    name: str = ""
    mount_path: str = ""


class Container(View, frozen=True):
    """What is read of a container."""

    name: str = ""
    image: str = ""
    # Far above any real one: each of these many is multiplied with the keys of a ConfigMap.
    env: Annotated[tuple[EnvVar, ...], msgspec.Meta(max_length=10_000)] | None = None
    env_from: Annotated[tuple[EnvFromSource, ...], msgspec.Meta(max_length=1_000)] | None = None
    volume_mounts: tuple[VolumeMount, ...] | None = None


class InitContainer(View, frozen=True):
    """What is read of an init container: one that starts beside the others may run a Gateway, too."""

    name: str = ""


class SecretVolume(View, frozen=True):
    """A volume from a Secret."""

    secret_name: str = ""


class ConfigMapVolume(View, frozen=True):
    """A volume from a ConfigMap."""

    name: str = ""


class CsiVolume(View, frozen=True):
    """A volume from a CSI driver (a secret store, mostly)."""

    driver: str = ""
    volume_attributes: dict[str, str] | None = None


class Volume(View, frozen=True):
    """One entry of a pod's ``volumes``."""

    name: str = ""
    secret: SecretVolume | None = None
    config_map: ConfigMapVolume | None = None
    csi: CsiVolume | None = None


class PodSpec(View, frozen=True):
    """What is read of a pod's spec."""

    containers: tuple[Container, ...] | None = None
    init_containers: tuple[InitContainer, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    host_aliases: tuple[dict[str, Any], ...] | None = None
    dns_policy: str | None = None
    dns_config: dict[str, Any] | None = None
    host_network: bool | None = None


class PodTemplate(View, frozen=True):
    """A Deployment's ``spec.template``."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class PodStatus(View, frozen=True):
    """What is read of a pod's status."""

    phase: str = ""


class Pod(View, frozen=True):
    """What is read of a pod."""

    metadata: DatedMeta = DatedMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def lives(self) -> bool:
        """Whether its containers run or will: neither ended (an evicted one lies there) nor on its way out."""
        return self.status.phase not in {"Succeeded", "Failed"} and self.metadata.deletion_timestamp is None


class LabelSelector(View, frozen=True):
    """Which pods a Deployment's ReplicaSets own, as far as labels are named."""

    match_labels: dict[str, str] | None = None


class DeploymentSpec(View, frozen=True):
    """What is read of a Deployment's spec; the template stays raw JSON."""

    selector: LabelSelector = LabelSelector()
    paused: bool = False
    replicas: int | None = None
    template: msgspec.Raw = msgspec.Raw(b"{}")


class DeploymentCondition(View, frozen=True):
    """What is read of a condition of a Deployment."""

    type: str = ""
    status: str = ""
    reason: str = ""


class DeploymentStatus(View, frozen=True):
    """What is read of a Deployment's status."""

    conditions: tuple[DeploymentCondition, ...] | None = None
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0


class Deployment(View, frozen=True):
    """What is read of a Deployment."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()

    def template(self) -> PodTemplate:
        """Decode the pod template; msgspec.ValidationError when it has the wrong shape or is too large."""
        raw = bytes(self.spec.template)
        if len(raw) > TEMPLATE_LIMIT:
            raise msgspec.ValidationError(f"pod template larger than {TEMPLATE_LIMIT // 2**20} MiB")
        return _remembered(raw) if len(raw) <= _REMEMBERED_LIMIT else _TEMPLATE.decode(raw)

    def same_template(self, other: "Deployment") -> bool:
        """Tell whether both have the same pod template, byte for byte.

        An API server writes both in one way, with sorted keys. Another order of keys counts as a change, which
        is then found to change no inputs.
        """
        return bytes(self.spec.template) == bytes(other.spec.template)


class ConfigMap(View, frozen=True):
    """What is read of a ConfigMap."""

    metadata: ChangedMeta = ChangedMeta()
    data: dict[str, str] | None = None


class Namespace(View, frozen=True):
    """What is read of a Namespace."""

    metadata: ObjectMeta = ObjectMeta()


class UserInfo(View, frozen=True):
    """Who sent the request (``request.userInfo``)."""

    username: str = ""
    groups: tuple[str, ...] | None = None
    uid: str = ""
    extra: dict[str, tuple[str, ...] | None] | None = None


_TEMPLATE = msgspec.json.Decoder(PodTemplate)
_REMEMBERED_LIMIT = 64 * 1024


@lru_cache(maxsize=256)
def _remembered(raw: bytes) -> PodTemplate:
    """Decode a template that is likely to come again: an operator sends the same one many times a change."""
    return _TEMPLATE.decode(raw)


V = TypeVar("V", bound=View)


def view(kind: type[V], manifest: Mapping[str, Any]) -> V:
    """Project a whole manifest onto the parts that are read.

    Raises msgspec.ValidationError, which names the path, when a part that is read has the wrong type.
    """
    return msgspec.json.decode(msgspec.json.encode(without_nulls(manifest)), type=kind)


def without_nulls(value: Any) -> Any:
    """Drop null members, as the API server does when it reads an object with absent fields spelled out."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
