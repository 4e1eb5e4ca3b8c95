"""The floors hold for a reason that the import contract cannot see: modules must load alone and do no work."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("webhook", "certs")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
)


def test_the_import_contract_holds() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", MODULES)
def test_every_module_loads_alone_and_says_nothing(module: str) -> None:
    """A loop of imports shows when its members are loaded first, in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", f"import {module}"], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
