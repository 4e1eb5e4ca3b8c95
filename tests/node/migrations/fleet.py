"""A Gateway's fleet of real pods on one database, and what its people do with it."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import aiohttp

from tests.controlplane.client import ApiError, until
from tests.controlplane.processes import Spawner
from tests.gateway.database import PASSWORD, USER
from tests.gateway.image import NAMES
from tests.gateway.schema import Schema
from tests.gateway.standin import Standin
from tests.live.test_cli import Done, Person
from tests.live.world import Manifest, World
from webhook.policy.names import DISKLESS_CONFIG, LICENSE_PATH, LIQUIBASE_LOG_LEVEL, SSG_DATABASE_JDBC_URL

NAME: Final = "ssg"
PORT: Final = 8443
FIVE: Final = 5
# Seconds for an answer, on a machine that may be busy: who is not ready for a moment is no baseline.
PROBE: Final = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1, "timeoutSeconds": 10}
PATIENCE: Final = 300
"""Seconds in which five JVMs start on two cores that others use as well."""


class Fleet:
    """Pods of one Deployment, called ``name``, which a test creates in a namespace and on a schema of its own."""

    def __init__(self, world: World, schema: Schema, url: str, person: Person, folder: Path) -> None:
        """Take the namespace, the schema with the URL by which pods reach it, a person, and a folder."""
        self.world, self.schema, self.url, self._person, self._folder = world, schema, url, person, folder
        self.name = NAME

    async def stock(self, version: str) -> None:
        """Bring the schema to a version beside the cluster, so that the first pods need not fight for that."""
        spawner = Spawner(detached=False)
        try:
            process = Standin(spawner, self._folder, version, self.url, "liquibase-only")
            assert await asyncio.to_thread(process.ended) == 0, process.log
        finally:
            spawner.close()

    async def secret(self, name: str, **content: str) -> None:
        """Create a Secret."""
        core = f"/api/v1/namespaces/{self.world.namespace}"
        await self.world.admin.post(f"{core}/secrets", {"metadata": {"name": name}, "stringData": content})

    async def deploy(
        self,
        version: str,
        *,
        replicas: int = FIVE,
        annotations: Mapping[str, str] = MappingProxyType({}),
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Create what a chart would, and wait until its pods run.

        All old pods end before the new ones start, so that five of a new version start at once.
        """
        await self.secret("license", **{"license.xml": "<license/>"})
        await self.secret("credentials", SSG_DATABASE_USER=USER, SSG_DATABASE_PASSWORD=PASSWORD)
        data = {
            "ACCEPT_LICENSE": "true",
            DISKLESS_CONFIG: "true",
            LIQUIBASE_LOG_LEVEL: "off",
            SSG_DATABASE_JDBC_URL: self.url,
            **settings,
        }
        await self.world.create({"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data})
        await self.world.create(_deployment(version, replicas, annotations))
        await self.world.settled(NAME, PATIENCE)

    async def runs(self, *command: str, seconds: float = PATIENCE) -> Done:
        """Run schemagate as a person does, for this Gateway."""
        verb, *options = command
        program = str(Path(sys.executable).with_name("schemagate"))
        argv = (program, verb, self.name, "-n", self.world.namespace, *options)
        async with self._person.starts(*argv) as process:
            out, err = await asyncio.wait_for(process.communicate(), seconds)
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())

    async def migrates(self, version: str) -> Done:
        """Announce a version, as its user does, and wait for what comes of it."""
        return await self.runs("migrate", "--image", NAMES[version], "--wait")

    async def failure(self) -> dict[str, str]:
        """Give class and message of the migration that failed."""
        found = (await self.world.record(self.name))["status"]["failure"]
        return {name: found[name] for name in ("class", "message")}

    async def rolls_out(self, version: str) -> None:
        """Set the image, and wait until all pods run it, none of which has touched Liquibase."""
        await self.world.set_image(self.name, NAMES[version])
        await self.skipped(version)

    async def skipped(self, version: str) -> None:
        """Wait until all pods run a version, and have each say that it started in skip, on the schema as it is."""
        replicas = (await self.world.settled(self.name, PATIENCE))["spec"]["replicas"]
        answers = [await answer(pod) for pod in await self.world.pods(self.name)]
        assert answers == [{"version": version, "schema": self.schema.version(), "mode": "skip"}] * replicas

    async def starts(self, version: str) -> None:
        """Set the image, and wait until all replicas of it are there, running or not."""
        replicas = (await self.world.set_image(self.name, NAMES[version]))["spec"]["replicas"]

        async def there() -> bool:
            return bool(len(await self.of(version)) == replicas)

        await until(there, PATIENCE, f"{replicas} pods of {version}")

    async def of(self, version: str) -> list[Manifest]:
        """Give the pods of a version that are not on their way out."""
        found = await self.world.pods(self.name)
        return [pod for pod in found if pod["spec"]["containers"][0]["image"] == NAMES[version]]

    async def says(self, version: str, text: str, count: int) -> list[str]:
        """Wait until so many pods of a version have logged a text, and give their names."""
        found: list[str] = []

        async def said() -> bool:
            names = [pod["metadata"]["name"] for pod in await self.of(version)]
            found[:] = [name for name in names if text in await self.log(name)]
            return len(found) == count

        try:
            await until(said, PATIENCE)
        except TimeoutError:
            raise TimeoutError(f"{text!r} is said by {found}, and not by {count}") from None
        return found

    async def log(self, pod: str, **query: str) -> str:
        """Give a pod's log, nothing before it has started."""
        try:
            return await self.world.admin.text(f"{self.world.path('Pod', pod)}/log", **query)
        except ApiError as error:
            if error.status in {400, 404}:
                return ""
            raise


async def answer(pod: Manifest) -> dict[str, Any]:
    """Ask a running pod who it is."""
    url = f"http://{pod['status']['podIP']}:{PORT}/"
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as found:
        return dict(await found.json(content_type=None))


def _deployment(version: str, replicas: int, annotations: Mapping[str, str]) -> Manifest:
    labels = {"app": NAME}
    container = {
        "name": "gateway",
        "image": NAMES[version],
        "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "credentials"}}],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": PROBE,
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
        "metadata": {"name": NAME, "annotations": dict(annotations)},
        "spec": {
            "replicas": replicas,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
