"""What may happen to a migration and its record on the way: other wishes, no wishes, other sources."""

from tests.controlplane.client import until
from tests.live.installation import Replica
from tests.live.world import NEW, NEWER, OLD, World, skips
from webhook.policy.names import ENFORCE, MIGRATION_JOB

ASKS = {MIGRATION_JOB: "enabled"}


async def test_of_many_changes_while_a_job_runs_only_the_newest_follows(world: World, controller: Replica) -> None:
    await world.operator_gateway(**ASKS)
    await world.reaches("Complete", image=OLD)
    await world.wants(f"{NEW}-slow")
    await world.reaches("Running", image=f"{NEW}-slow")
    newest = [f"docker.io/caapim/gateway:11.3.{patch}" for patch in range(1, 6)]
    for image in newest:
        await world.wants(image)
    await world.reaches("Superseded")
    assert len(await world.jobs()) == 1

    await world.finish()
    complete = await world.reaches("Complete", image=newest[-1])
    assert [done["image"] for done in complete["completedHashes"]] == [newest[-1], f"{NEW}-slow", OLD]
    images = [job["spec"]["template"]["spec"]["containers"][0]["image"] for job in await world.jobs()]
    assert sorted(images) == sorted([f"{NEW}-slow", newest[-1]])


async def test_a_record_that_is_disabled_lets_go(world: World, controller: Replica) -> None:
    await world.operator_gateway(**ASKS)
    await world.reaches("Complete", image=OLD)
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    assert len(await world.jobs()) == 1
    await world.denial("ssg", NEWER)

    await world.patch("GatewayMigration", "ssg", {"spec": {"enabled": False}})
    await world.reaches("Disabled")
    await until(lambda: without_jobs(world), what="the ended Job is gone")
    await until(lambda: world.set_image("ssg", NEWER), what="the webhook knows")
    await world.settled()
    assert not any(skips(pod) for pod in await world.pods())


async def test_a_namespace_governs_what_asks_for_nothing(world: World, controller: Replica) -> None:
    await world.operator_gateway()
    assert not await world.admin.items(world.path("GatewayMigration"))
    label = {"metadata": {"labels": {ENFORCE: "reject"}}}
    await world.admin.patch(f"/api/v1/namespaces/{world.namespace}", label)
    await world.reaches("Complete", image=OLD)
    await world.shut()
    await world.denial("ssg", NEW)
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    await world.set_image("ssg", NEW)
    await world.settled()
    assert all(skips(pod) for pod in await world.pods())


async def test_a_managed_record_goes_with_its_source(world: World, controller: Replica) -> None:
    await world.operator_gateway(**ASKS)
    await world.reaches("Complete", image=OLD)
    await world.shut()
    await world.denial("ssg", NEW)
    await world.patch("Gateway", "ssg", {"metadata": {"annotations": {MIGRATION_JOB: None}}})

    async def gone() -> bool:
        return not await world.admin.exists(world.path("GatewayMigration", "ssg"))

    await until(gone, what="the managed record is gone")
    await until(lambda: world.set_image("ssg", NEW), what="the webhook knows")
    await world.settled()
    assert not any(skips(pod) for pod in await world.pods())


async def test_a_users_own_record_outlives_every_source(world: World, controller: Replica) -> None:
    await world.operator_gateway()
    mine = await world.write_record("ssg")
    await world.reaches("Complete", image=OLD)
    for asked in ("enabled", None):
        await world.patch("Gateway", "ssg", {"metadata": {"annotations": {MIGRATION_JOB: asked}}})
    # What comes later is seen later.
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    kept = await world.record()
    assert (kept["metadata"]["uid"], kept["spec"]) == (mine["metadata"]["uid"], mine["spec"])


async def test_a_database_that_moves_under_a_running_gateway_is_migrated(
    world: World, controller: Replica
) -> None:
    image = f"{OLD}-slow"
    await world.operator_gateway()
    await world.set_image("ssg", image)
    await world.settled()
    await world.patch("Gateway", "ssg", {"spec": {"app": {"image": image}}, "metadata": {"annotations": ASKS}})
    await world.reaches("Complete", image=image)

    elsewhere = f"jdbc:mysql://{world.database}-moved:3306/ssg"
    await world.patch("ConfigMap", "ssg", {"data": {"SSG_DATABASE_JDBC_URL": elsewhere}})
    running = await world.reaches("Running", image=image)
    assert running["jdbcUrl"] == elsewhere
    before = {pod["metadata"]["name"] for pod in await world.pods()}
    await world.patch("Deployment", "ssg", {"spec": {"replicas": 4}})
    await world.settled()
    (meanwhile,) = [pod for pod in await world.pods() if pod["metadata"]["name"] not in before]
    assert not skips(meanwhile)

    await world.finish()
    done = await world.reaches("Complete", image=image)
    assert done["completedHashes"][0]["database"] == f"{world.database}-moved:3306/ssg"
    await world.admin.delete(world.path("Pod", meanwhile["metadata"]["name"]))

    async def replaced() -> bool:
        return any(skips(pod) for pod in await world.pods() if pod["metadata"]["name"] not in before)

    await until(replaced, what="a pod that starts now skips")


async def without_jobs(world: World) -> bool:
    return not await world.jobs()
