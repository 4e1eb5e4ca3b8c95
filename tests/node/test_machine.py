"""What a node takes from the machine, it gives back, whatever becomes of the process that made it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.controlplane.processes import Identity, started, wait_until
from tests.node.machine import ADDRESS, Machine, MachineError, remove_leftovers

# Starts a machine with a process in its cgroup, tells both pids, and waits to be killed.
HOLDER = """
import subprocess, sys
from pathlib import Path
from tests.node.machine import Machine
machine = Machine(Path(sys.argv[1]), Path(sys.argv[2]))
machine.start()
enter = f"echo $$ > /sys/fs/cgroup/{sys.argv[3]}{machine.cgroup}/cgroup.procs; exec sleep 600"
subprocess.Popen(machine.command("/bin/sh", "-c", enter))
print(machine.first.pid, machine.cgroup, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def workload() -> Path:
    return binaries.paths(binaries.NODE)["workload"]


@pytest.fixture
def machine(tmp_path: Path, workload: Path) -> Iterator[Machine]:
    """Give one that is not started; whatever becomes of the test, it ends."""
    made = Machine(tmp_path, workload)
    yield made
    made.stop()


def cgroups(name: str) -> list[Path]:
    return [*Path("/sys/fs/cgroup").glob(f"*/{name}"), *Path("/sys/fs/cgroup").glob(name)]


def test_a_killed_run_leaves_nothing_that_runs_and_the_next_removes_its_cgroups(
    tmp_path: Path, workload: Path
) -> None:
    controller = "" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "pids/"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), str(workload), controller],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert holder.stdout
    pid, name = holder.stdout.readline().split()
    first = Identity(int(pid), started(int(pid)) or 0)
    inside = Path(f"/sys/fs/cgroup/{controller}{name}/cgroup.procs")
    wait_until(lambda: inside.read_text().split(), 60, "the process is in its cgroup")
    (sleeping,) = (Identity(int(each), started(int(each)) or 0) for each in inside.read_text().split())

    holder.kill()
    holder.communicate()
    wait_until(lambda: not first.alive() and not sleeping.alive(), 60, "all that ran inside is gone")
    assert cgroups(name)
    remove_leftovers()
    assert not cgroups(name)


def outside(*argv: str) -> str:
    """Run a program in the machine's own network, where the parent is: this thread may be in a node's by now."""
    argv = ("nsenter", f"--net=/proc/{os.getppid()}/ns/net", *argv)
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_a_node_leaves_the_machine_as_it_was(machine: Machine) -> None:
    def seen() -> tuple[str, list[str], str]:
        # Less the comments, which hold the time, and what was counted.
        rules = [
            line.partition(" [")[0] for line in outside("iptables-save").splitlines() if not line.startswith("#")
        ]
        return outside("ip", "-o", "link"), rules, Path("/proc/self/mounts").read_text()

    before = seen()
    machine.start()
    assert ADDRESS in machine.run("ip", "address")
    assert ADDRESS not in outside("ip", "address")
    machine.run("iptables", "-t", "nat", "-N", "ONLY-INSIDE")
    assert "ONLY-INSIDE" in machine.run("iptables-save")
    assert machine.run("mount").count("tmpfs on /run ") >= 1
    assert seen() == before
    machine.stop()
    assert seen() == before
    assert not cgroups(machine.cgroup)


def test_the_kernel_settings_that_a_kubelet_writes_are_not_the_machines(machine: Machine) -> None:
    machine.start()
    for name in ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom"):
        assert machine.run("stat", "--file-system", "--format=%T", f"/proc/sys/{name}").strip() == "tmpfs"
    before = Path("/proc/sys/kernel/panic").read_text()
    machine.run("sh", "-c", "echo 11 >/proc/sys/kernel/panic")
    assert machine.run("cat", "/proc/sys/kernel/panic") == "11\n"
    assert Path("/proc/sys/kernel/panic").read_text() == before


def test_only_the_calling_thread_enters_the_network(machine: Machine) -> None:
    def network() -> Path:
        return Path("/proc/thread-self/ns/net").readlink()

    machine.start()
    outside, inside = network(), []

    def enter() -> None:
        machine.enter_network()
        inside.append(network())
        machine.leave_network()
        inside.append(network())

    entering = threading.Thread(target=enter)
    entering.start()
    entering.join(10)
    assert inside[0] != outside
    assert inside[1] == outside == network()


def test_a_command_that_fails_inside_says_what_it_said(machine: Machine) -> None:
    machine.start()
    with pytest.raises(MachineError, match=r"`ip link show nothing` ended with 1: .*nothing"):
        machine.run("ip", "link", "show", "nothing")


def test_who_is_not_root_is_told(machine: Machine) -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(MachineError, match="run `make e2e` as root"):
            machine.start()
    finally:
        os.seteuid(0)


def test_a_first_process_that_is_told_to_end_ends(workload: Path) -> None:
    pause = subprocess.Popen([workload, "pause"])
    pause.send_signal(signal.SIGTERM)
    assert pause.wait(10) in {0, -signal.SIGTERM}
