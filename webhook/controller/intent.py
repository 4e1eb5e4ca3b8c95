"""What a record's Deployment is headed for, and the Job of an intent: from what is stored, and nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from webhook.controller.ports import Manifest, Observations
from webhook.errors import InvalidObjectError
from webhook.policy.environment import config_maps_of
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs
from webhook.policy.migration.from_gateway import deployment_of_gateway
from webhook.policy.migration.job import JobRequest, build_job
from webhook.policy.migration.target import Target, target_of
from webhook.policy.objects import ConfigMap, Container, Deployment, view, without_nulls
from webhook.policy.record import FirstInstall, JobReference, Record

ConfigMaps = Mapping[str, ConfigMap | None]


@dataclass(frozen=True, slots=True)
class Heading:
    """A Deployment, stored or (``stored`` false) as a Gateway resource is about to have it, and its target.

    ``awaited`` names the ConfigMaps that have to be there before there is a target.
    """

    deployment: Deployment
    target: Target | None
    config_maps: ConfigMaps
    stored: bool = True
    awaited: tuple[str, ...] = ()

    @property
    def container(self) -> Container | None:
        """The gateway container."""
        return gateway_container(self.deployment.template().spec, [self.deployment.metadata])


async def config_maps_for(
    cluster: Observations, namespace: str, containers: Iterable[Container | None]
) -> ConfigMaps:
    """Read the ConfigMaps that containers refer to."""
    names = {name for container in containers if container for name in config_maps_of(container)}
    return {name: await cluster.config_map(namespace, name) for name in sorted(names)}


async def heading_of(cluster: Observations, record: Record, governance: Governance) -> Heading | None:
    """Give where a governed Deployment is headed; None when there is none, and none to come."""
    deployment = cluster.deployment(record.namespace, record.name)
    if deployment is not None:
        return await _heading(cluster, record, governance, deployment, stored=True)
    try:
        manifest = await _expected(cluster, record, governance)
    except InvalidObjectError as error:
        # To be told in the record: who waits for the Deployment has nothing else to look at.
        problem = MigrationInputs(image=governance.gateway_image, jdbc_url="", problem=str(error))
        return Heading(Deployment(), Target(desired=problem, running=None), {}, stored=False)
    if manifest is None:
        return None
    heading = await _heading(cluster, record, governance, view(Deployment, manifest), stored=False)
    # An operator writes the ConfigMap before the Deployment, and after the Gateway: until then nothing is wrong.
    awaited = tuple(sorted(name for name, found in heading.config_maps.items() if found is None))
    return replace(heading, target=None, awaited=awaited) if awaited else heading


async def job_of(
    cluster: Observations, record: Record, governance: Governance | None, intent: JobReference
) -> Manifest | None:
    """Build the Job of an intent; None when what is stored no longer asks for exactly these inputs.

    The hash is worked out anew from the very template that goes into the Job: a copy that lags must not lead to a
    Job that migrates for other inputs than the status says.
    """
    if governance is None:
        return None
    deployment = cluster.deployment(record.namespace, record.name)
    if deployment is not None:
        template = await cluster.deployment_template(record.namespace, record.name)
    else:
        try:
            manifest = await _expected(cluster, record, governance)
        except InvalidObjectError:
            return None
        if manifest is None:
            return None
        template, deployment = manifest["spec"]["template"], view(Deployment, manifest)
    raw = msgspec.Raw(msgspec.json.encode(without_nulls(template)))
    deployment = msgspec.structs.replace(deployment, spec=msgspec.structs.replace(deployment.spec, template=raw))
    heading = await _heading(cluster, record, governance, deployment, stored=True)
    target, container = heading.target, heading.container
    if target is None or target.desired is None or container is None or target.desired.spec_hash != intent.hash:
        return None
    request = JobRequest(template, container.name, target.desired, heading.config_maps)
    return build_job(record, governance.spec, intent, request)


async def _heading(
    cluster: Observations, record: Record, governance: Governance, deployment: Deployment, *, stored: bool
) -> Heading:
    container = gateway_container(deployment.template().spec, [deployment.metadata])
    config_maps = await config_maps_for(cluster, record.namespace, [container])
    target = target_of(deployment, governance, config_maps)
    if target is not None and not stored:
        target = replace(target, running=None)  # nothing runs yet
    return Heading(deployment, target, config_maps, stored)


async def _expected(cluster: Observations, record: Record, governance: Governance) -> Manifest | None:
    """Give the Deployment that a Gateway resource is about to get, where we are to migrate before it does."""
    if governance.first_install is not FirstInstall.MIGRATE:
        return None
    gateway = await cluster.gateway_manifest(record.namespace, record.name)
    return deployment_of_gateway(gateway) if gateway is not None else None
