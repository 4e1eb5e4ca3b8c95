"""``schemagate hash``: the inputs of a migration and their hash."""

import asyncio
from typing import Any

import click

from webhook.claims import claims_of
from webhook.cli.output import emit, format_option, namespace_option, objects_option
from webhook.cli.sources import load_cluster, load_judged, refuse_dangling
from webhook.controller.intent import config_maps_for
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import SourceError
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import govern
from webhook.policy.inputs import migration_inputs, short
from webhook.policy.objects import Deployment, view
from webhook.policy.record import RecordSpec


@click.command(name="hash")
@click.argument("file", metavar="FILE")
@objects_option(required=False)
@namespace_option
@format_option
def hash_command(file: str, objects: tuple[str, ...], namespace: str | None, output: str) -> None:
    """Show the inputs and the hash of the Gateway Deployments in FILE (- for stdin).

    The inputs are what decides whether a rollout needs a migration: image, JDBC URL (without credentials),
    clearLocks, deadline, and the pod's DNS settings. A record, Gateway or annotation among the objects may
    override them.

    Example: schemagate hash deployment.yaml --objects cluster/
    """
    found = load_judged([file], namespace, objects)
    cluster = load_cluster(objects)
    cluster.load(found)
    refuse_dangling(cluster, found)
    rows = [
        asyncio.run(_inputs(cluster, view(Deployment, located.manifest)))
        for located in found
        if located.kind == "Deployment"
    ]
    gateways = [row for row in rows if row is not None]
    if not gateways:
        raise SourceError(
            f"{file}: no Deployment with a gateway container; expected one that mounts the license, or the "
            "annotation schemagate.io/gateway-container"
        )
    emit(output, gateways, lambda: "\n\n".join(_text(row) for row in gateways))


async def _inputs(cluster: EmbeddedControllerCluster, deployment: Deployment) -> dict[str, Any] | None:
    meta = deployment.metadata
    namespace = meta.namespace or "default"
    template = deployment.template()
    container = gateway_container(template.spec, [meta])
    if container is None:
        return None
    governance = govern(claims_of(cluster, namespace, meta.name, [meta]))
    config_maps = await config_maps_for(cluster, namespace, [container])
    spec = governance.spec if governance else RecordSpec()
    inputs = migration_inputs(template.spec, container, spec, config_maps)
    row: dict[str, Any] = {
        "deployment": f"{namespace}/{meta.name}",
        "container": container.name,
        "governedBy": governance.source.value if governance else None,
    }
    if inputs is None:
        return row | {"database": None, "hash": None}
    return row | {
        "image": inputs.image,
        "jdbcUrl": inputs.jdbc_url,
        "clearLocks": inputs.clear_locks,
        "activeDeadlineSeconds": inputs.active_deadline_seconds,
        "network": inputs.network,
        "database": inputs.database,
        "problem": inputs.problem,
        "shown": short(inputs.spec_hash),
        "hash": inputs.spec_hash,
    }


def _text(row: dict[str, Any]) -> str:
    if row["hash"] is None:
        return f"{row['deployment']}: no database, nothing to migrate"
    return "\n".join(f"{name + ':':<24}{'-' if value is None else value}" for name, value in row.items())
