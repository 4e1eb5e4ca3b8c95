"""cert-manager's certificate in real pods, mounted by the kubelet, and renewed without a failed call."""

from pathlib import Path

import pytest

from tests.controlplane.client import Client, until
from tests.live.cert_manager import leaf, renew
from tests.node import gateway, pods
from tests.node.certified import certified, der, served
from tests.node.cluster import NodeCluster
from tests.node.load import Load, answered
from tests.node.scenario import guarded, upgraded

pytestmark = pytest.mark.timeout(900)


async def test_a_gateway_is_guarded_and_a_renewed_certificate_reaches_the_pods_without_a_failed_call(
    cluster: NodeCluster, admin: Client, namespace: str, image: str, gateway_images: None, tmp_path: Path
) -> None:
    async with certified(cluster, admin, tmp_path, "cert-manager"):
        world = await guarded(cluster, admin, namespace)
        await upgraded(cluster, world, tmp_path)

        before = await pods.ready(admin)
        first = der((await leaf(admin))["tls.crt"])
        await until(lambda: shows(admin, first), what="every pod shows the leaf")
        denial = await world.denial(gateway.NAME, gateway.NEWER)
        path = world.path("Deployment", gateway.NAME)
        async with Load(admin, path, gateway.NEWER, denial, between=0.2) as load:
            await until(lambda: answered(load, 20), what="verdicts before the renewal")
            await renew(admin)

            async def renewed() -> bool:
                second = der((await leaf(admin))["tls.crt"])
                return second != first and await shows(admin, second)

            await until(renewed, 400, "every pod shows the new leaf")
            since = load.denied
            await until(lambda: answered(load, since + 20), what="verdicts after the renewal")
        assert not load.other
        assert not await load.unreached()
        assert await pods.ready(admin) == before


async def shows(admin: Client, wanted: bytes) -> bool:
    """Tell whether all pods of the webhook show this leaf; one that does not answer in time does not."""
    try:
        return await served(admin) == {wanted}
    except OSError:
        return False
