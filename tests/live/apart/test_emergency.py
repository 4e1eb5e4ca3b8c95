"""The emergency page: what fails while all webhooks are dead, and its commands as they stand there."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controlplane.client import ApiError, until
from tests.controlplane.cluster import ControlPlane
from tests.live.faults import tell
from tests.live.fence import deployment
from tests.live.installation import MANIFESTS, path_of
from tests.live.pages import Page, Reader
from tests.live.standing import Standing
from tests.live.test_quickstart import plain_gateway
from tests.live.world import NEW, NEWER, OLD, Manifest, World, skips
from webhook.policy.names import CLEAR_LOCKS, ENFORCE, HELD, MIGRATION_JOB, MODE_LIQUIBASE_ONLY_WITH_UNLOCK

pytestmark = pytest.mark.timeout(300)
PAGE = Page("emergency.md")
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/schemagate"
BREAK_GLASS = "Let one rollout through"
STUCK = "The lock of the migrations is stuck"
LOCK = "validatingadmissionpolicybinding.admissionregistration.k8s.io/deployments.lock.schemagate.io"
SECONDS = 60
SLOW = f"{NEW}-slow"


@pytest.fixture
async def here(site: Standing) -> World:
    """Give a namespace with a Gateway that runs and is guarded by a record of its user's."""
    world = await site.world()
    await world.operator_gateway()
    await world.write_record("ssg")
    await world.reaches("Complete", image=OLD)
    await world.shut()
    return world


@pytest.fixture
def reader(plane: ControlPlane, here: World, tmp_path: Path) -> Reader:
    settings = {
        "NAMESPACE": here.namespace,
        "NAME": "ssg",
        "CONTAINER": "gateway",
        "IMAGE": NEW,
        "HASH": "",
        "REASON": "the person on call said so",
    }
    (tmp_path / "manifests").symlink_to(MANIFESTS.parent)
    return Reader(PAGE, plane, tmp_path, settings)


async def paused(world: World) -> Manifest:
    """Put the Gateway into Hold, and have a rollout held."""
    await world.patch("GatewayMigration", "ssg", {"spec": {"mode": "Hold"}})

    async def held() -> Manifest | None:
        found = await world.set_image("ssg", SLOW)
        return found if found["spec"].get("paused") else None

    found = await until(held, what="the webhooks know the mode")
    assert found is not None
    return found


def test_the_page_uses_the_variables_that_it_sets() -> None:
    assert PAGE.used() == PAGE.variables


async def test_while_all_webhooks_are_dead_only_what_may_start_other_pods_of_a_gateway_fails(
    site: Standing, here: World
) -> None:
    ungoverned = await site.world()
    await ungoverned.operator_gateway()
    plain = deployment("plain")
    await here.create(plain)
    await site.end(site.webhook)

    for world in (here, ungoverned):  # the API server cannot know who is guarded
        for patch in (
            {"spec": {"paused": True}},
            {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}},
        ):
            await unanswered(world.patch("Deployment", "ssg", patch))
        await unanswered(world.set_image("ssg", NEW))
    other = await here.get("Deployment", "ssg")
    made: Manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": other["spec"]}
    await unanswered(here.create({**made, "metadata": {"name": "another"}}))

    admin, path = here.admin, here.path("Deployment", "ssg")
    await admin.patch(f"{path}/scale", {"spec": {"replicas": 3}})  # as an autoscaler does
    await here.settled()
    await here.patch("Deployment", "ssg", {"spec": {"replicas": 2}, "metadata": {"annotations": {"a": "b"}}})
    await here.settled()
    before = {pod["metadata"]["uid"] for pod in await here.pods()}
    for pod in await here.pods():
        await admin.delete(here.path("Pod", pod["metadata"]["name"]))

    async def replaced() -> bool:
        uids = {pod["metadata"]["uid"] for pod in await here.pods()}
        return len(uids) == 2 and not uids & before

    await until(replaced, what="pods are replaced")
    await here.settled()
    assert not any(skips(pod) for pod in await here.pods()), "they look at the schema by themselves"

    await here.set_image("plain", "registry.example.com/main:2", container="main")
    await here.create(deployment("fresh"))
    await admin.delete(here.path("Deployment", "plain"))
    await admin.delete(path)

    async def gone() -> bool:
        return not await admin.exists(path)

    await until(gone, what="the Gateway is deleted")


async def unanswered(asked: Any) -> None:
    """Check that a request fails because no webhook answers."""
    with pytest.raises(ApiError) as caught:
        await asked
    assert caught.value.status == 500, caught.value
    assert 'failed calling webhook "deployments.validate.schemagate.io"' in caught.value.message


async def test_the_gate_is_opened_for_all_and_closed_again(site: Standing, here: World, reader: Reader) -> None:
    await paused(here)
    other = await site.world()
    await other.operator_gateway()
    await other.write_record("ssg")
    await other.reaches("Complete", image=OLD)
    await other.shut()
    await site.end(site.webhook, site.controller)
    told = await reader.done("What is wrong")
    assert f"{here.namespace}/ssg: would disable its record and resume it" in told
    await unanswered(other.set_image("ssg", NEW))

    began = time.monotonic()
    assert f"{here.namespace}/ssg: released\n" in await reader.done("Open the gate for all")
    await until(lambda: other.set_image("ssg", NEW), SECONDS, "the gate is open")
    tell(f"the gate was open {time.monotonic() - began:.1f} s after the first of the commands")
    await here.settled()
    await other.settled()
    free = await here.get("Deployment", "ssg")
    assert HELD not in free["metadata"]["annotations"]
    assert (await here.record())["spec"].get("enabled", True), "with no webhook left its record is no obstacle"

    await site.serve()
    await site.control()
    await here.wants(SLOW)
    await here.finish()  # the Job that nobody looked after meanwhile
    await here.reaches("Complete", image=SLOW)
    assert "created" in await reader.done("Close the gate again")
    for world in (here, other):
        await world.patch("GatewayMigration", "ssg", {"spec": {"mode": "Reject"}})

        async def shut(world: World = world) -> bool:
            try:
                await world.set_image("ssg", NEWER, dryRun="All")
            except ApiError as error:
                return "is blocked" in error.message
            return False

        await until(shut, SECONDS, "the gate is closed")

    try:
        assert f"{LOCK} created" in await reader.done("Close the gate again", 1)
    finally:  # the other tests here do without the second lock
        for file in sorted((MANIFESTS.parent / "second-lock").glob("[0-9]*.yaml")):
            for document in yaml.safe_load_all(file.read_text()):
                await site.admin.delete(path_of(document))


async def test_one_rollout_is_let_through(here: World, reader: Reader) -> None:
    said = await here.denial("ssg", NEW)
    await reader.done(BREAK_GLASS, HASH="0" * 16)
    refused = await reader.runs(BREAK_GLASS, 1)
    assert refused.code != 0
    (asked,) = re.findall(r"bypass-hash must be ([0-9a-f]{16})", refused.out)
    assert asked in said, "the denial names the hash"
    await reader.done(BREAK_GLASS, HASH=asked)
    await reader.done(BREAK_GLASS, 1)
    await unmigrated(here, NEW)


async def test_one_rollout_that_is_held_is_let_through(here: World, reader: Reader) -> None:
    mark = (await paused(here))["metadata"]["annotations"][HELD]
    await reader.done(BREAK_GLASS, HASH=mark)
    found = await here.get("Deployment", "ssg")
    assert found["spec"]["paused"], "the annotations alone change nothing that is judged"
    await reader.done(BREAK_GLASS, 2)
    await unmigrated(here, SLOW)
    found = await here.get("Deployment", "ssg")
    assert HELD not in found["metadata"]["annotations"]
    assert (await here.record())["spec"].get("enabled", True), "it stays guarded"


async def unmigrated(world: World, image: str) -> None:
    """Check that pods of this image run, and migrate by themselves since nobody did."""
    await world.settled()
    pods = await world.pods()
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {image}
    assert not any(skips(pod) for pod in pods)


async def test_one_gateway_is_let_go(here: World, reader: Reader) -> None:
    await paused(here)
    await here.reaches("Running", image=SLOW)
    told = await reader.done("Let one Gateway go")
    assert "still migrates, and new pods wait for its lock" in told
    assert f"{here.namespace}/ssg: released" in told
    await here.settled()
    await here.set_image("ssg", NEWER)
    await here.settled()
    await here.wants(NEWER)
    await here.finish()
    await reader.done("Close the gate again", 2)
    await here.patch("GatewayMigration", "ssg", {"spec": {"mode": "Reject"}})
    await here.reaches("Complete", image=NEWER)


async def test_a_stuck_lock_is_cleared(here: World, reader: Reader) -> None:
    await stuck(here)
    await reader.done(STUCK)
    await cleared(here)
    await here.set_image("ssg", SLOW)


async def test_a_stuck_lock_is_cleared_where_a_namespace_asks(site: Standing, reader: Reader) -> None:
    world = await site.world()
    await plain_gateway(world)
    namespace = f"/api/v1/namespaces/{world.namespace}"
    await world.admin.patch(namespace, {"metadata": {"labels": {ENFORCE: "reject"}}})
    await until(lambda: world.admin.exists(world.path("GatewayMigration", "ssg")), what="the record")
    await world.reaches("Complete", image=OLD)
    first = await stuck(world)
    await reader.done(STUCK, 1, NAMESPACE=world.namespace)
    await cleared(world)
    await reader.done(STUCK, 2, NAMESPACE=world.namespace)
    await world.reaches("Failed", image=SLOW)
    await reader.done(STUCK, 3, NAMESPACE=world.namespace)
    notes = (await world.get("Deployment", "ssg"))["metadata"].get("annotations", {})
    assert not notes.keys() & {MIGRATION_JOB, CLEAR_LOCKS}
    status = (await world.record())["status"]
    assert status["specHash"] == first["specHash"], "it is still guarded, and as before"


async def stuck(world: World) -> Manifest:
    """Have a migration fail for the lock that another left behind; gives its status."""
    await world.patch("GatewayMigration", "ssg", {"spec": {"image": SLOW, "podAttempts": 1}})
    await world.reaches("Running", image=SLOW)
    world.plane.write_log("Waiting for changelog lock....\nCould not acquire change log lock.\n")
    try:
        await world.finish(1)
        failed = await world.reaches("Failed", seconds=60)
    finally:
        world.plane.write_log("")
    assert failed["failure"]["class"] == "LockHeld"
    return failed


async def cleared(world: World) -> None:
    """Check that the next attempt takes the lock by force, and have it succeed."""
    await world.reaches("Running", image=SLOW)
    newest = (await world.jobs())[-1]
    environment = newest["spec"]["template"]["spec"]["containers"][0]["env"]
    assert any(MODE_LIQUIBASE_ONLY_WITH_UNLOCK in (entry.get("value") or "") for entry in environment)
    await world.finish()
    await world.reaches("Complete", image=SLOW)


async def test_without_a_controller_the_gate_stays_as_it_is_until_it_is_back(
    site: Standing, here: World, reader: Reader
) -> None:
    await site.end(site.controller)
    await here.patch("GatewayMigration", "ssg", {"spec": {"image": NEW}})
    await here.denial("ssg", NEW)
    await here.patch("Deployment", "ssg", {"spec": {"replicas": 3}})
    await here.settled()

    # There are no images to run here: the Deployment stands for what the page restarts.
    runs = deployment("schemagate-controller")
    path = "/apis/apps/v1/namespaces/schemagate/deployments"
    await site.admin.post(path, runs)
    await reader.done("The controller is down")
    restarted = await site.admin.get(f"{path}/schemagate-controller")
    assert "kubectl.kubernetes.io/restartedAt" in restarted["spec"]["template"]["metadata"]["annotations"]
    await site.admin.delete(f"{path}/schemagate-controller")

    await site.control()
    await here.reaches("Complete", image=NEW)
    await here.set_image("ssg", NEW)
