"""Which Deployments a change of some object may concern: what has to be reconciled then."""

from collections.abc import Iterable, Iterator

from webhook.controller.ports import Copies
from webhook.policy.environment import config_maps_of
from webhook.policy.gateway import gateway_container
from webhook.policy.migration.conditions import FOREIGN_JOB
from webhook.policy.migration.external import external_name
from webhook.policy.names import GATEWAY_KIND, HASH, RECORD_KIND
from webhook.policy.objects import Deployment, ObjectMeta
from webhook.policy.record import Phase, Record

Key = tuple[str, str]
"""Namespace and name of a Deployment, and of the record that has them too."""


def concerned(known: Copies, kind: str, namespace: str, name: str) -> set[Key]:
    """Give the keys that a change of this object may concern; one too many costs a look, one too few an outage."""
    match kind:
        case "Deployment":
            return {(namespace, name)}
        case _ if kind == GATEWAY_KIND:
            return {(namespace, name)}
        case _ if kind == RECORD_KIND:  # whoever waits for its database may go on now
            return {(namespace, name)} | _waiting(known)
        case "Namespace":
            return everything(known, name)
        case "ConfigMap":
            named = (item for item in known.deployments(namespace) if name in _config_maps(item))
            return {*_metas(item.metadata for item in named), *_undeployed(known, namespace)}
        case "Pod":
            here = (item for item in known.records() if item.namespace == namespace and item.status.job)
            return _keys(item for item in here if item.status.job and name.startswith(f"{item.status.job.name}-"))
        case _:  # a Job
            # That of a disabled record keeps others from the database too, and its end may change no record.
            return _keys(_of_job(known, namespace, name)) | _waiting(known)


def everything(known: Copies, namespace: str = "") -> set[Key]:
    """Give the keys of all records, Gateways and Deployments, in one namespace or in all."""
    records = _keys(item for item in known.records() if namespace in {"", item.namespace})
    metas = [item.metadata for item in known.gateways(namespace)]
    metas += [item.metadata for item in known.deployments(namespace)]
    return records | _metas(metas)


def _of_job(known: Copies, namespace: str, name: str) -> Iterator[Record]:
    """Give the records that name a Job, follow it, or want the hash that it says it migrated."""
    job = next((item for item in known.jobs(namespace) if item.metadata.name == name), None)
    said = (job.metadata.labels or {}).get(HASH) if job else None
    for record in known.records():
        if record.namespace != namespace:
            continue
        if job is None and any(item.reason == FOREIGN_JOB for item in record.status.conditions):
            yield record  # it may have been the one: what labels it had is not known any more
            continue
        reference = record.status.job
        named = reference is not None and reference.name == name
        if named or external_name(record.name) == name or (said and record.status.short_hash == said):
            yield record


def _waiting(known: Copies) -> set[Key]:
    return _keys(item for item in known.records() if item.status.phase is Phase.WAITING)


def _undeployed(known: Copies, namespace: str) -> set[Key]:
    """Give the Gateways whose Deployment is still to come: which ConfigMaps it will name is not in a copy.

    The operator writes the Gateway's own after the Gateway, and nothing else would make us look again.
    """
    metas = (item.metadata for item in known.gateways(namespace))
    return {key for key in _metas(metas) if known.deployment(*key) is None}


def _metas(metas: Iterable[ObjectMeta]) -> set[Key]:
    return {(meta.namespace, meta.name) for meta in metas}


def _keys(records: Iterable[Record]) -> set[Key]:
    return {(item.namespace, item.name) for item in records}


def _config_maps(deployment: Deployment) -> frozenset[str]:
    container = gateway_container(deployment.template().spec, [deployment.metadata])
    return frozenset(config_maps_of(container)) if container else frozenset()
