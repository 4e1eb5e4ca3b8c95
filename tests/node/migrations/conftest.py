"""One database server for all tests here, at the node's own address, and the product for those that ask for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.client import Client
from tests.gateway import image as images
from tests.gateway.database import Console, Database
from tests.gateway.schema import Schema
from tests.live.test_cli import Person
from tests.live.world import World
from tests.node import machine
from tests.node.cluster import NodeCluster
from tests.node.migrations.fleet import Fleet
from tests.node.migrations.installed import install_product, remove_product


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


@pytest.fixture(scope="module")
def installed(cluster: NodeCluster, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have the product run beside the operator's kind of Gateways; afterwards nothing of either is left."""
    folder = tmp_path_factory.mktemp("installed")
    try:
        asyncio.run(install_product(cluster, folder))
        yield
    finally:
        asyncio.run(remove_product(cluster, folder))


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
    return Fleet(World(admin, namespace, cluster), schema, database.url(schema.name), person)
