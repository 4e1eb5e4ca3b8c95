"""Which container is the Gateway, and which Deployment a pod belongs to."""

from collections.abc import Iterable
from posixpath import normpath

from webhook.policy.names import (
    GATEWAY_API_VERSION,
    GATEWAY_CONTAINER,
    GATEWAY_KIND,
    LICENSE_PATH,
    NODE_PROPERTIES_PATH,
    POD_TEMPLATE_HASH,
)
from webhook.policy.objects import Container, ObjectMeta, Pod, PodSpec, Volume


def gateway_index(spec: PodSpec, named: str | None = None) -> int | None:
    """Give the index of the gateway container, or None when there is none.

    ``named`` is the value of the annotation ``schemagate.io/gateway-container``. Without it, or when it names no
    container, the one that mounts the license: it is first under the operator and last under the Helm chart.
    """
    licensed = None
    for index, container in enumerate(spec.containers or ()):
        if named and container.name == named:
            return index
        if licensed is None and mounts(container, LICENSE_PATH):
            licensed = index
    return licensed


def gateway_container(spec: PodSpec, metas: Iterable[ObjectMeta] = ()) -> Container | None:
    """Give the gateway container; the first annotation found on ``metas`` overrides the license mount."""
    index = gateway_index(spec, named_container(metas))
    return None if index is None else (spec.containers or ())[index]


def gateway_candidates(spec: PodSpec, named: str | None = None) -> tuple[Container, ...]:
    """Give all containers that may be the Gateway: those that mount the license, and the one that is named."""
    return tuple(
        container
        for container in spec.containers or ()
        if (named and container.name == named) or mounts(container, LICENSE_PATH)
    )


def named_container(metas: Iterable[ObjectMeta]) -> str | None:
    """Give the container that an annotation names as the Gateway, or None."""
    return next((name for meta in metas if (name := meta.annotation(GATEWAY_CONTAINER))), None)


def mounts(container: Container, path: str) -> bool:
    """Tell whether a container mounts something at this path, however it is spelled."""
    # A kubelet takes a relative path for one below the root; two leading slashes mean the root as one does.
    return any(
        mount.mount_path == path or normpath("/" + mount.mount_path.lstrip("/")) == path
        for mount in container.volume_mounts or ()
        if mount.mount_path.endswith((_base(path), "/", "."))
    )


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def node_properties_volume(spec: PodSpec, container: Container) -> Volume | None:
    """Give the volume that the container's ``node.properties`` comes from, or None."""
    names = {mount.name for mount in container.volume_mounts or () if mount.mount_path == NODE_PROPERTIES_PATH}
    return next((volume for volume in spec.volumes or () if volume.name in names), None)


def deployment_of(pod: Pod) -> str | None:
    """Give the name of the Deployment whose ReplicaSet owns the pod, or None for any other pod.

    A Deployment names its ReplicaSets ``<deployment>-<pod-template-hash>`` and labels their pods with the
    hash (kube-controller-manager, Kubernetes 1.36).
    """
    owner = pod.metadata.controller("ReplicaSet")
    revision = (pod.metadata.labels or {}).get(POD_TEMPLATE_HASH)
    if owner is None or not revision or not owner.name.endswith(f"-{revision}"):
        return None
    return owner.name.removesuffix(f"-{revision}") or None


def gateway_owner(meta: ObjectMeta) -> str | None:
    """Give the name of the Gateway resource that controls the object, or None (Helm, plain).

    Gateways of other groups own Deployments too (gateway.networking.k8s.io).
    """
    owner = meta.controller(GATEWAY_KIND)
    group = GATEWAY_API_VERSION.partition("/")[0]
    return owner.name if owner and owner.api_version.partition("/")[0] == group else None
