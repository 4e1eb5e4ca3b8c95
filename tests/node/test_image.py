"""What the image holds and says of itself; and how its root is put together, on a Python that is not Debian's."""

import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node import product
from webhook import __version__

pytestmark = pytest.mark.timeout(900)
ASSEMBLE = product.ROOT / "image" / "root_filesystem.py"


@pytest.fixture(scope="module")
def archive() -> Iterator[tarfile.TarFile]:
    with tarfile.open(product.archive()) as opened:
        yield opened


@pytest.fixture(scope="module")
def config(archive: tarfile.TarFile) -> dict[str, Any]:
    return dict(json.loads(member(archive, str(manifest(archive)["Config"]))))


@pytest.fixture(scope="module")
def layer(archive: tarfile.TarFile) -> Iterator[dict[str, tarfile.TarInfo]]:
    """Give the members of the one layer by their paths."""
    (name,) = manifest(archive)["Layers"]
    with tarfile.open(fileobj=archive.extractfile(name)) as opened:
        yield {each.name: each for each in opened.getmembers()}


def manifest(archive: tarfile.TarFile) -> dict[str, Any]:
    (found,) = json.loads(member(archive, "manifest.json"))
    return dict(found)


def member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file
    return file.read()


def test_it_starts_the_program_as_nobody(config: dict[str, Any]) -> None:
    assert config["config"]["Entrypoint"] == ["schemagate"]
    assert config["config"]["User"] == "65532:65532"
    assert not config["config"].get("Cmd")


def test_it_says_what_it_is(config: dict[str, Any]) -> None:
    labels = config["config"]["Labels"]
    told = {name.rpartition(".")[2]: value for name, value in labels.items() if ".image." in name}
    assert told["title"] == "schemagate"
    assert told["version"] == __version__
    assert told["licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.base.name"] == product.BASE


def test_no_secret_of_the_build_is_in_it(config: dict[str, Any], layer: dict[str, tarfile.TarInfo]) -> None:
    assert not any("pip" in entry for entry in config["config"]["Env"])
    assert not [name for name in layer if name.startswith(("run/", "root/")) or name.endswith("pip.conf")]


def test_its_files_grant_nothing_and_carry_no_time_of_their_own(layer: dict[str, tarfile.TarInfo]) -> None:
    assert not [name for name, each in layer.items() if each.mode & (stat.S_ISUID | stat.S_ISGID)]
    writable = [name for name, each in layer.items() if each.mode & stat.S_IWOTH and not each.issym()]
    assert [name.strip("/") for name in writable] == ["tmp"]
    assert {each.mtime for each in layer.values()} == {0}


def test_every_module_is_compiled(layer: dict[str, tarfile.TarInfo]) -> None:
    modules = [name for name, each in layer.items() if name.endswith(".py") and each.isfile()]
    tag = next(name for name in layer if "/__pycache__/" in name).rsplit(".", 2)[1]
    compiled = {f"{Path(name).parent}/__pycache__/{Path(name).stem}.{tag}.pyc" for name in modules}
    assert len(modules) > 1000
    assert not sorted(compiled - layer.keys())


def test_a_scanner_finds_the_packages_that_its_files_are_from(layer: dict[str, tarfile.TarInfo]) -> None:
    told = {name.rpartition("/")[2] for name in layer if "/dpkg/status.d/" in name}
    assert {"libc6", "libssl3", "zlib1g"} <= told


def test_another_python_is_put_together_so_that_it_runs_alone(tmp_path: Path) -> None:
    environment, targets = tmp_path / "environment", [tmp_path / "one", tmp_path / "two"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    for target in targets:
        subprocess.run([sys.executable, ASSEMBLE, environment, target], check=True)
    program = "import asyncio, ctypes, socket, ssl, sys; print(sys.prefix, ssl.OPENSSL_VERSION)"
    argv = ["chroot", str(targets[0]), str(environment / "bin" / "python"), "-c", program]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"{environment} OpenSSL")
    assert not [name for name in tree(targets[0]) if name.endswith(("bin/sh", "bin/pip", "ctivate"))]
    assert tree(targets[0]) == tree(targets[1])


def tree(root: Path) -> dict[str, bytes | str]:
    """Give all files below a folder with what they hold, and links with where they lead."""
    found: dict[str, bytes | str] = {}
    for at, folders, files in os.walk(root):
        for path in (Path(at) / name for name in (*folders, *files)):
            name = str(path.relative_to(root))
            if path.is_symlink():
                found[name] = str(path.readlink())
            elif path.is_file():
                found[name] = path.read_bytes()
    return found
