"""Assemble the image's root: an interpreter, its standard library, one virtual environment and what they link to.

`python3 root_filesystem.py VENV TARGET`, in the build stage of the Dockerfile; nothing but the standard library.
Files of Debian's packages are told of in `/var/lib/dpkg/status.d`, where scanners of images look for them.
"""

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

USER = 65532
NOT_NEEDED = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "test",
        "tests",
        "tkinter",
        "turtledemo",
        "venv",
    }
)
"""Folders of the standard library that no server needs."""


class Root:
    """A folder that becomes `/`: files are added under the path that they have here."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.sources: set[Path] = set()
        """The files that were copied, by their paths with all links resolved."""

    def add(self, path: Path) -> None:
        """Copy one file, or make one folder; links on the way to it, such as `/lib`, stay links."""
        at = Path("/")
        for index, part in enumerate(path.parts[1:], start=2):
            at /= part
            if at.is_symlink():
                link = at.readlink()
                self._link(at, link)
                rest = path.parts[index:]
                self.add(Path(os.path.normpath(at.parent / link / Path(*rest))))
                return
        copy = self.inside(path)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            copy.chmod(path.stat().st_mode & 0o755)
            self.sources.add(path)

    def add_tree(self, folder: Path, *, without: frozenset[str] = frozenset()) -> None:
        """Copy all files below a folder, but none below folders of these names."""
        for at, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name not in without]
            for name in (*files, *(each for each in folders if (Path(at) / each).is_symlink())):
                if (Path(at) / name).exists():
                    self.add(Path(at) / name)

    def write(self, path: str, text: str) -> None:
        """Write a file that has no original here."""
        copy = self.inside(Path(path))
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)

    def inside(self, path: Path) -> Path:
        """Give where a path lies within the target."""
        return self.target / path.relative_to("/")

    def _link(self, at: Path, link: Path) -> None:
        copy = self.inside(at)
        if not copy.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(link)


def assemble(environment: Path, target: Path) -> None:
    """Fill the target, which must not exist yet."""
    target.mkdir(parents=True)
    root = Root(target)
    for script in environment.glob("bin/*ctivate*"):
        script.unlink()  # for shells
    root.add_tree(environment)
    for name in ("stdlib", "platstdlib"):
        root.add_tree(Path(sysconfig.get_path(name)), without=NOT_NEEDED)
    for extra in ("/etc/ssl/certs/ca-certificates.crt", "/etc/os-release"):
        if Path(extra).exists():
            root.add(Path(extra))
    for library in sorted(_libraries(root.sources)):
        root.add(library)
    root.write("/etc/passwd", f"root:x:0:0:root:/:/none\nschemagate:x:{USER}:{USER}:schemagate:/:/none\n")
    root.write("/etc/group", f"root:x:0:\nschemagate:x:{USER}:\n")
    root.write("/etc/nsswitch.conf", "hosts: files dns\n")
    for name, stanza in _packages(root.sources).items():
        root.write(f"/var/lib/dpkg/status.d/{name}", stanza)
    (target / "tmp").mkdir(exist_ok=True)
    (target / "tmp").chmod(0o1777)
    _compile(target)
    _set_times(target, int(os.environ.get("SOURCE_DATE_EPOCH", "0")))


def _libraries(files: set[Path]) -> set[Path]:
    """Give the shared libraries that programs among the files link to, and what glibc loads by name."""
    found: set[Path] = set()
    for file in files:
        with file.open("rb") as opened:
            if opened.read(4) != b"\x7fELF":
                continue
        argv = ["/usr/bin/ldd", str(file)]
        told = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603
        for line in told.stdout.splitlines():
            if "not found" in line:
                raise SystemExit(f"{file} needs a library that is not there: {line.strip()}")
            # `libc.so.6 => /lib/libc.so.6 (0x…)`, or `/lib64/ld-linux.so.2 (0x…)`; the kernel's own has no path.
            words = line.replace("=>", " ").split()
            found.update(Path(word) for word in words if word.startswith("/"))
    # Threads that end need it, and glibc loads it only then.
    found.update(library.parent / "libgcc_s.so.1" for library in list(found) if library.name.startswith("libc.so"))
    return {library for library in found if library.exists()}


def _packages(sources: set[Path]) -> dict[str, str]:
    """Give what dpkg knows of the packages that the files belong to, by name."""
    database = Path("/var/lib/dpkg")
    owners: dict[str, str] = {}
    for listing in database.glob("info/*.list"):
        name = listing.name.removesuffix(".list").partition(":")[0]
        for line in listing.read_text().splitlines():
            # The folders resolved (`/lib` is a link), but not the file: a link belongs to another package.
            folder, _, file = line.rpartition("/")
            owners[f"{os.path.realpath(folder)}/{file}"] = name
    wanted = {owners[str(source)] for source in sources if str(source) in owners}
    stanzas = (database / "status").read_text().split("\n\n") if wanted else []
    named = {stanza.partition("\n")[0].removeprefix("Package: "): f"{stanza}\n" for stanza in stanzas}
    return {name: named[name] for name in sorted(wanted)}


def _compile(target: Path) -> None:
    """Compile all modules; unchecked at start, as the root is read-only, and alike in every build."""
    done = compileall.compile_dir(
        target,
        quiet=1,
        stripdir=str(target),
        prependdir="/",
        maxlevels=50,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        raise SystemExit("some modules could not be compiled: their errors are above")


def _set_times(target: Path, seconds: int) -> None:
    for path in _all(target):
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def _all(target: Path) -> Iterator[Path]:
    """Give everything, folders after what is in them."""
    for at, folders, files in os.walk(target, topdown=False):
        yield from (Path(at) / name for name in (*folders, *files))
    yield target


if __name__ == "__main__":
    assemble(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
