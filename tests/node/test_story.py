"""The story of `make kind-demo` by its own script and objects; of kind, only the cluster's creation is missing."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.controlplane.client import Client
from tests.live.deployed import MANIFESTS, Deployed
from tests.live.test_cli import BIN, Person
from tests.live.world import World, skips
from tests.node import pods, stand_ins
from tests.node.certified import certified
from tests.node.cluster import NodeCluster

pytestmark = pytest.mark.timeout(900)
SCRIPT = MANIFESTS / "kind" / "demo.sh"
IMAGES = [f"gateway-stand-in:{version}" for version in ("11.2.5", "11.3.0", "11.4.0")]
STEPS = 9
NAMESPACE, NAME = "schemagate-demo", "my-gateway"


async def test_the_story_of_kind_comes_out_as_told(
    cluster: NodeCluster, admin: Client, image: str, tmp_path: Path
) -> None:
    cluster.load_image(stand_ins.archive(tmp_path))
    cluster.tag_image(*IMAGES)
    person = Person(cluster.admin_kubeconfig, tmp_path)
    async with certified(cluster, admin, tmp_path, "kind") as deployed:
        try:
            assert len(await pods.ready(admin)) == 1
            await ended_midway(deployed)
            path = f"PATH={cluster.kubectl.parent}:{BIN}:/usr/bin:/bin"
            async with person.starts("/usr/bin/env", path, "/bin/sh", str(SCRIPT)) as process:
                out, err = await asyncio.wait_for(process.communicate(), 400)
            told = out.decode()
            if process.returncode or err:
                pytest.fail(f"it ended with {process.returncode}:\n{told}{err.decode()}")
            assert len(re.findall(r"(?m)^  ok ", told)) == STEPS
            assert f"\n{STEPS} steps came out as told." in told

            # What it says is so.
            world = World(admin, NAMESPACE, cluster)
            found = await world.settled(NAME)
            assert found["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGES[1]
            assert all(skips(pod) for pod in await world.pods(NAME))
            assert len(await world.jobs()) == 2
            done = (await world.record(NAME))["status"]["completedHashes"]
            assert [each["image"] for each in done] == IMAGES[::-1]
        finally:
            await deployed.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


async def ended_midway(deployed: Deployed) -> None:
    """Leave what somebody does who stops the story while a Gateway is held: it begins anew all the same."""
    for arguments in (
        ("apply", "-k", str(SCRIPT.parent / "gateway")),
        ("label", "namespace", NAMESPACE, "schemagate.io/enforce=hold"),
        ("wait", "gwm", NAME, "-n", NAMESPACE, "--for=create", "--timeout=180s"),
        ("wait", "gwm", NAME, "-n", NAMESPACE, "--for=condition=MigrationComplete", "--timeout=180s"),
        ("set", "image", f"deployment/{NAME}", "-n", NAMESPACE, f"gateway={IMAGES[1]}"),
    ):
        done = await deployed.kubectl(*arguments)
        assert done.code == 0, done
