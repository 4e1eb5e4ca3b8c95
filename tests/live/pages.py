"""The commands of a page of the documentation, run as they stand there."""

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.cluster import ControlPlane

DOCS = Path(__file__).parents[2] / "docs"
_PATIENCE = 120
_SECTION = re.compile(r"(?m)^#+ (.+)$")
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_SET = re.compile(r"(?m)^([A-Z]+)=")


@dataclass(frozen=True)
class Ran:
    """How a block of commands ended; ``out`` holds what it said on both streams."""

    code: int
    out: str


class Page:
    """A page: the first block says which variables the reader sets, the others use them."""

    def __init__(self, name: str) -> None:
        text = (DOCS / name).read_text(encoding="utf-8")
        heads = list(_SECTION.finditer(text))
        ends = [head.start() for head in heads[1:]] + [len(text)]
        self.blocks = {
            head[1]: _BLOCK.findall(text[head.end() : end]) for head, end in zip(heads, ends, strict=True)
        }
        title = heads[0][1]
        (first,) = self.blocks.pop(title)
        self.variables = set(_SET.findall(first))

    def used(self) -> set[str]:
        """Give the variables that the blocks refer to."""
        return {
            name for found in self.blocks.values() for block in found for name in re.findall(r"\$([A-Z]+)", block)
        }


class Reader:
    """Pastes blocks of a page into a shell, with a kubeconfig and with variables set as the page asks."""

    def __init__(self, page: Page, plane: ControlPlane, folder: Path, variables: Mapping[str, str]) -> None:
        assert set(variables) == page.variables
        self._page, self._folder = page, folder
        programs = folder / "programs"
        programs.mkdir()
        (programs / "kubectl").symlink_to(plane.kubectl)
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = {"PATH": path, "HOME": str(folder), "KUBECONFIG": str(plane.admin_kubeconfig)}
        self._variables = dict(variables)

    async def runs(self, section: str, number: int = 0, **variables: str) -> Ran:
        """Run a block of a section to its first command that fails."""
        assert set(variables) <= self._page.variables
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", self._page.blocks[section][number]),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self._environment, **self._variables, **variables},
            cwd=self._folder,
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert "Traceback" not in out.decode()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode())

    async def done(self, section: str, number: int = 0, **variables: str) -> str:
        """Run a block, all of which has to succeed; gives what it said."""
        ran = await self.runs(section, number, **variables)
        assert ran.code == 0, ran
        return ran.out
