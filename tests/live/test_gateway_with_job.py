"""An operator with a migration Job of its own, told by its Gateway definition."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.controlplane.client import Client, until
from tests.controlplane.objects import install, owned, stock, with_migration_job
from tests.live.installation import Installation, Replica
from tests.live.world import NEW, OLD, Manifest, World, skips
from webhook.policy.names import LICENSE_PATH, MIGRATION_JOB, MODE_PROPERTY

WITH_JOB = {"spec": {"app": {"management": {"database": {"migrationJob": {"enabled": True}}}}}}


@pytest.fixture
async def definition(admin: Client, installation: Installation) -> AsyncIterator[None]:
    """The definition of such an operator, put in while controller and webhook run; afterwards the stock one."""
    await install(admin, with_migration_job())
    yield
    await install(admin, stock())


async def asks(world: World) -> Manifest:
    """Have the Gateway ask its operator for a migration Job, until that is known to everybody.

    For a second after the change of a definition, the API server tells watchers of objects as they were under the
    old one, and does not repeat it. An operator writes again and again, too.
    """
    numbers = itertools.count()

    async def known() -> Manifest | None:
        poke = {"metadata": {"annotations": {"poke": str(next(numbers))}}}
        stored = await world.patch("Gateway", "ssg", {**WITH_JOB, **poke})
        kept = "migrationJob" in stored["spec"]["app"]["management"]["database"]
        return stored if kept and await world.admin.exists(world.path("GatewayMigration", "ssg")) else None

    stored = await until(known, what="the definition keeps migrationJob")
    assert stored is not None
    return stored


def job_of_operator(gateway: Manifest, image: str) -> Manifest:
    """Give the Job that such an operator makes of its Gateway."""
    mount = {"name": "gateway-license", "mountPath": LICENSE_PATH, "subPath": "license.xml"}
    container = {
        "name": "db-migration",
        "image": image,
        "env": [{"name": "EXTRA_JAVA_ARGS", "value": f"-Dfoo=qux -D{MODE_PROPERTY}=liquibase-only"}],
        "envFrom": [{"configMapRef": {"name": "ssg"}}, {"secretRef": {"name": "ssg"}}],
        "volumeMounts": [mount],
    }
    license_volume = {"name": "gateway-license", "secret": {"secretName": "gateway-license"}}
    pod = {"restartPolicy": "Never", "containers": [container], "volumes": [license_volume]}
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "ssg-db-migration"}, "spec": spec}
    return owned(job, gateway)


async def test_a_stock_definition_is_left_alone(world: World, controller: Replica) -> None:
    begin = world.plane.audit_position()
    await world.operator_gateway(**{MIGRATION_JOB: "enabled"})
    await world.reaches("Complete", image=OLD)
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    await world.set_image("ssg", NEW)
    await world.settled()
    assert not await mirrored(world, begin)


async def test_its_job_is_waited_for_and_its_status_left_to_it(
    world: World, controller: Replica, definition: None
) -> None:
    begin = world.plane.audit_position()
    await world.operator_gateway()
    gateway = await asks(world)
    await world.reaches("Complete", image=OLD)
    image = f"{NEW}-slow"
    await world.wants(image)
    await world.reaches("Pending", image=image)

    async def told() -> bool:
        return "waiting for the operator's" in await world.refusal("ssg", image)

    await until(told, what="the webhook knows of the operator's Job")
    assert "waiting for the operator's" in await world.denial("ssg", image)

    await world.create(job_of_operator(gateway, image))
    await world.reaches("Running", image=image)
    await world.denial("ssg", image)
    await world.finish()
    complete = await world.reaches("Complete", image=image)
    assert complete["completedHashes"][0]["evidence"] == "External"
    await world.set_image("ssg", image)
    await world.settled()
    assert all(skips(pod) for pod in await world.pods())
    assert [job["metadata"]["name"] for job in await world.jobs()] == ["ssg-db-migration"]
    assert "migrationStatus" not in (await world.get("Gateway", "ssg")).get("status", {})
    assert not await mirrored(world, begin)


async def test_ours_tells_the_gateway_how_its_migration_stands(
    world: World, controller: Replica, definition: None
) -> None:
    begin = world.plane.audit_position()
    await world.operator_gateway()
    await world.write_record("ssg", runner="Schemagate")
    await asks(world)
    await world.reaches("Complete", image=OLD)
    image = f"{NEW}-slow"
    await world.wants(image)
    running = await world.reaches("Running", image=image)
    want = {"specHash": running["shortHash"], "complete": False}
    await until(lambda: tells(world, want), what=f"the Gateway tells {want}")
    await world.finish()
    await world.reaches("Complete", image=image)
    want["complete"] = True
    await until(lambda: tells(world, want), what=f"the Gateway tells {want}")
    assert len(want["specHash"]) == 16
    assert await mirrored(world, begin)


async def test_a_definition_that_goes_back_is_noticed_at_once(
    world: World, controller: Replica, definition: None
) -> None:
    await world.operator_gateway()
    await world.write_record("ssg", runner="Schemagate")
    await asks(world)
    adopted = await world.reaches("Complete", image=OLD)
    want = {"specHash": adopted["shortHash"], "complete": True}
    await until(lambda: tells(world, want), what=f"the Gateway tells {want}")

    await install(world.admin, stock())

    async def pruned() -> bool:
        stored = await world.patch("Gateway", "ssg", WITH_JOB)
        return "migrationJob" not in stored["spec"]["app"]["management"]["database"]

    await until(pruned, what="the definition prunes migrationJob")
    begin = world.plane.audit_position()
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    assert len(await mirrored(world, begin)) <= 1


async def tells(world: World, want: dict[str, Any]) -> bool:
    """Tell whether the Gateway's status says this of the migration."""
    status = (await world.get("Gateway", "ssg")).get("status", {})
    return bool(status.get("migrationStatus") == want)


async def mirrored(world: World, since: int) -> list[str]:
    """Give who wrote the status of the Gateway, by the audit log, once that tells of all until now."""
    marker = f"/api/v1/namespaces/{world.namespace}/configmaps/marker-{since}"

    async def told() -> list[dict[str, Any]] | None:
        assert not await world.admin.exists(marker)
        events = world.plane.audit_events(since)
        return events if any(event["requestURI"].startswith(marker) for event in events) else None

    events = await until(told, what="the audit log is up to date")
    assert events is not None
    return [
        event["user"]["username"]
        for event in events
        if event["verb"] in {"patch", "update"}
        and event["requestURI"].startswith(f"{world.path('Gateway', 'ssg')}/status")
    ]
