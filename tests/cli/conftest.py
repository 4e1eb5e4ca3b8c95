"""The command line: run in this process for its answers, in one of its own for its signals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from webhook.cli.main import run

CASES = Path(__file__).parent.parent / "testdata" / "cases"
PATIENCE = 30.0


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Cli = Callable[..., Done]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def _cli(*arguments: object) -> Done:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Done(code, captured.out, captured.err)

    return _cli


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def _write(*manifests: Any, name: str = "objects.yaml") -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump_all(manifests))
        return path

    return _write


class Process:
    """A schemagate of its own, whose output is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def line(self, part: str) -> str:
        """Wait for a line with this part."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if part in line:
                return line.strip()
        pytest.fail(f"no line with {part!r} in {self.lines}")

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, "\n".join([*self.lines, out]), err


@contextmanager
def _process(*arguments: object, **environment: str) -> Iterator[Process]:
    command = [sys.executable, "-W", "error", "-m", "webhook", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **environment}
    ) as process:
        try:
            yield Process(process)
        finally:
            process.kill()


@pytest.fixture
def start() -> Callable[..., Any]:
    return _process
