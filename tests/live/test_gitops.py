"""The page about Helm, GitOps and CI: its commands as they stand there, its files on what an API server gives."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.controlplane.client import until
from tests.controlplane.cluster import ControlPlane
from tests.live.health import KEY, RECIPES, argocd, flux, kstatus, lua
from tests.live.helm import CHART, RELEASE, Helm
from tests.live.installation import Replica
from tests.live.pages import Page, Reader
from tests.live.test_cli import Person
from tests.live.world import NEW, NEWER, OLD, Manifest, World, skips

pytestmark = pytest.mark.timeout(300)
PAGE = Page("gitops.md")
UNDER_WAY = ("Progressing", "InProgress", "InProgress")
DONE = ("Healthy", "Current", "Current")


@pytest.fixture
def reader(world: World, controller: Replica, control_plane: ControlPlane, tmp_path: Path) -> Reader:
    settings = {"NAMESPACE": world.namespace, "NAME": RELEASE, "IMAGE": NEW, "CHART": str(CHART)}
    return Reader(PAGE, control_plane, tmp_path, settings)


async def guarded(world: World, folder: Path, mode: str, program: str = "helm") -> None:
    """Have the chart's Gateway run under a record; the reader's `helm` is this program from now on."""
    await world.write_record(RELEASE, mode=mode)
    assert (await Helm(world, program, folder).upgrade(OLD, "--wait")).code == 0
    await world.reaches("Complete", RELEASE, OLD)
    (folder / "programs" / "helm").symlink_to(binaries.paths()[program])


async def runs(world: World, image: str) -> None:
    """Check that the Gateway runs an image, in pods that skip."""
    await world.settled(RELEASE)
    pods = await world.pods(RELEASE)
    assert [(pod["spec"]["containers"][0]["image"], skips(pod)) for pod in pods] == [(image, True)]


def health(record: Manifest, folder: Path) -> tuple[str, ...]:
    """Give the words of Argo CD, Flux and kstatus about a record."""
    judged = argocd([record], folder), flux([record]), kstatus([record])
    return tuple(verdict["status"] for (verdict,) in judged)


def test_what_the_reader_sets_is_what_the_commands_use() -> None:
    assert PAGE.used() <= PAGE.variables
    assert {name for name, blocks in PAGE.blocks.items() if blocks} == {"kubectl", "Helm", "CI"}


async def test_kubectl(world: World, reader: Reader, tmp_path: Path) -> None:
    await guarded(world, tmp_path, "Reject")
    await reader.done("kubectl")
    await runs(world, NEW)
    assert "Complete" in await reader.done("kubectl", 1)

    await world.patch("GatewayMigration", RELEASE, {"spec": {"mode": "Hold", "image": None}})
    await until(lambda: world.set_image(RELEASE, f"{NEWER}-slow"), what="the webhook knows of Hold")
    await world.reaches("Running", RELEASE, f"{NEWER}-slow")
    (held,) = kstatus([await world.get("Deployment", RELEASE)])
    assert held["status"] == "InProgress", "this is what Flux waits for"
    await world.finish()
    await runs(world, f"{NEWER}-slow")


@pytest.mark.parametrize("program", ["helm", "helm4"])
async def test_helm(world: World, reader: Reader, tmp_path: Path, program: str) -> None:
    await guarded(world, tmp_path, "Reject", program)
    await reader.done("Helm")
    await runs(world, NEW)

    await world.patch("GatewayMigration", RELEASE, {"spec": {"mode": "Hold", "image": None}})
    image = f"{NEWER}-slow"
    waiting = asyncio.create_task(reader.done("Helm", 1, IMAGE=image))
    await world.reaches("Running", RELEASE, image)
    await world.finish()
    assert "successfully rolled out" in await waiting
    await runs(world, image)


async def test_ci_says_what_the_gate_would_say(world: World, reader: Reader, tmp_path: Path) -> None:
    await guarded(world, tmp_path, "Reject")
    refused = await reader.runs("CI")
    assert refused.code == 1, refused
    assert "MigrationPending" in refused.out
    await world.patch("GatewayMigration", RELEASE, {"spec": {"image": NEW}})
    await world.reaches("Complete", RELEASE, NEW)
    assert "MigrationComplete" in await reader.done("CI")


async def test_a_record_announced_in_git_is_healthy_when_its_rollout_passes(
    world: World, reader: Reader, tmp_path: Path
) -> None:
    assert (await Helm(world, "helm", tmp_path).upgrade(OLD, "--wait")).code == 0
    # Answers to writes, so that no controller comes in between.
    new = await world.write_record(RELEASE)
    assert new["status"] == {"observedGeneration": -1, "complete": False}
    assert health(new, tmp_path) == UNDER_WAY
    await world.reaches("Complete", RELEASE, OLD)
    announced = await world.patch("GatewayMigration", RELEASE, {"spec": {"image": f"{NEW}-slow"}})
    assert announced["status"]["phase"] == "Complete"
    assert health(announced, tmp_path) == UNDER_WAY

    await world.reaches("Running", RELEASE, f"{NEW}-slow")
    assert health(await world.record(RELEASE), tmp_path) == UNDER_WAY
    await world.denial(RELEASE, f"{NEW}-slow")
    await world.finish()
    await world.reaches("Complete", RELEASE, f"{NEW}-slow")
    assert health(await world.record(RELEASE), tmp_path) == DONE
    await world.set_image(RELEASE, f"{NEW}-slow")

    await world.patch("GatewayMigration", RELEASE, {"spec": {"image": f"{NEWER}-fail"}})
    await world.reaches("Failed", RELEASE, f"{NEWER}-fail")
    assert health(await world.record(RELEASE), tmp_path) == ("Degraded", "Failed", "Failed")
    await world.patch("GatewayMigration", RELEASE, {"spec": {"enabled": False}})
    await world.reaches("Disabled", RELEASE)
    assert health(await world.record(RELEASE), tmp_path) == DONE


async def test_the_settings_of_argo_cd_are_patched_as_their_file_says(
    world: World, control_plane: ControlPlane, tmp_path: Path
) -> None:
    file = RECIPES / "argocd-cm.yaml"
    (command,) = re.findall(r"`kubectl (patch .+)`", file.read_text(encoding="utf-8"))
    settings = f"/api/v1/namespaces/{world.namespace}/configmaps"
    await world.admin.post(
        settings, {"metadata": {"name": "argocd-cm"}, "data": {"url": "https://argo.example.com"}}
    )
    words = command.replace("-n argocd", f"-n {world.namespace}").replace(file.name, str(file)).split()
    done = await Person(control_plane.admin_kubeconfig, tmp_path).runs(str(control_plane.kubectl), *words)
    assert done.code == 0, done
    stored = await world.admin.get(f"{settings}/argocd-cm")
    assert stored["data"] == {"url": "https://argo.example.com", KEY: lua()}
