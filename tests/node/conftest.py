"""One cluster with a real node for all tests here, root on Linux; anything missing is an error, never a skip."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.controlplane.client import Client
from tests.controlplane.fixtures import namespace
from tests.node import gateway, product
from tests.node.cluster import NodeCluster

__all__ = ["namespace"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """Give the running cluster; the tests run inside its network."""
    found = NodeCluster(tmp_path_factory.mktemp("node"))
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def image(cluster: NodeCluster) -> str:
    """Import the product's image, and give its name."""
    cluster.load_image(product.archive())
    return product.NAME


@pytest.fixture(scope="session")
def gateway_images(cluster: NodeCluster) -> None:
    """Import the images of the stand-in for a Gateway."""
    gateway.load(cluster)


@pytest.fixture
async def admin(cluster: NodeCluster) -> AsyncIterator[Client]:
    """Give a client that may do everything."""
    async with Client(cluster.api_url, cluster.client_context) as client:
        yield client
