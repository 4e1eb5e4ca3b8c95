"""What a node needs of the machine: Debian's packages, installed by root, or an error that names the command."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.node.machine import MachineError

PROGRAMS: Final = {
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "/usr/sbin/iptables": "iptables",
    "/usr/sbin/conntrack": "conntrack",
    "/usr/bin/unshare": "util-linux",
    "/sbin/ip": "iproute2",
    "/usr/bin/buildah": "buildah",
    "/usr/sbin/debootstrap": "debootstrap",
}
"""The package of every program, as Debian 12 has them."""

_PATIENT: Final = ("-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5")
"""Another apt may hold the lock; a mirror may fail once."""


def missing(programs: Mapping[str, str] = PROGRAMS) -> list[str]:
    """Give the packages whose programs are not there."""
    return sorted({package for program, package in programs.items() if not Path(program).exists()})


def require(programs: Mapping[str, str] = PROGRAMS) -> None:
    """Raise MachineError, which names the command to run, unless everything is there."""
    if packages := missing(programs):
        raise MachineError(f"missing: {', '.join(packages)}. Run `make e2e` as root, or `{_command(packages)}`")


def install(programs: Mapping[str, str] = PROGRAMS) -> None:
    """Install what is missing with apt; MachineError when that is not ours to do here."""
    packages = missing(programs)
    if not packages:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise MachineError(f"missing: {', '.join(packages)}. Install them first: `{_command(packages)}` as root")
    sys.stderr.write(f"installing {', '.join(packages)}\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        command = ["apt-get", "-qq", *_PATIENT, *arguments]
        if subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode:
            raise MachineError(f"`{' '.join(command)}` failed: its words are above")


def _command(packages: list[str]) -> str:
    return f"apt-get install --no-install-recommends {' '.join(packages)}"
