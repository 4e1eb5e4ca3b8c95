"""Migrations whose pod never runs: told why while they wait, and remembered at the deadline."""

import pytest

from tests.controlplane.client import STRATEGIC, ApiError, until
from tests.controlplane.kubelet import pod_of
from tests.live.aftermath import calls, created_jobs, guarded, overdue, running, says
from tests.live.installation import Replica
from tests.live.world import NEW, POD, Manifest, World

PULL = f"{NEW}-pull"
JOB = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}


async def test_an_image_that_cannot_be_pulled(world: World, controller: Replica) -> None:
    status = await running(world, PULL)
    await says(world, "Progressing", "MigrationRunning", "ImagePullBackOff: Back-off pulling image", PULL)
    await overdue(world, status["job"]["name"])
    failed = await world.reaches("Failed", image=PULL)
    assert failed["failure"]["class"] == "ImagePull"
    assert "(ImagePull: the image could not be pulled: ImagePullBackOff: " in await world.denial("ssg", PULL)


async def test_a_secret_that_is_missing(world: World, controller: Replica) -> None:
    status = await running(world, PULL)
    pod = await pod_of(world.admin, world.namespace, status["job"]["name"], "Pending")

    async def pulling() -> Manifest | None:
        found = await world.get("Pod", pod["metadata"]["name"])
        return found if found["status"].get("containerStatuses") else None

    stuck = await until(pulling)
    assert stuck is not None
    (container,) = stuck["status"]["containerStatuses"]
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "ssg" not found'}
    patch = {"status": {"containerStatuses": [{**container, "state": {"waiting": waiting}}]}}
    await world.admin.patch(world.path("Pod", pod["metadata"]["name"]) + "/status", patch, STRATEGIC)

    await says(world, "Progressing", "MigrationRunning", 'CreateContainerConfigError: secret "ssg" not found')
    await overdue(world, status["job"]["name"])
    failed = await world.reaches("Failed", image=PULL)
    assert failed["failure"]["class"] == "Configuration"
    assert 'secret "ssg" not found' in await world.denial("ssg", PULL)


async def no_pods(world: World) -> None:
    await world.forbid("Pod", "pods", POD)


async def pod_security(world: World) -> None:
    """Enforce the restricted standard, which neither the Gateway nor its migration meets."""
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await world.admin.patch(f"/api/v1/namespaces/{world.namespace}", label)

    async def enforced() -> bool:
        try:
            await world.admin.post(world.path("Pod"), {"metadata": {"name": "any"}, "spec": POD}, dryRun="All")
        except ApiError as error:
            return "violates PodSecurity" in error.message
        return False

    await until(enforced, what="the standard is enforced")


async def no_account(world: World) -> None:
    """Have the Gateway's template name an account that does not exist; its pods stay as they are."""
    spec = {"serviceAccountName": "gone", "serviceAccount": "gone"}
    await world.admin.patch(world.path("Deployment", "ssg"), {"spec": {"template": {"spec": spec}}}, STRATEGIC)


@pytest.mark.parametrize(
    ("prevent", "words"),
    [
        (no_pods, "exceeded quota: none"),
        (pod_security, 'violates PodSecurity "restricted'),
        (no_account, 'serviceaccount "gone" not found'),
    ],
)
async def test_a_pod_that_cannot_be_created(
    world: World, controller: Replica, prevent: object, words: str
) -> None:
    assert callable(prevent)
    await guarded(world)
    await prevent(world)
    since = world.plane.audit_position()
    await world.wants(NEW)
    await says(world, "Progressing", "MigrationRunning", "FailedCreate: ", words)
    await overdue(world, created_jobs(world, since)[0])
    failed = await world.reaches("Failed", image=NEW)
    assert failed["failure"]["class"] == "JobNotStarted"
    assert words in await world.denial("ssg", NEW)
    assert len(created_jobs(world, since)) == 1
    asked = calls(world, since)
    assert len(asked) < 40, [(event["verb"], event["requestURI"]) for event in asked]


async def test_a_job_that_cannot_be_created(world: World, controller: Replica) -> None:
    await guarded(world)
    await world.forbid("Job", "count/jobs.batch", JOB)
    since = world.plane.audit_position()
    await world.wants(NEW)
    await says(world, "Progressing", "MigrationPending", "JobNotCreated: ", "exceeded quota: none")
    assert "is Pending" in await world.denial("ssg", NEW)
    tries = [
        event
        for event in calls(world, since)
        if (event["verb"], event["objectRef"]["resource"]) == ("create", "jobs")
    ]
    assert 0 < len(tries) < 15

    await world.admin.delete(f"/api/v1/namespaces/{world.namespace}/resourcequotas/none")
    complete = await world.reaches("Complete", image=NEW)
    assert complete["job"]["attempts"] == 1
