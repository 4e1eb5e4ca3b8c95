"""The image as real pods: by itself, deployed by an overlay, deciding about a Gateway, and under disturbances."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import ApiError, Client, until
from tests.live.deployed import NAMESPACE, Deployed
from tests.live.test_cli import Done
from tests.live.world import World
from tests.node import gateway, pods
from tests.node.cluster import NodeCluster
from tests.node.installed import Overlay, overlay
from tests.node.load import Load, answered
from tests.node.scenario import guarded, upgraded
from webhook import __version__

pytestmark = pytest.mark.timeout(900)
GATEWAYS = "guarded-gateways"
RESTRICTED = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}


@pytest.fixture(scope="module")
def product(cluster: NodeCluster, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Overlay]:
    """Give the overlay with certificates of our own, which the first test that asks for it applies."""
    with overlay(cluster, tmp_path_factory.mktemp("product")) as found:
        yield found


@pytest.fixture(scope="module")
def gateway_namespace(cluster: NodeCluster, product: Overlay, gateway_images: None) -> Iterator[str]:
    """Have a guarded stand-in for a Gateway run, and give its namespace; afterwards it is deleted."""

    async def made() -> None:
        await product.there()
        async with Client(cluster.api_url, cluster.client_context) as admin:
            await admin.post("/api/v1/namespaces", {"metadata": {"name": GATEWAYS}})
            await guarded(cluster, admin, GATEWAYS)

    async def deleted() -> None:
        async with Client(cluster.api_url, cluster.client_context) as admin:
            await admin.delete(f"/api/v1/namespaces/{GATEWAYS}")

    try:
        asyncio.run(made())
        yield GATEWAYS
    finally:
        asyncio.run(deleted())


@pytest.fixture
async def deployed(cluster: NodeCluster, admin: Client, product: Overlay, tmp_path: Path) -> Deployed:
    """Apply the overlay, as the docs say, unless it is there; all of it is ready."""
    await product.there()
    return Deployed(cluster, admin, tmp_path)


@pytest.fixture
def world(cluster: NodeCluster, admin: Client, gateway_namespace: str) -> World:
    """Give the namespace of the one Gateway."""
    return World(admin, gateway_namespace, cluster)


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

    found = await until(state, 180, f"{path} has ended")
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


async def test_the_image_holds_no_shell_and_no_installer(admin: Client, namespace: str, image: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    programs = {"sh": "sh", "bash": "bash", "bin-sh": "/bin/sh", "pip": "pip", "apt-get": "apt-get"}
    for name, program in programs.items():
        await admin.post(path, one_off(name, image, command=[program]))
    for name in programs:
        assert (await ended(admin, f"{path}/{name}"))["reason"] == "StartError"


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
            await until(lambda: whole_again(victim), 400, "another pod in its place")
        elif disturbance == "a rolling restart":
            restarted = await deployed.kubectl(
                "rollout", "restart", "-n", NAMESPACE, "deployment/schemagate-webhook"
            )
            assert restarted.code == 0, restarted
            await until(lambda: whole_again(*before), 400, "other pods in their place")
        else:
            beat = await asyncio.to_thread(cluster.restart_kubelet)

            async def beats() -> bool:
                return await asyncio.to_thread(cluster.heartbeat) != beat

            await until(beats, 180, "the kubelet is back")
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
        try:
            assert (await scaled(deployed, 0)).code == 0

            async def failing() -> bool:
                counts = " ".join(await load.unreached())
                return bool(load.other) and "fail_open_count" in counts and "calling_webhook_error" in counts

            await until(failing, 180, "calls that reach nobody, those that are let through and those that are not")
        finally:
            await scaled(deployed, 2)
    assert any("deployments.validate.schemagate.io" in words for words in load.other)


async def scaled(deployed: Deployed, replicas: int) -> Done:
    target = ("-n", NAMESPACE, "deployment/schemagate-webhook")
    return await deployed.kubectl("scale", *target, f"--replicas={replicas}")


async def test_what_was_deployed_leaves_nothing(admin: Client, product: Overlay, deployed: Deployed) -> None:
    done = await deployed.kubectl("delete", "--wait", "-k", product.source)
    assert done.code == 0, done

    await product.away()
    with pytest.raises(ApiError):
        await admin.get(f"/api/v1/namespaces/{NAMESPACE}")
