"""The chart as real pods, by the real Helm 3 and 4: installed, upgraded under load, uninstalled."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.client import Client, until
from tests.live.deployed import IMAGE, NAMESPACE, Deployed
from tests.live.world import skips
from tests.manifests.rendering import HELMS
from tests.node import gateway, pods
from tests.node.cluster import NodeCluster
from tests.node.load import Load, answered
from tests.node.patient import patient
from tests.node.scenario import guarded, upgraded

pytestmark = pytest.mark.timeout(900)
LABELS = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture
async def deployed(cluster: NodeCluster, admin: Client, image: str, tmp_path: Path) -> AsyncIterator[Deployed]:
    """Give the namespace alone, which enforces Pod Security; afterwards nothing of ours is left, come what may."""
    made = Deployed(cluster, admin, tmp_path)
    await admin.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": LABELS}})
    try:
        yield made
    finally:
        await made.helm("helm", "uninstall", "schemagate", "--ignore-not-found")
        await made.kubectl("delete", "namespace", NAMESPACE)
        await made.keeps()


@pytest.mark.parametrize("helm", HELMS)
async def test_a_release_guards_moves_on_under_load_and_goes(
    cluster: NodeCluster,
    admin: Client,
    namespace: str,
    deployed: Deployed,
    gateway_images: None,
    tmp_path: Path,
    helm: str,
) -> None:
    chart = str(patient(tmp_path / "manifests") / "chart" / "schemagate")
    done = await deployed.helm(helm, "install", "schemagate", chart, "--set", f"crd.keep=false,{IMAGE}")
    assert done.code == 0, done
    await pods.rolled_out(deployed)
    world = await guarded(cluster, admin, namespace)
    if helm == HELMS[0]:
        # By either Helm the same is installed.
        await upgraded(cluster, world, tmp_path)

    before = await pods.ready(admin)
    assert len(before) == 2
    denial = await world.denial(gateway.NAME, gateway.NEWER)
    async with Load(admin, world.path("Deployment", gateway.NAME), gateway.NEWER, denial, between=0.2) as load:
        await until(lambda: answered(load, 20), what="verdicts before the upgrade")
        # Another setting of both: every pod is replaced.
        changed = ("--reuse-values", "--set", "settings.log_level=debug")
        done = await deployed.helm(helm, "upgrade", "schemagate", chart, *changed)
        assert done.code == 0, done
        await pods.rolled_out(deployed)
        since = load.denied
        await until(lambda: answered(load, since + 20), what="verdicts after the upgrade")
    assert not before.keys() & (await pods.ready(admin)).keys()
    assert not load.other
    assert not await load.unreached()

    done = await deployed.helm(helm, "uninstall", "schemagate")
    assert done.code == 0, done
    await deployed.keeps()
    # The Gateway runs on, and rolls out freely.
    await world.set_image(gateway.NAME, gateway.NEWER)
    await world.settled(gateway.NAME, 180)
    assert not any(skips(pod) for pod in await world.pods(gateway.NAME))
