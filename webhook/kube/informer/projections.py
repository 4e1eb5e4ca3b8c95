"""What is kept of each object: small parts of it, since whole ones make the garbage collector slow."""

from collections.abc import Mapping

import msgspec

from webhook.kube.informer.listing import Object
from webhook.policy.gateway import gateway_container
from webhook.policy.gateway_resource import Gateway
from webhook.policy.migration.job_views import Job, JobPod
from webhook.policy.migration.obstacles import has_ended, obstacle_of
from webhook.policy.names import COMPONENT, GROUP, HELD, LICENSE_PATH, MANAGED_BY, MIGRATION_COMPONENT, PRODUCT
from webhook.policy.objects import Deployment, Namespace, ObjectMeta, View
from webhook.policy.record import Record
from webhook.policy.value import Value

_LICENSE_FILE = LICENSE_PATH.rpartition("/")[2].encode()
_OURS = GROUP.encode()
_EXTERNAL_SUFFIX = f"-{MIGRATION_COMPONENT}"
JOB_UID = "batch.kubernetes.io/controller-uid"
"""Label of a Job's pods (Kubernetes 1.27 and later)."""


class _Named(View, frozen=True):
    metadata: ObjectMeta = ObjectMeta()


class Obstacle(Value, frozen=True):
    """Why a pod of a Job does not run, empty when it does; of one that has ended nothing is known any more."""

    job_uid: str
    text: str
    ended: bool = False


def record(raw: Object) -> Record:
    """Keep all of a record; InvalidObjectError when it cannot be read."""
    return Record.from_manifest(msgspec.json.decode(raw))


def gateway(raw: Object) -> Gateway:
    """Keep what governs of a Gateway resource."""
    found = msgspec.json.decode(raw, type=Gateway)
    return msgspec.structs.replace(found, metadata=_small(found.metadata))


def namespace(raw: Object) -> Namespace:
    """Keep name and our labels of a namespace."""
    found = msgspec.json.decode(raw, type=Namespace)
    return msgspec.structs.replace(found, metadata=_small(found.metadata, labels=found.metadata.labels))


def deployment(raw: Object) -> Deployment | None:
    """Keep what migrations depend on of a Deployment with a Gateway container, or held by us; None for any other.

    The pod template is reduced to what is read, in the same form: its inputs are those of the whole one.
    """
    data = bytes(raw)
    if _LICENSE_FILE not in data and _OURS not in data:  # most Deployments, without decoding them
        return None
    found = msgspec.json.decode(raw, type=Deployment)
    template = found.template()
    if gateway_container(template.spec, [found.metadata]) is None and found.metadata.annotation(HELD) is None:
        return None
    spec = msgspec.structs.replace(found.spec, template=msgspec.Raw(msgspec.json.encode(template)))
    return msgspec.structs.replace(found, metadata=_small(found.metadata), spec=spec)


def deployment_meta(raw: Object) -> ObjectMeta | None:
    """Keep our annotations of a Deployment and who owns it; None where there is neither."""
    meta = _small(msgspec.json.decode(raw, type=_Named).metadata)
    return meta if meta.annotations or meta.owner_references else None


def job(raw: Object) -> Job | None:
    """Keep how a Job stands that migrates or says that it does; None for any other."""
    found = msgspec.json.decode(raw, type=Job)
    labels = found.metadata.labels or {}
    ours = labels.get(COMPONENT) == MIGRATION_COMPONENT and labels.get(MANAGED_BY) == PRODUCT
    if not ours and not found.metadata.name.endswith(_EXTERNAL_SUFFIX):
        return None
    return msgspec.structs.replace(found, metadata=_small(found.metadata, labels=labels))


def job_obstacle(raw: Object) -> Obstacle:
    """Keep why a Job's pod does not run."""
    found = msgspec.json.decode(raw, type=JobPod)
    return Obstacle((found.metadata.labels or {}).get(JOB_UID, ""), obstacle_of(found), has_ended(found))


def version(raw: Object) -> str:
    """Keep the resourceVersion alone: whether a copy is still the newest."""
    return msgspec.json.decode(raw, type=_Named).metadata.resource_version


def _small(meta: ObjectMeta, labels: Mapping[str, str] | None = None) -> ObjectMeta:
    """Drop the annotations of others, among them whole copies of the object, and labels unless given."""
    ours = {name: text for name, text in (meta.annotations or {}).items() if name.startswith(f"{GROUP}/")}
    return msgspec.structs.replace(meta, annotations=ours or None, labels=dict(labels) if labels else None)
