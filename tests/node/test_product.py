"""The image as real pods: by itself, deployed by an overlay, deciding about a Gateway, and under disturbances."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import ApiError, Client, until
from tests.live.deployed import MANIFESTS, NAMESPACE, Deployed
from tests.live.world import World
from tests.node import gateway, pods
from tests.node.cluster import NodeCluster
from tests.node.load import Load, answered
from tests.node.scenario import guarded, upgraded
from webhook import __version__

pytestmark = pytest.mark.timeout(600)
RESTRICTED = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}


@pytest.fixture
async def deployed(cluster: NodeCluster, admin: Client, image: str, tmp_path: Path) -> Deployed:
    """Apply the overlay with certificates of our own, as the docs say, and wait until all of it is ready."""
    installation = Deployed(cluster, admin, tmp_path)
    applied = await installation.kubectl("apply", "-k", str(MANIFESTS / "overlays" / "self-managed"))
    assert applied.code == 0, applied
    await pods.rolled_out(installation)
    return installation


@pytest.fixture
async def world(
    cluster: NodeCluster, admin: Client, namespace: str, deployed: Deployed, gateway_images: None
) -> World:
    """Give a namespace with a guarded stand-in for a Gateway that runs."""
    return await guarded(cluster, admin, namespace)


def one_off(name: str, image: str, **container: Any) -> dict[str, Any]:
    """Give a pod that may do as little as Pod Security `restricted` asks, and write nowhere."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    only = {"name": "schemagate", "image": image, "securityContext": security, **container}
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [only]}
    return {"metadata": {"name": name}, "spec": spec}


async def ended(admin: Client, path: str) -> dict[str, Any]:
    """Wait until a pod has ended, and give how its container did."""

    async def state() -> dict[str, Any] | None:
        statuses = (await admin.get(path))["status"].get("containerStatuses", ())
        return next((each["state"]["terminated"] for each in statuses if "terminated" in each["state"]), None)

    found = await until(state, 60, f"{path} has ended")
    assert found
    return found


async def test_the_image_runs_as_nobody_on_a_root_that_cannot_be_written(
    admin: Client, namespace: str, image: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    await admin.patch(path, RESTRICTED)
    await admin.post(f"{path}/pods", one_off("version", image, args=["--version"]))
    assert (await ended(admin, f"{path}/pods/version"))["exitCode"] == 0
    assert await admin.text(f"{path}/pods/version/log") == f"schemagate, version {__version__}\n"


@pytest.mark.parametrize("shell", ["sh", "bash", "/bin/sh", "pip", "apt-get"])
async def test_the_image_holds_no_shell_and_no_installer(
    admin: Client, namespace: str, image: str, shell: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    await admin.post(path, one_off("shell", image, command=[shell]))
    assert (await ended(admin, f"{path}/shell"))["reason"] == "StartError"


async def test_a_gateway_is_denied_migrated_admitted_and_starts_in_skip(
    cluster: NodeCluster, world: World, tmp_path: Path
) -> None:
    await upgraded(cluster, world, tmp_path)


@pytest.mark.parametrize("disturbance", ["a pod deleted", "a rolling restart", "a kubelet restarted"])
async def test_no_call_fails_through(
    cluster: NodeCluster, admin: Client, world: World, deployed: Deployed, disturbance: str
) -> None:
    before = await pods.ready(admin)
    assert len(before) == 2

    async def whole_again(*gone: str) -> bool:
        now = await pods.ready(admin)
        listed = {pod["metadata"]["name"] for pod in await admin.items(pods.PATH)}
        return len(now) == 2 and not listed & set(gone)

    denial = await world.denial(gateway.NAME, gateway.NEWER)
    async with Load(admin, world.path("Deployment", gateway.NAME), gateway.NEWER, denial) as load:
        await until(lambda: answered(load, 20), what="verdicts before the disturbance")
        if disturbance == "a pod deleted":
            victim = min(before)
            await admin.delete(f"{pods.PATH}/{victim}")
            await until(lambda: whole_again(victim), 120, "another pod in its place")
        elif disturbance == "a rolling restart":
            restarted = await deployed.kubectl(
                "rollout", "restart", "-n", NAMESPACE, "deployment/schemagate-webhook"
            )
            assert restarted.code == 0, restarted
            await until(lambda: whole_again(*before), 200, "other pods in their place")
        else:
            beat = await asyncio.to_thread(cluster.heartbeat)
            await asyncio.to_thread(cluster.restart, "kubelet")

            async def beats() -> bool:
                return await asyncio.to_thread(cluster.heartbeat) != beat

            await until(beats, 60, "the kubelet is back")
            assert await pods.ready(admin) == before
        since = load.denied
        await until(lambda: answered(load, since + 20), what="verdicts after the disturbance")
    assert not load.other
    assert not await load.unreached()


async def test_calls_without_a_webhook_fail_and_are_counted(
    admin: Client, world: World, deployed: Deployed
) -> None:
    """What the test above would see, if a disturbance let one call through to nobody."""
    denial = await world.denial(gateway.NAME, gateway.NEWER)
    async with Load(admin, world.path("Deployment", gateway.NAME), gateway.NEWER, denial) as load:
        scaled = await deployed.kubectl("scale", "-n", NAMESPACE, "deployment/schemagate-webhook", "--replicas=0")
        assert scaled.code == 0, scaled

        async def failing() -> bool:
            counts = " ".join(await load.unreached())
            return bool(load.other) and "fail_open_count" in counts and "calling_webhook_error" in counts

        await until(failing, 60, "calls that reach nobody, those that are let through and those that are not")
    assert any("deployments.validate.schemagate.io" in words for words in load.other)


async def test_what_was_deployed_leaves_nothing(admin: Client, deployed: Deployed) -> None:
    done = await deployed.kubectl("delete", "--wait", "-k", str(MANIFESTS / "overlays" / "self-managed"))
    assert done.code == 0, done

    await deployed.keeps()
    with pytest.raises(ApiError):
        await admin.get(f"/api/v1/namespaces/{NAMESPACE}")
