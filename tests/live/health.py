"""What Argo CD, Flux and kstatus make of an object, by the libraries that they decide with."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.controlplane import binaries

RECIPES: Final = Path(__file__).parents[2] / "docs" / "gitops"
FLUX: Final = RECIPES / "flux-kustomization.yaml"
KEY: Final = "resource.customizations.health.schemagate.io_GatewayMigration"


def lua() -> str:
    """Give the script of the recipe for Argo CD, as its ConfigMap holds it."""
    script: str = yaml.safe_load((RECIPES / "argocd-cm.yaml").read_text(encoding="utf-8"))["data"][KEY]
    return script


def argocd(objects: Sequence[dict[str, Any]], folder: Path, script: str = "") -> list[dict[str, str]]:
    """Give the health of each object: ``status`` and ``message``. The script is the recipe's, or another."""
    path = folder / "health.lua"
    path.write_text(script or lua(), encoding="utf-8")
    return _asked(objects, "argocd", str(path))


def flux(objects: Sequence[dict[str, Any]], kustomization: Path = FLUX) -> list[dict[str, str]]:
    """Give the status of each object by the expressions of the recipe for Flux, or of another file."""
    return _asked(objects, "flux", str(kustomization))


def kstatus(objects: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Give the status of each object where nothing is said about its kind."""
    return _asked(objects, "kstatus")


def _asked(objects: Sequence[dict[str, Any]], *arguments: str) -> list[dict[str, str]]:
    command = [str(binaries.paths()["health"]), *arguments]
    done = subprocess.run(command, input=json.dumps(objects), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    verdicts: list[dict[str, str]] = json.loads(done.stdout)
    return verdicts
