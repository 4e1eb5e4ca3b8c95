"""One database server for all tests here, at the node's own address, and the product for those that ask for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.controlplane.client import Client
from tests.controlplane.objects import GATEWAYS, install, stock
from tests.gateway import image as images
from tests.gateway.database import Console, Database
from tests.gateway.schema import Schema
from tests.live.deployed import MANIFESTS, Deployed
from tests.live.test_cli import Person
from tests.live.world import World
from tests.node import machine, pods
from tests.node.cluster import NodeCluster
from tests.node.migrations.fleet import Fleet

_OVERLAY: Final = str(MANIFESTS / "overlays" / "self-managed")
_DEFINITION: Final = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{GATEWAYS}"


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

    async def begin() -> None:
        async with Client(cluster.api_url, cluster.client_context) as admin:
            await install(admin, stock())
            installation = Deployed(cluster, admin, folder)
            applied = await installation.kubectl("apply", "-k", _OVERLAY)
            assert applied.code == 0, applied
            await pods.rolled_out(installation)

    async def end() -> None:
        async with Client(cluster.api_url, cluster.client_context) as admin:
            installation = Deployed(cluster, admin, folder)
            await installation.kubectl("delete", "--ignore-not-found", "--wait=false", "-k", _OVERLAY)
            await pods.nothing_left(installation)
            await admin.delete(_DEFINITION)

    try:
        asyncio.run(begin())
        yield
    finally:
        asyncio.run(end())


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
