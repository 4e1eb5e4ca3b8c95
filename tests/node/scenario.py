"""What every way to install has to bring: a guarded Gateway is denied, migrated, admitted, and starts in skip."""

import sys
from pathlib import Path
from typing import Any

from tests.controlplane.client import Client
from tests.live.test_cli import Person
from tests.live.world import World, skips
from tests.node import gateway
from tests.node.cluster import NodeCluster
from webhook.policy.names import MODE_PROPERTY


async def guarded(cluster: NodeCluster, admin: Client, namespace: str) -> World:
    """Have a stand-in for a Gateway run under guard, its image taken for migrated; give its namespace."""
    found = World(admin, namespace, cluster)
    await gateway.deploy(admin, namespace)
    await found.settled(gateway.NAME, 180)
    await found.reaches("Complete", gateway.NAME, gateway.OLD, 180)
    return found


async def upgraded(cluster: NodeCluster, world: World, folder: Path) -> None:
    """Upgrade the stand-in as its user does; every step has to come out as promised."""
    message = await world.denial(gateway.NAME, gateway.NEW)
    assert f"schemagate migrate {gateway.NAME}" in message

    person = Person(cluster.admin_kubeconfig, folder)
    command = ("migrate", gateway.NAME, "-n", world.namespace, "--image", gateway.NEW, "--wait")
    done = await person.runs(str(Path(sys.executable).with_name("schemagate")), *command)
    assert done.code == 0, done
    (job,) = await world.jobs()
    log = f"{world.path('Pod')}/{(await pods_of(world, job))[0]}/log"
    assert await world.admin.text(log) == "the schema is up to date\n"

    await world.set_image(gateway.NAME, gateway.NEW)
    await world.settled(gateway.NAME, 180)
    (pod,) = await world.pods(gateway.NAME)
    assert skips(pod)
    inside = await gateway.environment(pod)
    assert inside["EXTRA_JAVA_ARGS"] == f"{gateway.JAVA_ARGS} -D{MODE_PROPERTY}=skip"


async def pods_of(world: World, job: dict[str, Any]) -> list[str]:
    """Give the names of a Job's pods."""
    selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"
    return [pod["metadata"]["name"] for pod in await world.admin.items(world.path("Pod"), labelSelector=selector)]
