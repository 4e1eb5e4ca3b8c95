"""The real Helm, 3 and 4, with a chart in the shape of the Gateway's."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.controlplane import binaries
from tests.live.test_cli import Done, Person
from tests.live.world import World

CHART: Final = Path(__file__).parents[1] / "testdata" / "charts" / "gateway"
RELEASE: Final = "my-gateway"


class Helm:
    """One release in a test's namespace, by one of the two programs: ``helm`` or ``helm4``."""

    def __init__(self, world: World, program: str, folder: Path) -> None:
        """Take a folder of the test's own, which becomes Helm's home."""
        self._world = world
        self._program = str(binaries.paths()[program])
        self._person = Person(world.plane.admin_kubeconfig, folder)
        self.rollback_on_failure: Final = "--atomic" if program == "helm" else "--rollback-on-failure"

    async def upgrade(self, image: str, *flags: str) -> Done:
        """Install or upgrade the release to an image."""
        return await self._person.runs(*self._upgrade(image), *flags)

    @asynccontextmanager
    async def upgrading(self, image: str, *flags: str) -> AsyncIterator[Any]:
        """Start to upgrade, and give the process."""
        async with self._person.starts(*self._upgrade(image), *flags) as process:
            yield process

    async def rollback(self, revision: int, *flags: str) -> Done:
        """Roll the release back to a revision."""
        return await self._person.runs(self._program, "rollback", RELEASE, str(revision), *self._where, *flags)

    async def history(self) -> list[str]:
        """Give what became of each revision, oldest first: ``deployed``, ``failed``, ``superseded``."""
        done = await self._person.runs(self._program, "history", RELEASE, *self._where, "-o", "json")
        return [revision["status"] for revision in json.loads(done.out)]

    @property
    def _where(self) -> tuple[str, ...]:
        return "--namespace", self._world.namespace

    def _upgrade(self, image: str) -> tuple[str, ...]:
        database = f"database=jdbc:mysql://{self._world.database}:3306/ssg"
        command = (self._program, "upgrade", "--install", RELEASE, str(CHART), *self._where)
        repository, _, tag = image.rpartition(":")
        assert repository == "docker.io/caapim/gateway"
        # The heap follows the image: what is written beside a Deployment shows whether all of a release is undone.
        return (*command, "--set", f"image.tag={tag}", "--set", database, "--set", f"heap={tag}")
