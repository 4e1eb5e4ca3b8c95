"""The product one commit ago, as somebody has it who upgrades: manifests and image from git's history."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Final

from tests.controlplane.binaries import NotBuiltError
from tests.node import product

NAME: Final = "schemagate:previous"
_PARTS: Final = (*product.INPUTS, "manifests")


def commit() -> str:
    """Give the commit to upgrade from: that before the last one, or what SCHEMAGATE_UPGRADE_FROM names.

    In a clone of one commit it is that one: the upgrade changes registration and definition all the same.
    """
    return os.environ.get("SCHEMAGATE_UPGRADE_FROM") or ("HEAD~1" if _known("HEAD~1") else "HEAD")


def _known(name: str) -> bool:
    argv = ["git", "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"]
    return subprocess.run(argv, cwd=product.ROOT, capture_output=True, check=False).returncode == 0


def extract(folder: Path) -> Path:
    """Write what that commit holds of image and manifests into an empty folder, and give that."""
    argv = ["git", "archive", commit(), "--", *_PARTS]
    done = subprocess.run(argv, cwd=product.ROOT, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode().strip()
        raise NotBuiltError(
            f"no commit to upgrade from ({words}): name one of this repository by SCHEMAGATE_UPGRADE_FROM"
        )
    with tarfile.open(fileobj=BytesIO(done.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def build() -> Path:
    """Build that commit's image if it is missing, and give its path."""
    with tempfile.TemporaryDirectory(prefix="schemagate-previous-") as folder:
        return product.build_from(extract(Path(folder)), NAME)


def archive(source: Path) -> Path:
    """Give the image of a tree that was extracted; NotBuiltError when it has not been made."""
    path = product.path_of(source, NAME)
    if not path.exists():
        raise NotBuiltError(f"the image of {commit()} is not built yet: run `make e2e` as root")
    return path


def overlay(source: Path) -> Path:
    """Give a kustomization of that commit's overlay with certificates of our own, under the image's name here."""
    folder = source / "manifests" / "overlays" / "previous"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    name, _, tag = NAME.partition(":")
    (folder / "kustomization.yaml").write_text(f"""\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../self-managed]
images: [{{name: {name}, newTag: {tag}}}]
""")
    return folder
