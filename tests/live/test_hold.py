"""Hold: a rollout that has to wait is stored, paused, and goes on by itself."""

import copy
import logging
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.controlplane.client import until
from tests.live.aftermath import CONTROLLER
from tests.live.installation import Replica
from tests.live.world import NEW, NEWER, OLD, Manifest, World, skips
from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL, ENFORCE, HELD

IMAGE = f"{NEW}-slow"


async def test_a_held_rollout_goes_on_when_its_migration_is_complete(world: World, controller: Replica) -> None:
    await world.operator_gateway()
    await world.write_record("ssg", mode="Hold")
    await world.reaches("Complete", image=OLD)

    await world.would_hold()
    await world.wants(IMAGE)  # what its operator then writes
    held = await world.set_image("ssg", IMAGE)
    assert any("held" in warning for warning in world.admin.warnings)
    assert held["spec"]["paused"]
    running = await world.reaches("Running", image=IMAGE)
    assert held["metadata"]["annotations"][HELD] == running["shortHash"]

    await world.patch("Deployment", "ssg", {"spec": {"replicas": 4}})

    async def scaled() -> bool:
        return [pod["status"].get("phase") for pod in await world.pods()] == ["Running"] * 4

    await until(scaled, what="a held Deployment is scaled")
    assert {pod["spec"]["containers"][0]["image"] for pod in await world.pods()} == {OLD}

    await world.finish()
    await world.reaches("Complete", image=IMAGE)
    free = await until(lambda: resumed(world), what="the Deployment goes on")
    assert free is not None
    assert HELD not in free["metadata"]["annotations"]
    await world.settled()
    pods = await world.pods()
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {IMAGE}
    assert [skips(pod) for pod in pods] == [True] * 4
    assert len(await world.jobs()) == 1


async def test_what_a_user_paused_stays_paused(world: World, controller: Replica) -> None:
    await world.operator_gateway()
    await world.write_record("ssg", mode="Hold")
    await world.reaches("Complete", image=OLD)
    await world.patch("Deployment", "ssg", {"spec": {"paused": True}})
    await world.wants(NEW)
    await world.set_image("ssg", NEW)
    await world.reaches("Complete", image=NEW)
    # What comes later is seen later.
    await world.wants(NEWER)
    await world.reaches("Complete", image=NEWER)
    assert (await world.get("Deployment", "ssg"))["spec"]["paused"]


async def test_what_is_written_back_from_a_dump_of_a_held_one_goes_on(world: World, controller: Replica) -> None:
    """As a restore does, or ``kubectl replace``: pause and mark come together, and nothing has to wait."""
    dumped = await held(world)
    await world.finish()
    await until(lambda: resumed(world), what="the Deployment goes on")
    await world.settled()
    for key in ("resourceVersion", "generation", "managedFields"):
        dumped["metadata"].pop(key, None)
    back = await world.admin.put(world.path("Deployment", "ssg"), dumped)
    assert (back["spec"]["paused"], HELD in back["metadata"]["annotations"]) == (True, True)
    free = await until(lambda: resumed(world), what="it goes on again")
    assert free is not None
    assert HELD not in free["metadata"]["annotations"]


async def held(world: World, name: str = "ssg") -> Manifest:
    """Have a Gateway run under Hold, and its next image held while its Job runs; gives the Deployment."""
    await world.operator_gateway()
    await world.write_record(name, mode="Hold")
    await world.reaches("Complete", image=OLD)
    await world.would_hold()
    await world.set_image(name, IMAGE)
    await world.reaches("Running", image=IMAGE)
    found = await until(lambda: noted(world), what="the Deployment controller has seen the pause")
    assert found is not None
    return found


def version(deployment: Manifest) -> tuple[int, str]:
    return deployment["metadata"]["generation"], deployment["metadata"]["resourceVersion"]


async def test_the_operators_patches_change_nothing_until_the_release(world: World, controller: Replica) -> None:
    """Each of its reconciliations writes the whole spec, with a null for the pause that it does not know of."""
    await world.operator_gateway()
    await world.write_record("ssg", mode="Hold")
    await world.reaches("Complete", image=OLD)
    wanted = copy.deepcopy((await world.get("Deployment", "ssg"))["spec"])
    wanted["template"]["spec"]["containers"][0]["image"] = IMAGE
    patch = {"spec": {**wanted, "paused": None}}

    since = world.plane.audit_position()
    await world.would_hold()
    await world.wants(IMAGE)
    await world.patch("Deployment", "ssg", patch)
    first = await until(lambda: noted(world), what="the Deployment controller has seen the pause")
    assert first is not None
    for _ in range(8):
        again = await world.patch("Deployment", "ssg", patch)
        assert version(again) == version(first)
        assert any("rollout held (paused) until migration" in warning for warning in world.admin.warnings)

    # What the operator does after that reaches its objects.
    poke = await world.patch("Deployment", "ssg", {"metadata": {"annotations": {"ssg-poke": "1"}}})
    await world.patch("ConfigMap", "ssg", {"metadata": {"annotations": {"ssg-poke": "1"}}})
    poked = await world.patch("Deployment", "ssg", patch)
    assert poked["spec"]["paused"]
    assert poked["metadata"]["generation"] == poke["metadata"]["generation"]

    await world.reaches("Running", image=IMAGE)
    await world.finish()
    free = await until(lambda: resumed(world), what="the Deployment goes on")
    assert free is not None
    took = await until(lambda: order_of_release(world, since), what="the audit log tells of it")
    assert took is not None
    logging.getLogger(__name__).info("released %.3f s after its Job was complete", took.total_seconds())
    assert timedelta() < took

    after = await world.patch("Deployment", "ssg", patch)
    assert after["metadata"]["generation"] == free["metadata"]["generation"]
    await world.settled()
    assert len(await world.jobs()) == 1


async def noted(world: World) -> Manifest | None:
    """Give the Deployment once its controller has written all that it has to say of the pause."""
    found = await world.get("Deployment", "ssg")
    status = found["status"]
    said = {item["reason"] for item in status.get("conditions", ())}
    seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return found if seen and found["spec"].get("paused") and "DeploymentPaused" in said else None


async def order_of_release(world: World, since: int) -> timedelta | None:
    """See in the audit log that Job, record and Deployment followed each other; gives the time that took."""
    written: dict[str, datetime] = {}
    for event in world.plane.audit_events(since):
        at = event.get("objectRef", {})
        body: Any = event.get("requestObject") or {}
        if at.get("namespace") != world.namespace or event["responseStatus"].get("code", 500) >= 400:
            continue
        done = body.get("status", {}) if isinstance(body, dict) else {}
        what = ""
        if (at["resource"], at.get("subresource")) == ("jobs", "status"):
            what = "Job" if any(item["type"] == "Complete" for item in done.get("conditions", ())) else ""
        elif event["user"]["username"] == CONTROLLER and at["resource"] == "gatewaymigrations":
            what = "record" if done.get("complete") and done.get("image") == IMAGE else ""
        elif event["user"]["username"] == CONTROLLER and at["resource"] == "deployments":
            what = "Deployment" if "paused" in body.get("spec", {}) else ""
        if what:
            written.setdefault(what, datetime.fromisoformat(event["requestReceivedTimestamp"]))
    if len(written) < 3:
        return None  # a line appears a moment after its answer
    assert sorted(written, key=lambda what: written[what]) == ["Job", "record", "Deployment"]
    return written["Deployment"] - written["Job"]


async def test_a_held_deployment_is_resized_by_its_scale_and_annotated(world: World, controller: Replica) -> None:
    before = await held(world)
    scale = await world.admin.get(world.path("Deployment", "ssg/scale"))
    await world.admin.put(world.path("Deployment", "ssg/scale"), {**scale, "spec": {"replicas": 5}})
    await world.patch("Deployment", "ssg", {"metadata": {"annotations": {"by": "somebody"}}})
    after = await world.get("Deployment", "ssg")
    assert (after["spec"]["replicas"], after["spec"]["paused"]) == (5, True)
    assert after["metadata"]["annotations"][HELD] == before["metadata"]["annotations"][HELD]
    await world.finish()
    await until(lambda: resumed(world), what="the Deployment goes on")


async def test_who_resumes_it_too_early_is_warned_and_finds_it_paused(world: World, controller: Replica) -> None:
    before = await held(world)
    # As `kubectl rollout resume` does, and then with our mark taken off as well.
    for notes in ({}, {HELD: None}):
        after = await world.patch(
            "Deployment", "ssg", {"spec": {"paused": None}, "metadata": {"annotations": notes}}
        )
        assert version(after) == version(before)
        assert any("schemagate status ssg" in warning for warning in world.admin.warnings)
    assert not await new_pods(world)
    await world.finish()
    await until(lambda: resumed(world), what="the Deployment goes on")


async def new_pods(world: World) -> list[Manifest]:
    return [pod for pod in await world.pods() if pod["spec"]["containers"][0]["image"] == IMAGE]


async def test_a_first_install_under_hold_starts_no_pod_before_its_schema(
    world: World, controller: Replica
) -> None:
    config_map, deployment = world.recorded("helm-gateway")
    name = deployment["metadata"]["name"]
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = IMAGE
    await world.create({"kind": "ServiceAccount", "metadata": {"name": name}})
    await world.create(config_map)
    await world.write_record(name, mode="Hold", firstInstall="Migrate")

    async def known() -> bool:
        made = await world.admin.post(world.path("Deployment"), deployment, dryRun="All")
        return bool(made["spec"].get("paused"))

    await until(known, what="the webhook knows")
    await world.create(deployment)
    await world.reaches("Running", name, IMAGE)
    assert not await world.pods(name)
    assert not await world.admin.items(f"/apis/apps/v1/namespaces/{world.namespace}/replicasets")
    await world.finish()
    await world.settled(name)
    assert all(skips(pod) for pod in await world.pods(name))


LETTING_GO: dict[str, tuple[str, str, Manifest | None]] = {
    "a record that is disabled": ("GatewayMigration", "ssg", {"spec": {"enabled": False}}),
    "a record that is deleted": ("GatewayMigration", "ssg", None),
}


@pytest.mark.parametrize(("kind", "name", "patch"), LETTING_GO.values(), ids=LETTING_GO.keys())
async def test_without_a_record_nothing_stays_held(
    world: World, controller: Replica, kind: str, name: str, patch: Manifest | None
) -> None:
    await held(world)
    if patch is None:
        await world.admin.delete(world.path(kind, name))
    else:
        await world.patch(kind, name, patch)
    free = await until(lambda: resumed(world), what="the Deployment goes on")
    assert free is not None
    assert HELD not in free["metadata"]["annotations"]
    await world.settled()
    assert not any(skips(pod) for pod in await world.pods())


async def test_a_label_that_is_taken_off_leaves_nothing_held(world: World, controller: Replica) -> None:
    await world.operator_gateway()
    await label(world, "hold")
    await world.reaches("Complete", image=OLD)
    failing = f"{NEW}-fail"
    await world.would_hold()
    await world.set_image("ssg", failing)
    await world.reaches("Failed", image=failing)
    assert (await world.get("Deployment", "ssg"))["spec"]["paused"]
    await label(world, None)
    await until(lambda: resumed(world), what="the Deployment goes on")

    async def gone() -> bool:
        return not await world.admin.exists(world.path("GatewayMigration", "ssg"))

    await until(gone, what="the managed record is gone")


async def label(world: World, mode: str | None) -> None:
    labels = {"metadata": {"labels": {ENFORCE: mode}}}
    await world.admin.patch(f"/api/v1/namespaces/{world.namespace}", labels)


async def test_a_person_may_break_the_glass_of_what_is_held(world: World, controller: Replica) -> None:
    marked = await held(world)
    await world.wants(IMAGE)
    until_then = datetime.now().astimezone() + timedelta(hours=1)
    notes = {
        BYPASS_REASON: "customers wait",
        BYPASS_UNTIL: until_then.isoformat(timespec="seconds"),
        BYPASS_HASH: marked["metadata"]["annotations"][HELD],
    }
    await world.patch("Deployment", "ssg", {"metadata": {"annotations": notes}})

    async def freed() -> Manifest | None:
        made = await world.patch("Deployment", "ssg", {"spec": {"paused": None}})
        return made if any("gate bypassed" in warning for warning in world.admin.warnings) else None

    # Who may is asked of the authorizer, which has two seconds; who is not told in time may not.
    free = await until(freed, what="the glass is broken")
    assert free is not None
    assert not free["spec"].get("paused")
    assert HELD not in free["metadata"]["annotations"], "what is paused later is not ours to resume"
    await world.settled()
    assert not any(skips(pod) for pod in await world.pods()), "they migrate by themselves"
    await world.finish()
    await world.reaches("Complete", image=IMAGE)


async def resumed(world: World) -> Manifest | None:
    """Give the Deployment once it is paused no more."""
    found = await world.get("Deployment", "ssg")
    return None if found["spec"].get("paused") else found
