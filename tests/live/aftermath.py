"""What live tests of failures and forgeries look at: what a record says, what was asked of the API server."""

from typing import Any

from tests.controlplane.client import until
from tests.live.world import OLD, Manifest, World, condition

CONTROLLER = "system:serviceaccount:schemagate:schemagate-controller"
_WATCHED = 60


async def guarded(world: World, **spec: Any) -> None:
    """Have a Gateway run that a user's record guards, its first image adopted."""
    await world.operator_gateway()
    await world.write_record("ssg", **{"podAttempts": 1, **spec})
    await world.reaches("Complete", image=OLD)
    if spec.get("mode", "Reject") == "Reject":
        await world.shut()


async def running(world: World, image: str, **spec: Any) -> Manifest:
    """Have a guarded Gateway whose migration for an image runs; gives the status."""
    await guarded(world, **spec)
    await world.wants(image)
    return await world.reaches("Running", image=image)


async def overdue(world: World, job: str) -> None:
    """Have a Job run into its deadline now."""
    await world.patch("Job", job, {"spec": {"activeDeadlineSeconds": 1}})


async def says(world: World, kind: str, reason: str, *words: str, seconds: float = _WATCHED) -> str:
    """Wait until a condition has this reason and its message these words; gives the message."""

    async def there() -> str:
        found = condition((await world.record())["status"], kind)
        message = str(found["message"])
        return message if found["reason"] == reason and all(word in message for word in words) else ""

    return await until(there, seconds, f"condition {kind} is {reason} {words}")


async def told(world: World, reason: str, kind: str = "GatewayMigration") -> str:
    """Wait for an Event of this reason about an object of this kind; gives its note."""

    async def there() -> str:
        events = await world.events(reason)
        return next((str(event["note"]) for event in events if event["regarding"]["kind"] == kind), "")

    return await until(there, what=f"Event {reason} of a {kind}")


async def looked_again(world: World) -> Manifest:
    """Have the controller look once more at what is there now, and give the record's status after that.

    A change of the spec that no hash depends on is what it has to take note of.
    """
    level = (await world.record())["spec"].get("liquibaseLogLevel")
    changed = {"spec": {"liquibaseLogLevel": "fine" if level != "fine" else "info"}}
    generation = (await world.patch("GatewayMigration", "ssg", changed))["metadata"]["generation"]

    async def noted() -> Manifest | None:
        status: Manifest = (await world.record())["status"]
        return status if status["observedGeneration"] == generation else None

    found = await until(noted, what=f"generation {generation} is observed")
    assert found is not None
    return found


async def stays_shut(world: World, image: str) -> str:
    """See that the gate is shut for an image after yet another look; gives the words of the denial."""
    status = await looked_again(world)
    assert not status.get("complete")
    assert image not in {done["image"] for done in status["completedHashes"]}
    return await world.denial("ssg", image)


def calls(world: World, since: int, user: str = CONTROLLER) -> list[dict[str, Any]]:
    """Give what somebody asked of the API server about the test's namespace, watches left out."""
    return [
        event
        for event in world.plane.audit_events(since)
        if event["user"]["username"] == user
        and event["verb"] != "watch"
        and event.get("objectRef", {}).get("namespace") == world.namespace
    ]


def created_jobs(world: World, since: int, user: str = CONTROLLER) -> list[str]:
    """Name the Jobs that somebody created in the test's namespace."""
    return [
        event["objectRef"].get("name") or event["requestObject"]["metadata"]["name"]
        for event in calls(world, since, user)
        if (event["verb"], event["objectRef"]["resource"]) == ("create", "jobs")
        and event["responseStatus"]["code"] == 201
    ]
