"""The Deployment that the Layer7 operator is about to make of a Gateway resource, where none exists yet.

Only what a migration depends on is in it: no probes, ports, sidecars, pod labels, nor the operator's own init
containers with their mounts, all of which the Job drops anyway. What is in it follows the operator v1.2.2, and is
proved by recorded Gateways: the inputs and the Job made from here equal those made from the operator's Deployment.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from webhook.errors import InvalidObjectError
from webhook.policy.names import GATEWAY_API_VERSION, GATEWAY_KIND, LICENSE_PATH, NODE_PROPERTIES_PATH
from webhook.policy.objects import Deployment, view, without_nulls

_Manifest = Mapping[str, Any]

CONTAINER = "gateway"
_LABELS = {"app.kubernetes.io/created-by": "layer7-operator", "app.kubernetes.io/managed-by": "layer7-operator"}
_NAME, _PART_OF = "app.kubernetes.io/name", "app.kubernetes.io/part-of"
_LICENSE_VOLUME, _LICENSE_KEY = "gateway-license", "license.xml"
_NODE_PROPERTIES = "node.properties"
_SECRET_MODE = 0o755
_DISKLESS_KNOWN = frozenset({"disabled", "csi"})

# Under their Kubernetes names. Not all are fields of every operator, but a CRD prunes what its operator does not
# know: what is stored is obeyed.
_POD_FIELDS = (
    "imagePullSecrets",
    "nodeSelector",
    "tolerations",
    "hostAliases",
    "dnsPolicy",
    "dnsConfig",
    "hostNetwork",
)


def deployment_of_gateway(gateway: _Manifest) -> dict[str, Any]:
    """Give the Deployment of a stored Gateway (whole manifest), as far as a migration depends on it.

    Raises InvalidObjectError where it cannot be told: no image, a ``node.properties`` from a place that is not
    known, a field of a wrong type. Customised configuration (``spec.app.customConfig``) is left out: what the
    operator makes of it is not known well enough to be copied.
    """
    meta, spec = _part(gateway, "metadata"), _part(gateway, "spec")
    app = _part(spec, "app")
    name = _text(meta, "name")
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": _text(meta, "namespace"),
            "labels": {**_LABELS, _NAME: name, _PART_OF: name, **_part(app, "labels")},
            "ownerReferences": [
                {
                    "apiVersion": gateway.get("apiVersion") or GATEWAY_API_VERSION,
                    "kind": GATEWAY_KIND,
                    "name": name,
                    "uid": _text(meta, "uid"),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {"template": {"spec": _pod(name, app, _part(spec, "license"))}},
    }
    try:
        view(Deployment, deployment).template()
    except msgspec.ValidationError as error:
        raise InvalidObjectError(f"Gateway {name}: its Deployment cannot be told: {error}") from None
    plain: dict[str, Any] = without_nulls(deployment)
    return plain


def _pod(name: str, app: _Manifest, license_spec: _Manifest) -> dict[str, Any]:
    management = _part(app, "management")
    diskless = _part(management, "disklessConfig")
    secret = _text(management, "secretName")
    init = [item for item in _items(app, "initContainers") if item.get("name")]
    # What other containers mount, the operator mounts into the gateway too, on scratch volumes.
    shared = list(_shared_mounts([*init, *_items(app, "sidecars")]))
    mounts, volumes = shared, [{"name": volume, "emptyDir": {}} for volume in _names(shared)]
    sources = [{"configMapRef": {"name": name}}]
    if diskless.get("disabled"):
        volume = f"{name}-node-properties"
        mounts.append({"name": volume, "mountPath": NODE_PROPERTIES_PATH, "subPath": _NODE_PROPERTIES})
        volumes.append({"name": volume, **_node_properties(name, diskless, secret or volume)})
    else:
        sources.append({"secretRef": {"name": secret or name}})
    # Mounted whether the Gateway names a Secret or not: it is what makes the container a Gateway.
    mounts.append({"name": _LICENSE_VOLUME, "mountPath": LICENSE_PATH, "subPath": _LICENSE_KEY})
    license_source = _secret(_text(license_spec, "secretName"))
    item = {"key": _LICENSE_KEY, "path": _LICENSE_KEY}
    volumes.append({"name": _LICENSE_VOLUME, "secret": {**license_source, "items": [item]}})
    container = {
        "name": CONTAINER,
        "image": _image(name, app),
        "imagePullPolicy": _text(app, "imagePullPolicy"),
        "envFrom": sources,
        "resources": _part(app, "resources"),
        "securityContext": _part(app, "containerSecurityContext"),
        "volumeMounts": mounts,
    }
    pod = {field: app[field] for field in _POD_FIELDS if app.get(field)}
    pod |= {
        # Recorded where none is named. An account that the operator would make may not exist yet; this one does.
        "serviceAccountName": _text(_part(app, "serviceAccount"), "name") or "default",
        "securityContext": _part(app, "podSecurityContext"),
        "initContainers": init,
        "volumes": volumes,
    }
    return {"containers": [_filled(container)], **_filled(pod)}


def _image(name: str, app: _Manifest) -> str:
    image = _text(app, "image")
    if not image:
        raise InvalidObjectError(
            f"Gateway {name}: spec.app.image is empty, and what its operator makes of that is not known; name one"
        )
    return image


def _node_properties(name: str, diskless: _Manifest, secret: str) -> dict[str, Any]:
    """Give the source of the volume: a Secret, or a CSI driver where the Gateway names one."""
    unknown = sorted(field for field in set(diskless) - _DISKLESS_KNOWN if diskless[field])
    csi = _part(diskless, "csi")
    if unknown or (csi and not _text(csi, "driver")):
        where = unknown[0] if unknown else "csi"
        raise InvalidObjectError(
            f"Gateway {name}: its node.properties come from disklessConfig.{where}, which is not known here; set "
            "firstInstall: Gateway in its record, and its first pods migrate by themselves"
        )
    return {"csi": dict(csi)} if csi else {"secret": _secret(secret)}


def _secret(name: str) -> dict[str, Any]:
    return {"secretName": name, "defaultMode": _SECRET_MODE, "optional": False}


def _shared_mounts(containers: Iterable[_Manifest]) -> Iterable[dict[str, Any]]:
    """Give the mounts of other containers, each path once: the API server takes no path twice."""
    seen = set[str]()
    for container in containers:
        for mount in _items(container, "volumeMounts"):
            path = _text(mount, "mountPath")
            if path and _text(mount, "name") and path not in seen:
                seen.add(path)
                yield dict(mount)


def _names(mounts: Iterable[_Manifest]) -> Iterable[str]:
    return dict.fromkeys(mount["name"] for mount in mounts)


def _filled(fields: _Manifest) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if value}


def _part(manifest: _Manifest, field: str) -> _Manifest:
    value = manifest.get(field)
    return value if isinstance(value, Mapping) else {}


def _items(manifest: _Manifest, field: str) -> list[_Manifest]:
    value = manifest.get(field)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _text(manifest: _Manifest, field: str) -> str:
    value = manifest.get(field)
    return value if isinstance(value, str) else ""
