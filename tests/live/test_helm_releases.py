"""Releases of the real Helm, 3 and 4, under Reject and under Hold: what `docs/gitops.md` says of each command."""

from asyncio import wait_for
from pathlib import Path

import pytest

from tests.controlplane.client import until
from tests.live.helm import RELEASE, Helm
from tests.live.installation import Replica
from tests.live.test_cli import Done, Person
from tests.live.world import NEW, NEWER, OLD, Manifest, World, skips
from webhook.policy.names import HELD

pytestmark = [pytest.mark.timeout(300), pytest.mark.parametrize("program", ["helm", "helm4"])]
WAIT = ("--wait", "--timeout", "120s")
HELD_BACK = "rollout held (paused) until migration"


@pytest.fixture
def helm(world: World, controller: Replica, program: str, tmp_path: Path) -> Helm:
    return Helm(world, program, tmp_path)


async def installed(world: World, helm: Helm, mode: str) -> None:
    """Have the chart installed under a guard that was there before it."""
    await world.write_record(RELEASE, mode=mode)
    done = await helm.upgrade(OLD, *WAIT)
    assert done.code == 0, done
    adopted = await world.reaches("Complete", RELEASE, OLD)
    assert [item["evidence"] for item in adopted["completedHashes"]] == ["Adopted"]
    assert [skips(pod) for pod in await world.pods(RELEASE)] == [False], "the first pods migrate by themselves"


async def stands(world: World) -> tuple[str, bool]:
    """Give the image of the Deployment, and whether it is paused."""
    deployment = await world.get("Deployment", RELEASE)
    held = HELD in deployment["metadata"]["annotations"]
    assert held == deployment["spec"].get("paused", False)
    return image_of(deployment), held


async def free(world: World) -> bool:
    return not (await stands(world))[1]


def image_of(thing: Manifest) -> str:
    spec = thing["spec"]
    image: str = spec.get("template", thing)["spec"]["containers"][0]["image"]
    return image


async def heap(world: World) -> str:
    """Give what the release wrote last into its ConfigMap, which Helm writes before the Deployment."""
    found = await world.get("ConfigMap", f"{RELEASE}-configmap")
    return str(found["data"]["SSG_JVM_HEAP"])


def refused(done: Done) -> None:
    assert done.code == 1, done
    assert "has not run; start it: schemagate migrate my-gateway" in done.err


async def test_reject_fails_an_upgrade_until_its_migration_is_complete(
    world: World, helm: Helm, tmp_path: Path
) -> None:
    await installed(world, helm, "Reject")

    for flags in ((), WAIT):
        refused(await helm.upgrade(NEW, *flags))
        assert await stands(world) == (OLD, False)
        assert await heap(world) == "11.3.0", "what comes before the Deployment stays written"
    assert await helm.history() == ["deployed", "failed", "failed"]
    dry = await helm.upgrade(NEW, "--dry-run=server")
    assert dry.code == 0, "a dry run of Helm sends no Deployment"

    done = await helm.upgrade(NEW, helm.rollback_on_failure)
    refused(done)
    assert "has been rolled back due to" in done.err
    assert await helm.history() == ["superseded", "failed", "failed", "failed", "deployed"]
    assert (await stands(world), await heap(world)) == ((OLD, False), "11.2.5")
    # A release that never came through is no way back.
    refused(await helm.rollback(4))
    assert not await world.jobs()

    person = Person(world.plane.admin_kubeconfig, tmp_path)
    where = (RELEASE, "-n", world.namespace)
    assert (await person.runs("schemagate", "migrate", *where, "--image", NEW, "--wait")).code == 0
    done = await helm.upgrade(NEW, helm.rollback_on_failure, *WAIT)
    assert done.code == 0, done
    await world.settled(RELEASE)
    assert [(image_of(pod), skips(pod)) for pod in await world.pods(RELEASE)] == [(NEW, True)]

    done = await helm.rollback(1, *WAIT)
    assert done.code == 0, done
    assert "ahead of it" in done.err, "the schema does not go back"
    assert await stands(world) == (OLD, False)


async def test_hold_lets_every_upgrade_end_at_once_and_the_rollout_follow(
    world: World, helm: Helm, tmp_path: Path
) -> None:
    await installed(world, helm, "Hold")
    person = Person(world.plane.admin_kubeconfig, tmp_path)
    rollout = (str(world.plane.kubectl), "-n", world.namespace, "rollout", "status", f"deployment/{RELEASE}")
    for tag, flags in (("11.3.0", ()), ("11.4.0", WAIT), ("11.5.0", (helm.rollback_on_failure, *WAIT))):
        image = f"docker.io/caapim/gateway:{tag}-slow"
        done = await helm.upgrade(image, *flags)
        assert done.code == 0, done
        assert HELD_BACK in done.err
        # The Job's pod is still to be ended by us: no program has waited for it.
        assert await stands(world) == (image, True)
        await world.reaches("Running", RELEASE, image)
        async with person.starts(*rollout, "--timeout=60s") as waiting:
            assert waiting.stdout is not None
            assert b"Waiting for deployment" in await wait_for(waiting.stdout.readline(), 30)
            await world.finish()
            await wait_for(waiting.communicate(), 60)
        assert waiting.returncode == 0
        assert await stands(world) == (image, False)
        assert [(image_of(pod), skips(pod)) for pod in await world.pods(RELEASE)] == [(image, True)]
    assert await helm.history() == ["superseded"] * 3 + ["deployed"]

    done = await helm.rollback(1, *WAIT)
    assert done.code == 0, done
    assert "ahead of it" in done.err
    assert await stands(world) == (OLD, False)


async def test_hold_keeps_a_deployed_release_back_while_its_migration_fails(
    world: World, helm: Helm, tmp_path: Path
) -> None:
    await installed(world, helm, "Hold")
    done = await helm.upgrade(f"{NEW}-fail", helm.rollback_on_failure, *WAIT)
    assert done.code == 0, done
    await world.reaches("Failed", RELEASE, f"{NEW}-fail")
    assert await helm.history() == ["superseded", "deployed"], "Helm does not hear of it"
    assert await stands(world) == (f"{NEW}-fail", True)
    assert [image_of(pod) for pod in await world.pods(RELEASE)] == [OLD]
    person = Person(world.plane.admin_kubeconfig, tmp_path)
    kubectl = (str(world.plane.kubectl), "-n", world.namespace)
    told = await person.runs(*kubectl, "rollout", "status", f"deployment/{RELEASE}", "--timeout=1s")
    assert told.code == 1, told

    # Back at once, also while a later migration runs, and the Deployment is not left paused.
    done = await helm.upgrade(f"{NEWER}-slow")
    assert done.code == 0, done
    await world.reaches("Running", RELEASE, f"{NEWER}-slow")
    again = await helm.upgrade(f"{NEWER}-slow", "--set", "replicas=2")
    assert again.code == 0, again
    assert await stands(world) == (f"{NEWER}-slow", True), "another upgrade does not let it go"
    done = await helm.rollback(1)
    assert done.code == 0, done
    await until(lambda: free(world), what="the Deployment is held no more")
    await world.settled(RELEASE)
    await world.finish()
    await world.reaches("Complete", RELEASE, OLD)
    assert await stands(world) == (OLD, False)

    # A release that never came through is no way back.
    dry = await helm.upgrade(f"{NEW}-fail", "--dry-run=server")
    assert dry.code == 0, dry
    done = await helm.rollback(2)
    assert done.code == 0, done
    assert HELD_BACK in done.err
    assert await stands(world) == (f"{NEW}-fail", True)
