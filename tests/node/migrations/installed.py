"""The product on the node, for as long as a test or a module wants it."""

from pathlib import Path
from typing import Final

from tests.controlplane.client import Client
from tests.controlplane.objects import GATEWAYS, install, stock
from tests.live.deployed import MANIFESTS, Deployed
from tests.node import pods
from tests.node.cluster import NodeCluster

_OVERLAY: Final = str(MANIFESTS / "overlays" / "self-managed")


async def install_product(cluster: NodeCluster, folder: Path) -> None:
    """Install the kind of the operator's Gateways, and the product; its pods are ready afterwards."""
    async with Client(cluster.api_url, cluster.client_context) as admin:
        await install(admin, stock())
        installation = Deployed(cluster, admin, folder)
        applied = await installation.kubectl("apply", "-k", _OVERLAY)
        assert applied.code == 0, applied
        await pods.rolled_out(installation)


async def remove_product(cluster: NodeCluster, folder: Path) -> None:
    """Take both away, whatever there is of them, and wait until neither is there any more."""
    async with Client(cluster.api_url, cluster.client_context) as admin:
        installation = Deployed(cluster, admin, folder)
        await installation.kubectl("delete", "--ignore-not-found", "--wait=false", "-k", _OVERLAY)
        await installation.keeps()
        gone = await installation.kubectl("delete", "crd", GATEWAYS, "--ignore-not-found")
        assert gone.code == 0, gone
