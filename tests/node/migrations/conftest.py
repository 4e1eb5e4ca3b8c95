"""One database server for all tests here, at the node's own address, and the product for those that ask for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.client import Client
from tests.controlplane.objects import GATEWAYS, install, stock
from tests.gateway import image as images
from tests.gateway.database import Console, Database
from tests.gateway.schema import Schema
from tests.live.test_cli import Person
from tests.live.world import World
from tests.node import machine
from tests.node.cluster import NodeCluster
from tests.node.installed import Overlay, overlay
from tests.node.migrations.fleet import Fleet


@pytest.fixture(scope="package")
def standins(cluster: NodeCluster) -> None:
    """Import the stand-in's images."""
    cluster.load_image(images.archive())


@pytest.fixture(scope="package")
def database(cluster: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give the running server, which pods reach."""
    found = Database(tmp_path_factory.mktemp("mariadb"), machine.ADDRESS)
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="package")
def console(database: Database) -> Iterator[Console]:
    """Give a session of somebody who may do everything."""
    with database.console() as found:
        yield found


@pytest.fixture(scope="package")
def product(cluster: NodeCluster, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Overlay]:
    """Give the product, there or not as the last test wanted it; afterwards neither it nor Gateways' kind is."""
    try:
        with overlay(cluster, tmp_path_factory.mktemp("product")) as found:
            yield found
    finally:
        asyncio.run(_forget_gateways(cluster))


async def _forget_gateways(cluster: NodeCluster) -> None:
    async with Client(cluster.api_url, cluster.client_context) as admin:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{GATEWAYS}"
        if await admin.exists(path):
            await admin.delete(path)


@pytest.fixture
async def gateways(admin: Client) -> None:
    """Have the operator's kind of Gateways be there."""
    await install(admin, stock())


@pytest.fixture
async def installed(product: Overlay, gateways: None) -> None:
    """Have the product run beside the operator's kind of Gateways."""
    await product.there()


@pytest.fixture
async def alone(product: Overlay) -> None:
    """Have the product not be there."""
    await product.away()


@pytest.fixture
def fleet(
    cluster: NodeCluster,
    admin: Client,
    namespace: str,
    standins: None,
    database: Database,
    console: Console,
    tmp_path: Path,
) -> Fleet:
    """Give a namespace and a database of the test's own, neither with anything in it."""
    schema = Schema(console, f"ssg_{namespace.replace('-', '_')}")
    person = Person(cluster.admin_kubeconfig, tmp_path)
    return Fleet(World(admin, namespace, cluster), schema, database.url(schema.name), person, tmp_path)
