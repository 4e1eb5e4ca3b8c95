"""A Gateway that asks for its migration from the start: the Job runs before there is a Deployment."""

import pytest

from tests.controlplane.client import ApiError, until
from tests.controlplane.objects import owned
from tests.live.installation import Replica
from tests.live.world import OLD, Manifest, World, skips
from webhook.policy.names import LICENSE_PATH, MIGRATION_JOB


async def test_the_deployment_waits_for_the_job_that_its_gateway_asks_for(
    world: World, controller: Replica
) -> None:
    image = f"{OLD}-slow"
    gateway, config_map, deployment = world.recorded("operator-gateway")
    gateway["metadata"]["annotations"] = {MIGRATION_JOB: "enabled"}
    gateway["spec"]["app"]["image"] = image
    deployment["metadata"]["annotations"] = {}
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image
    stored = await world.create(gateway)
    # The operator writes the ConfigMap first, and tries the Deployment again and again.
    await world.create(owned(config_map, stored))
    await until(lambda: guarded(world, deployment), what="the webhook knows the Gateway")
    assert "is blocked" in await refusal(world, owned(deployment, stored))

    running = await world.reaches("Running", image=image)
    assert running["jdbcUrl"] == f"jdbc:mysql://{world.database}:3306/ssg"
    (job,) = await world.jobs()
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image
    assert container["envFrom"] == [{"configMapRef": {"name": "ssg"}}, {"secretRef": {"name": "ssg"}}]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [LICENSE_PATH]
    assert job["metadata"]["name"] in await refusal(world, owned(deployment, stored))

    await world.finish()
    complete = await world.reaches("Complete", image=image)
    await world.create(owned(deployment, stored))
    await world.settled()
    assert [skips(pod) for pod in await world.pods()] == [True, True, True]

    # Now that there is a Deployment, its inputs are those that were migrated for the Gateway alone.
    after = await world.reaches("Complete", image=image)
    assert [done["hash"] for done in after["completedHashes"]] == [complete["specHash"]]
    assert len(await world.jobs()) == 1


async def guarded(world: World, deployment: Manifest) -> bool:
    """Tell whether the webhook knows by now that it has to guard the Deployment."""
    try:
        await world.admin.post(world.path("Deployment"), deployment, dryRun="All")
    except ApiError as error:
        return error.status == 403
    return False


async def refusal(world: World, deployment: Manifest) -> str:
    """Try to create the Deployment, and give the words with which that was denied."""
    with pytest.raises(ApiError) as caught:
        await world.create(deployment)
    assert caught.value.status == 403, caught.value
    return caught.value.message
