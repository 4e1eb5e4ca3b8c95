"""The Job of an intent that a status holds: built from what is stored, and from nothing else."""

from collections.abc import Iterable, Mapping

import msgspec

from webhook.controller.ports import Manifest, Observations
from webhook.policy.environment import config_maps_of
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import Governance
from webhook.policy.migration.job import JobRequest, build_job
from webhook.policy.migration.target import target_of
from webhook.policy.objects import ConfigMap, Container, without_nulls
from webhook.policy.record import JobReference, Record

ConfigMaps = Mapping[str, ConfigMap | None]


async def config_maps_for(
    cluster: Observations, namespace: str, containers: Iterable[Container | None]
) -> ConfigMaps:
    """Read the ConfigMaps that containers refer to."""
    names = {name for container in containers if container for name in config_maps_of(container)}
    return {name: await cluster.config_map(namespace, name) for name in sorted(names)}


async def job_of(
    cluster: Observations, record: Record, governance: Governance | None, intent: JobReference
) -> Manifest | None:
    """Build the Job of an intent; None when what is stored no longer asks for exactly these inputs.

    The hash is worked out anew from the very template that goes into the Job: a cache that lags must not lead to a
    Job that migrates for other inputs than the status says.
    """
    deployment = cluster.deployment(record.namespace, record.name)
    if governance is None or deployment is None:
        return None
    template = await cluster.deployment_template(record.namespace, record.name)
    raw = msgspec.Raw(msgspec.json.encode(without_nulls(template)))
    deployment = msgspec.structs.replace(deployment, spec=msgspec.structs.replace(deployment.spec, template=raw))
    container = gateway_container(deployment.template().spec, [deployment.metadata])
    config_maps = await config_maps_for(cluster, record.namespace, [container])
    target = target_of(deployment, governance, config_maps)
    if target is None or target.desired is None or container is None or target.desired.spec_hash != intent.hash:
        return None
    request = JobRequest(template, container.name, target.desired, config_maps)
    return build_job(record, governance.spec, intent, request)
