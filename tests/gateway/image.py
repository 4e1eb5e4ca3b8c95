"""The stand-in as container images, one a version, in one archive; as root with buildah, on the product's base."""

import copy
import fcntl
import hashlib
import io
import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.gateway import programs
from tests.gateway.standin import BROKEN, NEW, NEWER, OLD, SLOW
from tests.node import product

NAMES: Final = {version: f"schemagate.test/standin:{version}" for version in (OLD, NEW, NEWER, BROKEN, SLOW)}
_AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def archive() -> Path:
    """Give the images, in the form of `docker save`; NotBuiltError when they have not been made."""
    path = _path()
    if not path.exists():
        raise programs.NotBuiltError("the stand-in's images are not built yet. Run `make e2e` as root")
    return path


def build() -> Path:
    """Build the images if they are missing, one process at a time on this machine; give where they lie.

    The base is the product's own (`tests.node.product`).
    """
    path = _path()
    with (programs.home().parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            sys.stderr.write("building the images of the Gateway's stand-in (about a minute on two cores)\n")
            with tempfile.TemporaryDirectory(dir=path.parent, prefix="image-") as scratch:
                _build(Path(scratch), path)
    return path


def _path() -> Path:
    digest = hashlib.sha256(programs.home().name.encode())
    for file in sorted(programs.STANDIN.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(programs.STANDIN)}\0".encode() + file.read_bytes())
    return programs.home().parent / f"images-{digest.hexdigest()[:16]}.tar"


def _build(scratch: Path, path: Path) -> None:
    product.make_base()
    context, single, fresh = scratch / "context", scratch / "single.tar", scratch / "images.tar"
    context.mkdir()
    shutil.copytree(programs.require() / "lib", context / "lib")
    shutil.copytree(programs.CHANGELOGS, context / "changelogs")
    shutil.copy(programs.STANDIN / "entrypoint.sh", context)
    options = ["--pull-never", "--timestamp=0", f"--build-arg=BASE={product.BASE}", f"--build-arg=VERSION={OLD}"]
    if _AUTHORITIES.exists():
        options.append(f"--secret=id=authorities,src={_AUTHORITIES}")
    product.buildah(
        "bud", *options, f"--file={programs.STANDIN / 'Dockerfile'}", f"--tag={NAMES[OLD]}", str(context)
    )
    product.buildah("push", "--quiet", NAMES[OLD], f"docker-archive:{single}:{NAMES[OLD]}")
    product.buildah("rmi", NAMES[OLD])
    _name_versions(single, fresh)
    fresh.rename(path)


def _name_versions(single: Path, target: Path) -> None:
    """Write an archive with an image a version; they differ in one variable, so that all share their layers."""
    with tarfile.open(single) as source, tarfile.open(target, "w") as images:
        (entry,) = json.loads(_read(source, "manifest.json"))
        config = json.loads(_read(source, entry["Config"]))
        for member in source.getmembers():
            if member.name not in {"manifest.json", "repositories", entry["Config"]}:
                images.addfile(member, source.extractfile(member) if member.isfile() else None)
        manifest = []
        for version, name in NAMES.items():
            content = json.dumps(_versioned(config, version)).encode()
            file = f"{hashlib.sha256(content).hexdigest()}.json"
            _add(images, file, content)
            manifest.append({"Config": file, "RepoTags": [name], "Layers": entry["Layers"]})
        _add(images, "manifest.json", json.dumps(manifest).encode())


def _versioned(config: dict[str, Any], version: str) -> dict[str, Any]:
    """Give an image's configuration as its Dockerfile makes it with another VERSION."""
    made = copy.deepcopy(config)
    before = [entry for entry in made["config"]["Env"] if not entry.startswith("GATEWAY_VERSION=")]
    made["config"]["Env"] = [*before, f"GATEWAY_VERSION={version}"]
    return made


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file, name
    return file.read()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
