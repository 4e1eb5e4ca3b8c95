"""The product's image, made by the real Dockerfile on a base from Debian's archive: no registry, no Docker engine.

Kept in a cache of the user by a hash of all that goes into it. As root, with buildah and debootstrap.
"""

import configparser
import fcntl
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.controlplane.binaries import NotBuiltError
from webhook import __version__

ROOT: Final = Path(__file__).parents[2]
NAME: Final = f"schemagate:{__version__}"
BASE: Final = "localhost/schemagate-base:debian"
INPUTS: Final = (
    ".dockerignore",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "certs",
    "image",
    "pyproject.toml",
    "requirements/build.txt",
    "requirements/runtime.txt",
    "webhook",
)
_AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_KEPT: Final = 4
"""How many images stay, those that were asked for last: one run needs two."""


def cache() -> Path:
    """Give the folder that keeps images between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "schemagate" / "image"


def archive() -> Path:
    """Give the image of this work tree, in the form of `docker save`; NotBuiltError when it has not been made.

    SCHEMAGATE_IMAGE_ARCHIVE names one to take instead, built by another engine or on another base.
    """
    path = _given() or path_of(ROOT, NAME)
    if not path.exists():
        raise NotBuiltError(f"the image is not built yet: there is no {path}. Run `make e2e` as root")
    return path


def build() -> Path:
    """Build the image of this work tree if it is missing, and give its path.

    Nothing is built where SCHEMAGATE_IMAGE_ARCHIVE names one.
    """
    return archive() if _given() else build_from(ROOT, NAME)


def build_from(source: Path, name: str) -> Path:
    """Build the image of a source tree if it is missing, one process at a time on this machine; give its path."""
    with _locked():
        path = path_of(source, name)
        if not path.exists():
            _make_base()
            sys.stderr.write(f"building {name} (about a minute on two cores)\n")
            _build(source, name, path)
        path.touch()
        for old in sorted(cache().glob("schemagate-*.tar"), key=lambda each: each.stat().st_mtime)[:-_KEPT]:
            old.unlink()
        return path


def make_base() -> None:
    """Make the base image unless it is there, one process at a time on this machine."""
    with _locked():
        _make_base()


@contextmanager
def _locked() -> Iterator[None]:
    """Have the cache and buildah's store to oneself."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _given() -> Path | None:
    given = os.environ.get("SCHEMAGATE_IMAGE_ARCHIVE")
    return Path(given) if given else None


def path_of(source: Path, name: str) -> Path:
    """Give where the image of a source tree belongs: what it is called and made from are in the file's name."""
    digest = hashlib.sha256(name.encode())
    for part in INPUTS:
        top = source / part
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(source)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return cache() / f"schemagate-{digest.hexdigest()[:16]}.tar"


def _make_base() -> None:
    """Make the base image, Debian's smallest system with Python, unless the store has it."""
    if buildah("images", "--noheading", "--format={{.ID}}", f"--filter=reference={BASE}").strip():
        return
    release = dict(line.split("=", 1) for line in shlex.split(Path("/etc/os-release").read_text()) if "=" in line)
    suite = release.get("VERSION_CODENAME", "")
    targets = ("Created-By: Packages", f"Codename: {suite}", "Component: main")
    mirrors = _mirrors(*targets)
    if not mirrors:  # an image of Debian has none of its lists
        _run("apt-get", "-qq", "update")
        mirrors = _mirrors(*targets)
    if not mirrors:
        raise NotBuiltError("the base image is made from this machine's Debian: apt names no archive of it")
    sys.stderr.write(f"making a base image from Debian {suite} (first run only, about 2 minutes)\n")
    with tempfile.TemporaryDirectory(dir=cache(), prefix="base-") as scratch:
        system = Path(scratch) / "system"
        packages = "--include=ca-certificates,python3,python3-venv"
        _run("debootstrap", "--variant=minbase", packages, suite, str(system), mirrors[0], seconds=1200)
        tar = Path(scratch) / "system.tar"
        _run(
            "tar", "-C", str(system), "--exclude=./var/cache/apt", "--exclude=./var/lib/apt", "-cf", str(tar), "."
        )
        container = buildah("from", "scratch").strip()
        buildah("add", "--quiet", container, str(tar), "/")
        buildah("config", "--env=PATH=/usr/sbin:/usr/bin:/sbin:/bin", container)
        buildah("commit", "--quiet", "--rm", container, BASE)


def _mirrors(*targets: str) -> list[str]:
    return _run("apt-get", "indextargets", "--format=$(REPO_URI)", *targets).split()


def _build(source: Path, name: str, path: Path) -> None:
    """Build by the Dockerfile and write the archive under a name that is not seen before it is whole."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with _secrets() as secrets:
        arguments = [f"--build-arg=BASE={BASE}", f"--build-arg=VERSION={__version__}"]
        buildah("bud", "--pull-never", "--timestamp=0", *arguments, *secrets, f"--tag={name}", str(source))
    buildah("push", "--quiet", name, f"docker-archive:{fresh}:{name}")
    buildah("rmi", name)
    fresh.rename(path)


@contextmanager
def _secrets() -> Iterator[list[str]]:
    """Give pip in the build the settings of pip here, and the authorities that this machine trusts."""
    settings = configparser.RawConfigParser()
    settings["global"] = {}
    for line in _run(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        name = name.rpartition(".")[2]
        if name.endswith(("index-url", "trusted-host", "proxy", "timeout")):  # nothing that names a path of ours
            settings["global"][name] = value.strip("'\"")
    with tempfile.NamedTemporaryFile("w", prefix="pip-", suffix=".conf") as file:  # made with mode 0600
        settings.write(file)
        file.flush()
        found = [f"--secret=id=pip.conf,src={file.name}"]
        if _AUTHORITIES.exists():
            found.append(f"--secret=id=authorities,src={_AUTHORITIES}")
        yield found


def buildah(*arguments: str) -> str:
    """Run buildah on a store of our own, with nothing but chroot around RUN: there is no daemon."""
    store = cache() / "storage"
    options = (f"--root={store}", f"--runroot={store / 'run'}", "--storage-driver=overlay")
    return _run("buildah", *options, *arguments, seconds=1200)


def _run(*argv: str, seconds: float = 300) -> str:
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    done = subprocess.run(
        argv,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        words = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise NotBuiltError(f"`{' '.join(argv[:6])} …` ended with {done.returncode}:\n{words}")
    return done.stdout
