"""A machine of its own for a node: namespaces for network, mounts and processes, held by one process.

With that process the kernel ends all that runs inside and takes mounts, interfaces and iptables rules away, so
that a run that was killed leaves cgroups alone, which the next one removes.
"""

import contextlib
import ctypes
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.controlplane.processes import Component, Identity, Spawner, started, wait_until

ADDRESS: Final = "10.90.0.1"
PODS: Final = "10.91.0.0/24"
SERVICES: Final = "10.0.0.0/24"
PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_CGROUPS: Final = Path("/sys/fs/cgroup")
_PREFIX: Final = "schemagate-node-"
_NUMBERS: Final = itertools.count(1)
_NEW_NETWORK: Final = 0x40000000  # CLONE_NEWNET of <sched.h>
_SETUP: Final = (
    # Sockets, iptables' lock and logs of pods, wherever a program insists on their usual place.
    "mount -t tmpfs tmpfs /run",
    "mount -t tmpfs tmpfs /var/log",
    "mkdir -p /run/lock /run/netns",
    "ip link set lo up",
    "ip link add node0 type veth peer name wall",
    "ip link set wall up",
    f"ip address add {ADDRESS}/24 dev node0",
    "ip link set node0 up",
    # Where a Service's address would leave the machine, if kube-proxy did not turn it into a pod's before.
    f"ip route add {SERVICES} dev node0",
)

_KERNEL: Final = {
    "kernel/keys/root_maxbytes": 25000000,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
}
"""What a kubelet writes into the kernel unless it finds it so (`setupKernelTunables` in its container manager)."""


class MachineError(Exception):
    """This machine cannot hold a node, or a command on the node failed; the message says what to do."""


class Machine:
    """The namespaces of one node. Everything in them ends with this process, however that ends."""

    def __init__(self, folder: Path, workload: Path) -> None:
        """Take a folder for the log, and the static program that is the first process inside."""
        self._workload = workload
        self._spawner = Spawner(detached=False)
        kinds = ("--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc")
        argv = ["/usr/bin/unshare", *kinds, str(workload), "pause"]
        self._component = Component("machine", argv, folder / "machine.log")
        self._number = next(_NUMBERS)
        self._first: Identity | None = None
        self._outside: int | None = None

    @property
    def first(self) -> Identity:
        """The first process inside."""
        assert self._first, "the machine has not been started"
        return self._first

    @property
    def cgroup(self) -> str:
        """The node's cgroup, below the root of every hierarchy."""
        return f"{_PREFIX}{os.getpid()}-{started(os.getpid())}-{self._number}"

    def start(self) -> None:
        """Make the namespaces, the node's address and its cgroups; remove cgroups that dead runs have left."""
        if os.geteuid():
            raise MachineError("a real node needs root on Linux: run `make e2e` as root")
        remove_leftovers()
        self._component.start(self._spawner, {"PATH": PATH})
        wait_until(self._begun, 60, lambda: f"no namespaces after 60 s:\n{self._component.tail()}")
        for command in _SETUP:
            self.run(*command.split())
        for name, value in _KERNEL.items():
            # These belong to the whole machine: inside, files that say what the kubelet wants take their place.
            file, folder = f"/run/sys/{name}", f"/run/sys/{name.rpartition('/')[0]}"
            self.run(
                "sh", "-c", f"mkdir -p {folder} && echo {value} >{file} && mount --bind {file} /proc/sys/{name}"
            )
        for hierarchy in _hierarchies():
            (hierarchy / self.cgroup).mkdir()

    def enter_network(self) -> None:
        """Take the calling thread into the node's network, and with it what it starts from now on."""
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        inside = os.open(f"/proc/{self.first.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _set_namespace(inside)
        finally:
            os.close(inside)

    def leave_network(self) -> None:
        """Take the calling thread back to where it was; nothing when it has not entered."""
        if self._outside is not None:
            _set_namespace(self._outside)
            os.close(self._outside)
            self._outside = None

    def command(self, *argv: str) -> list[str]:
        """Give the command line that runs a program inside."""
        namespaces = ("--mount", "--pid", "--net", f"--target={self.first.pid}")
        return ["/usr/bin/nsenter", *namespaces, "--", *argv]

    def run(self, *argv: str, seconds: float = 60) -> str:
        """Run a program inside to its end and give its output; MachineError with its words when it fails."""
        done = subprocess.run(
            self.command(*argv),
            env={"PATH": PATH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise MachineError(f"`{' '.join(argv)}` ended with {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def stop(self) -> None:
        """End everything inside and remove the cgroups."""
        self._component.stop()
        if self._first:
            wait_until(lambda: not self.first.alive(), 60, "the node's processes do not end")
        self._spawner.close()
        _remove(self.cgroup)

    def _begun(self) -> bool:
        self._component.check()
        pid = self._component.pid
        for child in _children(pid):
            with contextlib.suppress(OSError):
                # Until then it is still unshare itself, which mounts.
                if Path(f"/proc/{child}/exe").readlink() == self._workload.resolve():
                    self._first = Identity(child, started(child) or 0)
                    return True
        return False


def remove_leftovers() -> None:
    """Remove the cgroups of runs whose process is gone."""
    for name in {found.name for hierarchy in _hierarchies() for found in hierarchy.glob(f"{_PREFIX}*")}:
        pid, start, _ = name.removeprefix(_PREFIX).split("-")
        if not Identity(int(pid), int(start)).alive():
            # In another pid namespace it may live, unseen from here.
            with contextlib.suppress(TimeoutError):
                _remove(name)


def _remove(name: str) -> None:
    """Remove a cgroup with those below it; its last processes may still be on their way out."""

    def gone() -> bool:
        for hierarchy in _hierarchies():
            for folder, _, _ in os.walk(hierarchy / name, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        return not any((hierarchy / name).exists() for hierarchy in _hierarchies())

    wait_until(gone, 60, f"cgroups named {name} cannot be removed: processes in them do not end")


def _hierarchies() -> list[Path]:
    """Give the cgroup mounts: one in version 2, one a controller in version 1."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [each for each in _CGROUPS.iterdir() if each.is_dir() and (each / "cgroup.procs").exists()]


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def _set_namespace(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _NEW_NETWORK):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
