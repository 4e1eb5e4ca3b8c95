"""From the commit before to this one, under load: image, manifests, the record's kind and the registration."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.controlplane.client import Client, until
from tests.live.deployed import CONFIGURATIONS, DEFINITION, MANIFESTS, Deployed
from tests.node import gateway, pods, previous
from tests.node.cluster import NodeCluster
from tests.node.load import Load, answered
from tests.node.patient import allow
from tests.node.scenario import guarded, upgraded

pytestmark = pytest.mark.timeout(900)
TIMEOUT = 29
COLUMN = {"name": "Sooner", "type": "string", "jsonPath": ".status.phase"}


def newer(folder: Path) -> Path:
    """Give this tree's overlay, of which record's kind and registration differ from any commit's."""
    shutil.copytree(MANIFESTS, folder)
    allow(folder, TIMEOUT)
    kind = folder / "base" / "20-crd.yaml"
    definition = yaml.safe_load(kind.read_text())
    definition["spec"]["versions"][0]["additionalPrinterColumns"].append(COLUMN)
    kind.write_text(yaml.safe_dump(definition))
    return folder / "overlays" / "self-managed"


async def test_no_call_fails_while_everything_is_replaced(
    cluster: NodeCluster, admin: Client, namespace: str, image: str, gateway_images: None, tmp_path: Path
) -> None:
    source = previous.extract(tmp_path / "previous")
    allow(source / "manifests")
    cluster.load_image(previous.archive(source))
    installation = Deployed(cluster, admin, tmp_path)
    try:
        applied = await installation.kubectl("apply", "-k", str(previous.overlay(source)))
        assert applied.code == 0, applied
        await pods.rolled_out(installation)
        world = await guarded(cluster, admin, namespace)
        assert await images(admin) == {previous.NAME}

        denial = await world.denial(gateway.NAME, gateway.NEW)
        path = world.path("Deployment", gateway.NAME)
        async with Load(admin, path, gateway.NEW, denial, callers=2, between=0.5) as load:
            await until(lambda: answered(load, 20), what="verdicts of the old version")
            applied = await installation.kubectl("apply", "-k", str(newer(tmp_path / "newer")))
            assert applied.code == 0, applied
            await pods.rolled_out(installation)
            assert await images(admin) == {image}
            denial = await world.denial(gateway.NAME, gateway.NEW)
            since = load.denied
            await until(lambda: answered(load, since + 20), what="verdicts of the new version")
        # The new version may put the denial into other words, and nothing else may have been said.
        assert not [words for words in load.other if not words.endswith(denial)]
        assert not await load.unreached()
        (hook,) = (await admin.get(f"{CONFIGURATIONS}/validatingwebhookconfigurations/schemagate"))["webhooks"]
        assert hook["timeoutSeconds"] == TIMEOUT
        columns = (await admin.get(DEFINITION))["spec"]["versions"][0]["additionalPrinterColumns"]
        assert COLUMN in columns

        # What the old version recorded is worth to the new one what it was.
        await upgraded(cluster, world, tmp_path)
    finally:
        # The version before may have had what this one has not.
        for version in (MANIFESTS, source / "manifests"):
            overlay = str(version / "overlays" / "self-managed")
            await installation.kubectl("delete", "--ignore-not-found", "--wait=false", "-k", overlay)
        await installation.keeps()


async def images(admin: Client) -> set[str]:
    """Give what the pods of ours run."""
    return {pod["spec"]["containers"][0]["image"] for pod in await admin.items(pods.PATH)}
