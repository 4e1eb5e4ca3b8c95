"""A Gateway of the stock operator, from the first image change to the last pod."""

import asyncio
import functools
from typing import Any

import pytest

from tests.controlplane.client import STRATEGIC, ApiError, until
from tests.live.installation import Replica
from tests.live.world import NEW, NEWER, OLD, World, condition, skips
from webhook.policy.names import LICENSE_PATH, LOCK_WAIT_MINUTES, MIGRATED, MIGRATION_JOB, MODE_PROPERTY

ASKS = {MIGRATION_JOB: "enabled"}


async def test_a_rollout_waits_for_its_migration_and_then_skips(world: World, controller: Replica) -> None:
    await world.operator_gateway(**ASKS)
    adopted = await world.reaches("Complete", image=OLD)
    assert [done["evidence"] for done in adopted["completedHashes"]] == ["Adopted"]

    # The operator stores the wanted image first, then changes the Deployment, and is turned away at first.
    await world.wants(f"{NEW}-slow")
    assert "is blocked" in await world.denial("ssg", f"{NEW}-slow")
    running = await world.reaches("Running", image=f"{NEW}-slow")
    told = await world.denial("ssg", f"{NEW}-slow")
    assert running["job"]["name"] in told

    # In between, a restart and a scale pass.
    restart = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    await world.admin.patch(world.path("Deployment", "ssg"), restart, STRATEGIC)
    await world.patch("Deployment", "ssg", {"spec": {"replicas": 2}})
    await world.settled()

    await world.finish()
    complete = await world.reaches("Complete", image=f"{NEW}-slow")
    assert complete["completedHashes"][0]["evidence"] == "Job"
    assert condition(complete, "Ready")["status"] == "True"
    assert await until(lambda: marked(world)) == complete["shortHash"]

    await world.set_image("ssg", f"{NEW}-slow")
    await world.settled()
    assert [skips(pod) for pod in await world.pods()] == [True, True]


async def test_the_job_has_the_gateways_settings_and_nothing_that_serves(
    world: World, controller: Replica
) -> None:
    await world.operator_gateway(**ASKS)
    await world.reaches("Complete", image=OLD)
    image = f"{NEW}-slow"
    await world.wants(image)
    await world.reaches("Running", image=image)
    await world.finish()
    status = await world.reaches("Complete", image=image)

    (job,) = await world.jobs()
    assert job["metadata"]["name"] == status["job"]["name"] == f"ssg-db-migration-{status['specHash'][:8]}"
    assert job["spec"]["activeDeadlineSeconds"] == 300
    template = job["spec"]["template"]
    selector = (await world.get("Deployment", "ssg"))["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= template["metadata"]["labels"].items()

    pod = template["spec"]
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    assert (pod["enableServiceLinks"], pod["serviceAccountName"]) == (False, "default")
    assert [volume["name"] for volume in pod["volumes"]] == ["gateway-license"]
    assert "initContainers" not in pod
    (container,) = pod["containers"]
    assert container["image"] == image
    assert container["envFrom"] == [{"configMapRef": {"name": "ssg"}}, {"secretRef": {"name": "ssg"}}]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [LICENSE_PATH]
    in_secret = {"name": "ssg", "key": "SSG_DATABASE_JDBC_URL", "optional": True}
    url = (await world.get("ConfigMap", "ssg"))["data"]["SSG_DATABASE_JDBC_URL"]
    assert container["env"] == [
        {"name": "SSG_DATABASE_JDBC_URL", "value": url},
        {"name": "SSG_DATABASE_JDBC_URL", "valueFrom": {"secretKeyRef": in_secret}},
        {"name": "LIQUIBASE_LOG_LEVEL", "value": "info"},
        {"name": "EXTRA_JAVA_ARGS", "value": f"$(EXTRA_JAVA_ARGS) -D{MODE_PROPERTY}=liquibase-only"},
        {"name": LOCK_WAIT_MINUTES, "value": "3"},
    ]
    assert not {"livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports"} & container.keys()

    # Who looks at the record or at the Deployment is told.
    for reason in ("MigrationStarted", "MigrationComplete"):
        assert await until(functools.partial(told, world, reason)) == {"Deployment", "GatewayMigration"}


async def test_denials_are_counted_once_each_and_a_dry_run_leaves_no_trace(
    world: World, controller: Replica
) -> None:
    await world.operator_gateway(**ASKS)
    await world.reaches("Complete", image=OLD)
    with pytest.raises(ApiError):
        await world.set_image("ssg", NEWER, dryRun="All")
    await world.wants(f"{NEW}-slow")
    await world.reaches("Running", image=f"{NEW}-slow")
    for _ in range(3):
        await world.denial("ssg", f"{NEW}-slow")

    async def counted() -> dict[str, Any] | None:
        rejections = (await world.record())["status"].get("rejections") or {}
        return rejections if rejections.get("count", 0) >= 3 else None

    rejections = await until(counted)
    assert rejections is not None
    # What a handed over batch holds is counted once: another one, later, does not count it again.
    await world.denial("ssg", NEWER)

    async def another() -> dict[str, Any] | None:
        found = (await world.record())["status"]["rejections"]
        return found if found["newest"][0]["toImage"] == NEWER else None

    rejections = await until(another)
    assert rejections is not None
    assert rejections["count"] == 4
    assert [
        (item["user"], item["fromImage"], item["toImage"], item["count"], item["reason"])
        for item in rejections["newest"]
    ] == [
        ("admin", OLD, NEWER, 1, "MigrationPending"),
        ("admin", OLD, f"{NEW}-slow", 3, "MigrationRunning"),
    ]


async def test_what_starts_no_other_pods_passes(world: World, controller: Replica) -> None:
    await world.operator_gateway(**ASKS)
    await world.reaches("Complete", image=OLD)
    await world.wants(f"{NEW}-slow")
    await world.reaches("Running", image=f"{NEW}-slow")

    stored = await world.patch("Deployment", "ssg", {"metadata": {"annotations": {"ssg-poke": "1"}}})
    stored = await world.patch("Deployment", "ssg", {"spec": {"replicas": stored["spec"]["replicas"] - 1}})
    # The operator writes the whole of what it wants, most often what is there already.
    await world.patch("Deployment", "ssg", {"spec": stored["spec"]})
    await world.denial("ssg", f"{NEW}-slow")


async def test_a_rollback_passes_with_a_warning(world: World, controller: Replica) -> None:
    await world.operator_gateway(**ASKS)
    await world.reaches("Complete", image=OLD)
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    await world.set_image("ssg", NEW)
    await world.settled()

    command = (str(world.plane.kubectl), f"--kubeconfig={world.plane.admin_kubeconfig}", "-n", world.namespace)
    process = await asyncio.create_subprocess_exec(
        *command, "rollout", "undo", "deployment/ssg", stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said
    assert "the schema is at" in said.decode()
    deployment = await world.settled()
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == OLD
    assert all(skips(pod) for pod in await world.pods())


async def marked(world: World) -> str:
    """Give the hash that the Deployment was told to be complete."""
    deployment = await world.get("Deployment", "ssg")
    return str(deployment["metadata"]["annotations"].get(MIGRATED, ""))


async def told(world: World, reason: str) -> set[str] | None:
    """Give the kinds of objects that have an Event of a reason, once there are two."""
    kinds = {event["regarding"]["kind"] for event in await world.events(reason)}
    return kinds if len(kinds) == 2 else None
