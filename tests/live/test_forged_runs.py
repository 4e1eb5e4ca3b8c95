"""Our own Job run otherwise than we made it: by a tenant with ``edit``, who may change pods and suspend Jobs."""

import pytest

from tests.controlplane.client import STRATEGIC, until
from tests.controlplane.kubelet import finish, pod_of
from tests.live.aftermath import created_jobs, running, says, stays_shut, told
from tests.live.installation import Replica
from tests.live.tenant import tenant, twin
from tests.live.world import NEW, Manifest, World, condition

SLOW = f"{NEW}-slow"
HARMLESS = "docker.io/library/busybox:1"


async def pod_of_job(world: World, status: Manifest) -> Manifest:
    """Give the pod that runs our Job."""
    return await pod_of(world.admin, world.namespace, status["job"]["name"])


async def ended(world: World, job: str, kind: str = "Complete") -> None:
    """Wait until a Job says how it ended."""

    async def there() -> bool:
        conditions = (await world.get("Job", job))["status"].get("conditions", [])
        return any(item["type"] == kind and item["status"] == "True" for item in conditions)

    await until(there, what=f"Job {job} is {kind}")


async def tampered(world: World, words: str) -> None:
    """See that what ran is told to be tampered with, and that the gate stays shut."""
    failed = await world.reaches("Failed", image=SLOW)
    assert failed["failure"]["class"] == "EvidenceTampered"
    assert words in condition(failed, "Degraded")["message"]
    for kind in ("GatewayMigration", "Deployment"):
        assert words in await told(world, "EvidenceTampered", kind)
    assert "EvidenceTampered" in await stays_shut(world, SLOW)


async def test_another_image_in_the_pod_of_our_job(world: World, controller: Replica) -> None:
    since = world.plane.audit_position()
    status = await running(world, SLOW)
    pod = await pod_of_job(world, status)
    async with tenant(world) as forger:
        spec = {"containers": [{"name": "db-migration", "image": HARMLESS}]}
        # It ends well by itself.
        await forger.patch(world.path("Pod", pod["metadata"]["name"]), {"spec": spec}, STRATEGIC)
        await ended(world, status["job"]["name"])
    await tampered(world, "image of the pod's container db-migration is not that of the Job")
    assert created_jobs(world, since) == [status["job"]["name"]]


@pytest.mark.parametrize("owned", [True, False], ids=["owned", "adopted"])
async def test_another_pod_in_place_of_that_of_our_job(world: World, controller: Replica, owned: bool) -> None:
    status = await running(world, SLOW, podAttempts=2)
    pod = await pod_of_job(world, status)
    other = twin(pod, "other", HARMLESS)
    if not owned:
        # Who adopts it sets the finalizer itself; who finds one on an orphan takes it off.
        del other["metadata"]["ownerReferences"], other["metadata"]["finalizers"]
    async with tenant(world) as forger:
        await forger.delete(world.path("Pod", pod["metadata"]["name"]))
        await forger.post(world.path("Pod"), other)
        await ended(world, status["job"]["name"])
    await tampered(world, "image of the pod's container db-migration is not that of the Job")


async def test_a_pod_that_is_gone_before_it_can_be_looked_at(world: World, controller: Replica) -> None:
    status = await running(world, SLOW)
    pod = world.path("Pod", (await pod_of_job(world, status))["metadata"]["name"])
    controller.component.freeze()
    try:
        await world.finish()
        await ended(world, status["job"]["name"])
        async with tenant(world) as forger:
            await forger.delete(pod)

        async def gone() -> bool:
            return not await world.admin.exists(pod)

        await until(gone)
    finally:
        controller.component.thaw()
    await tampered(world, "the pod that succeeded is not there to be checked")


async def test_a_job_that_a_tenant_suspends_and_sends_elsewhere(world: World, controller: Replica) -> None:
    status = await running(world, SLOW)
    await pod_of_job(world, status)
    job = world.path("Job", status["job"]["name"])
    async with tenant(world) as forger:
        await forger.patch(job, {"spec": {"suspend": True}})
        await says(world, "Progressing", "MigrationRunning", "JobSuspended")
        await stays_shut(world, SLOW)
        nowhere = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}
        await forger.patch(job, {"spec": {"suspend": False, "template": {"spec": nowhere}}})
        await says(world, "Progressing", "MigrationRunning", "Unschedulable")
        await stays_shut(world, SLOW)
        await forger.patch(job, {"spec": {"suspend": True}})
        await says(world, "Progressing", "MigrationRunning", "JobSuspended")
        somewhere = {"nodeSelector": {"kubernetes.io/hostname": "fake"}}
        await forger.patch(job, {"spec": {"suspend": False, "template": {"spec": somewhere}}})
    # The work is the same wherever it is done.
    await finish(world.admin, await pod_of_job(world, status))
    complete = await world.reaches("Complete", image=SLOW)
    assert complete["completedHashes"][0]["jobUID"] == status["job"]["uid"]
