"""A Gateway of the stock operator, from the first image change to the last pod."""

from tests.controlplane.client import STRATEGIC
from tests.controlplane.kubelet import finish, pod_of
from tests.live.installation import Replica
from tests.live.world import NEW, OLD, World, condition, environment
from webhook.policy.names import MIGRATED, MIGRATION_JOB, MODE_PROPERTY

ASKS = {MIGRATION_JOB: "enabled"}


async def test_a_rollout_waits_for_its_migration_and_then_skips(world: World, controller: Replica) -> None:
    await world.operator_gateway(**ASKS)
    adopted = await world.reaches("Complete", image=OLD)
    assert [done["evidence"] for done in adopted["completedHashes"]] == ["Adopted"]

    # The operator stores the wanted image first, then changes the Deployment, and is turned away at first.
    await world.patch("Gateway", "ssg", {"spec": {"app": {"image": f"{NEW}-slow"}}})
    assert "is blocked" in await world.denial("ssg", f"{NEW}-slow")
    running = await world.reaches("Running", image=f"{NEW}-slow")
    told = await world.denial("ssg", f"{NEW}-slow")
    assert running["job"]["name"] in told

    # In between, a restart and a scale pass.
    restart = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    await world.admin.patch(world.path("Deployment", "ssg"), restart, STRATEGIC)
    await world.patch("Deployment", "ssg", {"spec": {"replicas": 2}})
    await world.settled()

    (job,) = await world.jobs()
    await finish(world.admin, await pod_of(world.admin, world.namespace, job["metadata"]["name"]))
    complete = await world.reaches("Complete", image=f"{NEW}-slow")
    assert complete["completedHashes"][0]["evidence"] == "Job"
    assert condition(complete, "Ready")["status"] == "True"
    deployment = await world.get("Deployment", "ssg")
    assert deployment["metadata"]["annotations"][MIGRATED] == complete["shortHash"]

    await world.set_image("ssg", f"{NEW}-slow")
    await world.settled()
    pods = await world.pods()
    assert len(pods) == 2
    for started in pods:
        assert environment(started)["EXTRA_JAVA_ARGS"].count(f"-D{MODE_PROPERTY}=skip") == 1
