"""The overlay that may change only what namespaces were named to it: a Gateway in one of those is served whole."""

from pathlib import Path

import pytest

from tests.controlplane.client import Client
from tests.node.cluster import NodeCluster
from tests.node.installed import Overlay
from tests.node.scenario import guarded, upgraded

pytestmark = pytest.mark.timeout(900)
NAMED = "gateways"
"""As the overlay has it."""


async def test_a_gateway_of_a_named_namespace_is_denied_migrated_admitted_and_starts_in_skip(
    cluster: NodeCluster, admin: Client, image: str, gateway_images: None, tmp_path: Path
) -> None:
    await admin.post("/api/v1/namespaces", {"metadata": {"name": NAMED}})
    product = Overlay(cluster, tmp_path, "namespaced")
    try:
        await product.there()
        await upgraded(cluster, await guarded(cluster, admin, NAMED), tmp_path)
    finally:
        await product.away()
        await admin.delete(f"/api/v1/namespaces/{NAMED}")
