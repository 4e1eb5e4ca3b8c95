"""`up` and `down`, programs that end with who started them, and a cache that is filled by command only."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane import binaries, detached
from tests.controlplane.processes import Identity, Spawner, started, wait_until

ROOT = Path(__file__).parents[2]


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.controlplane", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_up_outlives_its_command_and_down_ends_just_that(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    up = command("up", "--state", str(folder))
    assert up.returncode == 0, up.stderr
    kubeconfig = Path(up.stdout.splitlines()[0].removeprefix("export KUBECONFIG="))
    assert kubeconfig.is_file()
    processes = json.loads((folder / detached.STATE).read_text())["processes"]
    identities = [Identity(**each) for each in processes.values()]
    assert len(identities) == 5
    assert all(each.alive() for each in identities)
    assert command("up", "--state", str(folder)).returncode == 1

    down = command("down", "--state", str(folder))
    assert down.returncode == 0, down.stderr
    assert not any(each.alive() for each in identities)
    assert not folder.exists()


def test_down_spares_a_process_that_got_the_pid_later(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        begun = started(bystander.pid)
        assert begun
        state = {"processes": {"etcd": {"pid": bystander.pid, "started": begun - 1}}}
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / detached.STATE).write_text(json.dumps(state))
        detached.down(tmp_path / "state")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_up_and_down_refuse_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(detached.StateError):
        detached.up(tmp_path)
    with pytest.raises(detached.StateError):
        detached.down(tmp_path)
    assert (tmp_path / "precious").exists()


def test_a_killed_parent_takes_its_programs_along(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from tests.controlplane.processes import Spawner\n"
        "child = Spawner(detached=False).spawn(['/bin/sleep', '600'], pathlib.Path(sys.argv[1]), {})\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "log")]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        wait_until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", 10, "the program does not start")
        child = Identity(pid, started(pid) or 0)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not child.alive(), 10, "the program outlives its parent")


def test_a_program_that_ends_tells_its_last_words(tmp_path: Path) -> None:
    spawner = Spawner(detached=False)
    process = spawner.spawn(["/bin/sh", "-c", "echo farewell; exit 3"], tmp_path / "log", {})
    assert process.wait(10) == 3
    assert (tmp_path / "log").read_text() == "farewell\n"
    spawner.close()


def test_missing_programs_name_the_command_that_builds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    with pytest.raises(binaries.NotBuiltError, match="make controlplane"):
        binaries.paths()


def test_prebuilt_programs_are_taken_for_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    found = binaries.paths()
    assert found["etcd"] == tmp_path / "etcd"
    assert found["kwok"].parent.parent == binaries.cache()


def test_versions_are_those_that_are_pinned() -> None:
    versions = {module.folder: module.version for module in binaries.ALL if module.source}
    assert all(version.startswith("v") for version in versions.values())
    kubernetes = next(module for module in binaries.ALL if module.folder == "kubernetes")
    assert f"gitVersion={kubernetes.version}" in kubernetes.linker_flags


def test_a_nodes_programs_are_of_the_control_planes_version() -> None:
    (node,) = (module for module in binaries.NODE if module.source)
    (kubernetes,) = (module for module in binaries.ALL if module.source == node.source)
    assert (node.version, node.linker_flags) == (kubernetes.version, kubernetes.linker_flags)


def test_a_nodes_programs_are_made_by_another_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(binaries.NotBuiltError, match=r"kubelet.*make e2e"):
        binaries.paths(binaries.NODE)
