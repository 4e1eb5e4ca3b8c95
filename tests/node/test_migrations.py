"""The whole story on real pods and a real database: a stand-in for a Gateway that runs Liquibase on MariaDB."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.controlplane.client import Client
from tests.gateway import image as images
from tests.gateway.database import PASSWORD, USER, Console, Database
from tests.gateway.standin import BROKEN, NEW, NEWER, OLD
from tests.live.deployed import MANIFESTS, Deployed
from tests.live.test_cli import Done, Person
from tests.live.world import World, skips
from tests.node import machine, pods
from tests.node.cluster import NodeCluster
from webhook.policy.names import ACTIVE_DEADLINE_SECONDS, LICENSE_PATH, MIGRATION_JOB

pytestmark = pytest.mark.timeout(900)
NAME: Final = "ssg"
PORT: Final = 8443
REPLICAS: Final = 5
HOLDER: Final = "ssg-7c5d8 (10.0.3.17)"


@pytest.fixture(scope="module")
def database(cluster: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give a server at the node's own address, which pods reach."""
    found = Database(tmp_path_factory.mktemp("mariadb"), machine.ADDRESS)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def console(database: Database) -> Iterator[Console]:
    with database.console() as found:
        yield found


@pytest.fixture
async def installed(cluster: NodeCluster, admin: Client, image: str, tmp_path: Path) -> AsyncIterator[Deployed]:
    """Install the product, and take it away again."""
    installation = Deployed(cluster, admin, tmp_path)
    overlay = str(MANIFESTS / "overlays" / "self-managed")
    applied = await installation.kubectl("apply", "-k", overlay)
    assert applied.code == 0, applied
    await pods.rolled_out(installation)
    yield installation
    await installation.kubectl("delete", "--ignore-not-found", "--wait=false", "-k", overlay)
    await pods.nothing_left(installation)


class Story:
    """One Gateway of five pods on its own database."""

    def __init__(self, world: World, console: Console, schema: str, person: Person) -> None:
        self.world, self._console, self._schema, self._person = world, console, schema, person

    async def deploy(self, url: str) -> None:
        """Create what a chart would, on a database that is not there yet."""
        core, admin = f"/api/v1/namespaces/{self.world.namespace}", self.world.admin
        license_text, credentials = {"license.xml": "<license/>"}, {"SSG_DATABASE_USER": USER}
        credentials["SSG_DATABASE_PASSWORD"] = PASSWORD
        await admin.post(f"{core}/secrets", {"metadata": {"name": "license"}, "stringData": license_text})
        await admin.post(f"{core}/secrets", {"metadata": {"name": "credentials"}, "stringData": credentials})
        settings = {
            "ACCEPT_LICENSE": "true",
            "DISKLESS_CONFIG": "true",
            "LIQUIBASE_LOG_LEVEL": "off",
            "SSG_DATABASE_JDBC_URL": url,
        }
        await admin.post(f"{core}/configmaps", {"metadata": {"name": "settings"}, "data": settings})
        await admin.post(self.world.path("Deployment"), _deployment())

    async def migrates(self, version: str) -> Done:
        """Announce a version, as its user does, and wait for what comes of it."""
        program = str(Path(sys.executable).with_name("schemagate"))
        command = ("migrate", NAME, "-n", self.world.namespace, "--image", images.NAMES[version], "--wait")
        async with self._person.starts(program, *command) as process:
            # A lock that is held is waited for by the minute.
            out, err = await asyncio.wait_for(process.communicate(), 240)
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())

    async def rolls_out(self, version: str) -> None:
        """Set the image and wait until all pods run it, none of which has touched Liquibase."""
        await self.world.set_image(NAME, images.NAMES[version])
        await self.world.settled(NAME, 120)
        assert all(skips(pod) for pod in await self.world.pods(NAME))
        answers = {tuple((await _answer(pod)).items()) for pod in await self.world.pods(NAME)}
        assert answers == {(("version", version), ("schema", self.version()), ("mode", "skip"))}

    async def failure(self) -> dict[str, Any]:
        return dict((await self.world.record(NAME))["status"]["failure"])

    def version(self) -> str:
        ((found,),) = self._ask("SELECT current_version FROM ssg_version")
        return found

    def lock(self) -> tuple[str, ...]:
        (row,) = self._ask("SELECT LOCKED + 0, LOCKEDBY, LOCKGRANTED FROM DATABASECHANGELOGLOCK")
        return row

    def hold_lock(self) -> None:
        self._ask(f"UPDATE DATABASECHANGELOGLOCK SET LOCKED = 1, LOCKEDBY = '{HOLDER}', LOCKGRANTED = NOW()")

    def changesets(self) -> list[tuple[str, ...]]:
        return self._ask("SELECT FILENAME, ID, DATEEXECUTED FROM DATABASECHANGELOG ORDER BY ORDEREXECUTED")

    def _ask(self, statement: str) -> list[tuple[str, ...]]:
        self._console.ask(f"USE {self._schema}")
        return self._console.ask(statement)


async def test_an_upgrade_from_a_broken_image_to_a_held_lock_and_back(
    cluster: NodeCluster,
    admin: Client,
    namespace: str,
    installed: Deployed,
    database: Database,
    console: Console,
    tmp_path: Path,
) -> None:
    cluster.load_image(images.archive())
    world = World(admin, namespace, cluster)
    schema = f"ssg_{namespace.replace('-', '_')}"
    story = Story(world, console, schema, Person(cluster.admin_kubeconfig, tmp_path))
    await story.deploy(database.url(schema))

    # The first install: one Job makes database and schema, five pods start in skip.
    await world.settled(NAME, 180)
    await world.reaches("Complete", NAME, images.NAMES[OLD], 60)
    assert (story.version(), story.lock()[0]) == (OLD, "0")
    first = story.changesets()

    # A broken changeset is named, and nothing is rolled out.
    assert (await story.migrates(BROKEN)).code == 1
    failure = await story.failure()
    assert (failure["class"], failure["message"]) == (
        "ChangesetFailed",
        f"changeset ssg-{NEW}.xml::2::layer7 failed",
    )
    await world.denial(NAME, images.NAMES[BROKEN])
    assert story.version() == OLD

    # The mended image migrates once; its pods start beside a lock that is held, and leave it alone.
    done = await story.migrates(NEW)
    assert done.code == 0, done
    story.hold_lock()
    held, migrated = story.lock(), story.changesets()
    assert migrated[: len(first)] == first
    await story.rolls_out(NEW)
    assert (story.lock(), story.changesets()) == (held, migrated)

    # With the lock held the next migration fails before its deadline, and says who holds it.
    await world.patch("Deployment", NAME, {"metadata": {"annotations": {ACTIVE_DEADLINE_SECONDS: "180"}}})
    assert (await story.migrates(NEWER)).code == 1
    failure = await story.failure()
    assert failure["class"] == "LockHeld"
    assert failure["message"].startswith(f"the schema lock is held by {HOLDER} since ")
    await world.denial(NAME, images.NAMES[NEWER])

    # A rollback needs no migration; the older image runs on the schema as it is.
    await story.rolls_out(OLD)
    assert (story.lock(), story.version()) == (held, NEW)


async def _answer(pod: dict[str, Any]) -> dict[str, str]:
    url = f"http://{pod['status']['podIP']}:{PORT}/"
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
        return dict(await answer.json(content_type=None))


def _deployment() -> dict[str, Any]:
    labels = {"app": NAME}
    container = {
        "name": "gateway",
        "image": images.NAMES[OLD],
        "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "credentials"}}],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "license", "mountPath": LICENSE_PATH, "subPath": "license.xml"}],
    }
    pod = {
        "containers": [container],
        "terminationGracePeriodSeconds": 5,
        "volumes": [{"name": "license", "secret": {"secretName": "license"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "annotations": {MIGRATION_JOB: "enabled"}},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
