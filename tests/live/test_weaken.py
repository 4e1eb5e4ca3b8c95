"""Who may make the guard of a namespace weaker, judged inside the API server."""

import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.controlplane.client import ApiError, Client, until
from tests.live.installation import Installation, manifests, path_of
from tests.live.people import may, person
from tests.live.world import World
from webhook.policy.names import ENFORCE, GROUP

POLICY, BINDING = manifests("55-labels.yaml")
WEAKER: dict[str, tuple[str | None, str | None]] = {
    "reject to warn": ("reject", "warn"),
    "reject to audit": ("reject", "audit"),
    "reject to nothing": ("reject", None),
    "reject to an empty word": ("reject", ""),
    "hold to warn": ("hold", "warn"),
    "a word that nobody knows to audit": ("strict", "audit"),
    "in other letters": ("Reject", "WARN"),
    "warn to audit": ("warn", "audit"),
    "warn to nothing": ("warn", None),
    "audit to nothing": ("audit", None),
    "nothing, which leaves records to the default, to warn": (None, "warn"),
    "nothing, which leaves records to the default, to audit": (None, "audit"),
}
FREE: dict[str, tuple[str | None, str | None]] = {
    "reject to hold": ("reject", "hold"),
    "hold to reject": ("hold", "reject"),
    "hold to a word that nobody knows": ("hold", "strict"),
    "audit to warn": ("audit", "warn"),
    "audit to reject": ("audit", "reject"),
    "warn to hold": ("warn", "hold"),
    "nothing to reject": (None, "reject"),
    "the same in other letters": ("warn", "Warn"),
    "an empty word to nothing": ("", None),
}


@pytest.fixture
async def jane(world: World, installation: Installation) -> AsyncIterator[Client]:
    """Give somebody who may label the namespace and no more, once the policy is in force."""
    await may(world, "jane", "", "namespaces", "get", "patch")
    await may(world, "jane", "", "namespaces/status", "get", "patch")
    async with person(world, "jane") as client:
        await labelled(world, "reject")

        async def in_force() -> bool:
            told = [await refusal(client, world, part) for part in ("", "/status")]
            return all("weaken" in words for words in told)

        await until(in_force, what="the policy is in force, and the right to label is known")
        yield client


async def refusal(client: Client, world: World, part: str) -> str:
    """Give the words with which the label's removal is refused, in a dry run; empty when it is not."""
    try:
        await relabel(client, world, None, part, dryRun="All")
    except ApiError as error:
        return error.message
    return ""


async def labelled(world: World, value: str | None) -> None:
    """Have the namespace labelled, by an administrator."""
    await relabel(world.admin, world, value)


async def relabel(client: Client, world: World, value: str | None, part: str = "", **query: str) -> None:
    path = f"/api/v1/namespaces/{world.namespace}{part}"
    await client.patch(path, {"metadata": {"labels": {ENFORCE: value}}}, **query)


async def test_weaker_takes_the_verb(world: World, jane: Client) -> None:
    for before, after in WEAKER.values():
        await labelled(world, before)
        for part in ("", "/status"):
            with pytest.raises(ApiError) as caught:
                await relabel(jane, world, after, part)
            assert caught.value.status == 403
            assert f"from '{(before or '').lower()}' to '{(after or '').lower()}'" in caught.value.message
            assert "jane does not hold the verb weaken" in caught.value.message
            assert f"in namespace {world.namespace}" in caught.value.message

    await may(world, "jane", GROUP, "gatewaymigrations", "weaken")
    for before, after in WEAKER.values():
        await labelled(world, before)
        await until(functools.partial(changed, jane, world, after), what="the right is known")


async def changed(client: Client, world: World, value: str | None) -> bool:
    await relabel(client, world, value)
    return True


async def test_stronger_and_everything_else_is_free(world: World, jane: Client) -> None:
    for before, after in FREE.values():
        await labelled(world, before)
        await relabel(jane, world, after)
    await labelled(world, "hold")
    other: dict[str, Any] = {"metadata": {"labels": {"team": "a"}, "annotations": {"by": "jane"}}}
    await jane.patch(f"/api/v1/namespaces/{world.namespace}", other)


async def test_the_verb_counts_in_its_own_namespace_alone(world: World, jane: Client) -> None:
    elsewhere = World(world.admin, f"{world.namespace}-b", world.plane)
    await world.admin.post("/api/v1/namespaces", {"metadata": {"name": elsewhere.namespace}})
    await may(elsewhere, "jane", GROUP, "gatewaymigrations", "weaken")
    await labelled(world, "hold")
    with pytest.raises(ApiError, match="does not hold the verb weaken"):
        await relabel(jane, world, "warn")


async def test_a_new_namespace_may_begin_with_any_label(world: World, jane: Client) -> None:
    made = {"metadata": {"name": f"{world.namespace}-c", "labels": {ENFORCE: "audit"}}}
    await world.admin.post("/api/v1/namespaces", made, dryRun="All")
    (rule,) = POLICY["spec"]["matchConstraints"]["resourceRules"]
    assert rule["operations"] == ["UPDATE"]


async def test_the_api_server_finds_no_fault_with_the_types(world: World, installation: Installation) -> None:
    async def checked() -> dict[str, Any] | None:
        found = await world.admin.get(path_of(POLICY))
        status: dict[str, Any] = found.get("status", {})
        return status if status.get("observedGeneration") == found["metadata"]["generation"] else None

    status = await until(checked, what="its types are checked")
    assert status is not None
    assert not status["typeChecking"].get("expressionWarnings")
    assert BINDING["spec"]["validationActions"] == ["Deny"]
