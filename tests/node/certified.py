"""The overlays that take their certificate from cert-manager, on a real node beside a real cert-manager."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.controlplane.client import Client, until
from tests.live.cert_manager import CertManager, leaf
from tests.live.certified import CONFIGURATIONS
from tests.live.deployed import Deployed
from tests.node import pods
from tests.node.cluster import NodeCluster
from tests.node.patient import patient

_PORT = 9443


@asynccontextmanager
async def certified(cluster: NodeCluster, admin: Client, folder: Path, overlay: str) -> AsyncIterator[Deployed]:
    """Apply an overlay and wait until the API server trusts it; afterwards nothing of ours is left.

    cert-manager runs as processes beside the node; that its Secret comes into our pods is the kubelet's.
    """
    installation, manager = Deployed(cluster, admin, folder), CertManager(cluster)
    source = str(patient(folder / "manifests") / "overlays" / overlay)
    try:
        await manager.start(admin)
        applied = await installation.kubectl("apply", "-k", source)
        assert applied.code == 0, applied
        try:
            await pods.rolled_out(installation)
            await until(lambda: injected(admin), 180, "the cainjector fills in the bundle")
            yield installation
        finally:
            await installation.kubectl("delete", "--ignore-not-found", "--wait=false", "-k", source)
            await installation.keeps()
    finally:
        manager.stop()


async def injected(admin: Client) -> bool:
    """Tell whether every webhook has the authority that cert-manager keeps."""
    wanted = base64.b64encode((await leaf(admin))["ca.crt"]).decode()
    found = [await admin.get(path) for path in CONFIGURATIONS]
    return {hook["clientConfig"].get("caBundle") for item in found for hook in item["webhooks"]} == {wanted}


async def served(admin: Client) -> set[bytes]:
    """Give the leaves that the webhook's pods show, DER."""
    addresses = (await pods.ready(admin)).values()
    shown = [asyncio.to_thread(ssl.get_server_certificate, (each, _PORT), timeout=30) for each in addresses]
    return {ssl.PEM_cert_to_DER_cert(text) for text in await asyncio.gather(*shown)}


def der(chain: bytes) -> bytes:
    """Give the leaf of a PEM chain, DER."""
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(chain.decode().partition(end)[0] + end)
