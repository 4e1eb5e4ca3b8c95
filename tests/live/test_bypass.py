"""Break-glass: six ways that are refused, each with its own word, and the one that is not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.controlplane.client import STRATEGIC, ApiError, Client, until
from tests.live.installation import Replica
from tests.live.people import may, person
from tests.live.tenant import tenant
from tests.live.world import NEW, OLD, World, skips
from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL, GROUP

VALIDATING = "deployments.validate.schemagate.io"
OTHER = {
    "no reason": ({BYPASS_REASON: ""}, "NoReason", "bypass-reason is empty"),
    "another hash": ({BYPASS_HASH: "0" * 16}, "OtherHash", "bypass-hash must be"),
    "expired": ({BYPASS_UNTIL: "2026-01-01T00:00:00Z"}, "Expired", "bypass-until has passed"),
    "too far ahead": ({BYPASS_UNTIL: "2999-01-01T00:00:00Z"}, "TooFarAhead", "is more than 24 h ahead"),
}


def notes(spec_hash: str) -> dict[str, str]:
    """Give annotations with which a person who may gets through."""
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
    return {BYPASS_REASON: "customers wait", BYPASS_UNTIL: soon, BYPASS_HASH: spec_hash}


async def attempt(world: World, client: Client, annotations: dict[str, str], **query: str) -> dict[str, Any]:
    """Change the image with annotations beside it."""
    template = {"spec": {"containers": [{"name": "gateway", "image": NEW}]}}
    body = {"metadata": {"annotations": annotations}, "spec": {"template": template}}
    return await client.patch(world.path("Deployment", "ssg"), body, STRATEGIC, **query)


async def refused(world: World, client: Client, annotations: dict[str, str], word: str, words: str) -> None:
    """See one refused, with its word in the denial and in the audit log of the API server."""
    since = world.plane.audit_position()
    with pytest.raises(ApiError) as caught:
        await attempt(world, client, annotations)
    assert caught.value.status == 403
    assert words in caught.value.message.partition("; bypass not honoured: ")[2], caught.value.message
    await audited(world, since, f"refused-{word}")


async def audited(world: World, since: int, said: str) -> None:
    async def there() -> bool:
        return any(
            event.get("annotations", {}).get(f"{VALIDATING}/bypass") == said
            for event in world.plane.audit_events(since)
            if event.get("objectRef", {}).get("namespace") == world.namespace
        )

    await until(there, what=f"the audit log says {said}")


@pytest.fixture
async def wanted(world: World, controller: Replica) -> str:
    """Have a Gateway run that a record guards; gives the hash of the next image, which is not migrated."""
    await world.operator_gateway()
    await world.write_record("ssg")
    await world.reaches("Complete", image=OLD)
    await world.shut()
    told = await world.denial("ssg", NEW)
    return told.partition("migration ")[2].split()[0]


@pytest.fixture
async def jane(world: World) -> AsyncIterator[Client]:
    """Give somebody who may edit workloads, and not break glass."""
    async with person(world, "jane") as client:
        yield client


async def test_each_wrong_way_is_refused_with_its_own_word(world: World, wanted: str, jane: Client) -> None:
    good = notes(wanted)
    await refused(world, jane, good, "NotAuthorized", "does not hold the verb bypass")
    await may(world, "jane", GROUP, "gatewaymigrations", "bypass")
    for tweak, word, words in OTHER.values():
        await refused(world, jane, good | tweak, word, words)
    with pytest.raises(ApiError, match="a dry run leaves no record of it"):
        await attempt(world, jane, good, dryRun="All")
    async with tenant(world) as account:
        name = f"system:serviceaccount:{world.namespace}:tenant"
        await may(world, name, GROUP, "gatewaymigrations", "bypass")
        await refused(world, account, good, "ServiceAccount", "the user is a service account")
    assert (await world.get("Deployment", "ssg"))["spec"]["template"]["spec"]["containers"][0]["image"] == OLD


async def test_with_all_right_it_passes_and_pods_keep_their_own_mode(
    world: World, wanted: str, jane: Client
) -> None:
    await may(world, "jane", GROUP, "gatewaymigrations", "bypass")
    since = world.plane.audit_position()

    async def passes() -> bool:
        await attempt(world, jane, notes(wanted))
        return True

    await until(passes, what="the right is known")
    assert any(f"gate bypassed for {wanted}: customers wait" in warning for warning in jane.warnings)
    await audited(world, since, "honoured")
    await world.settled()
    pods = await world.pods()
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {NEW}
    assert not any(skips(pod) for pod in pods)
    # What the annotations name is one hash: the next image is turned away.
    await world.denial("ssg", f"{NEW}-later")

    await world.wants(NEW)
    complete = await world.reaches("Complete", image=NEW)
    done = complete["completedHashes"][0]
    assert (done["hash"][:16], done["evidence"]) == (wanted, "Adopted")
    assert await world.jobs() == []
