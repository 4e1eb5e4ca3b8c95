"""`make kind-up` and `kind-down` with docker, kind and kubectl played: what they ask for, and in which order."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.manifests.rendering import MANIFESTS, by_key, kustomized, overlay

KIND = MANIFESTS / "kind"
SCRIPT = KIND / "cluster.sh"
IMAGE = "schemagate:1.2.3"
STAND_INS = ["gateway-stand-in:11.2.5", "gateway-stand-in:11.3.0", "gateway-stand-in:11.4.0"]
PROGRAMS = ("docker", "kind", "kubectl")
MANIFEST = {"CERT_MANAGER_MANIFEST": "cert-manager.yaml"}


class Machine:
    """A PATH on which programs only write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._calls = folder / "bin", folder / "calls"
        self._home = folder
        self.folder.mkdir()
        for name in ("sh", "dirname", "grep", "mkdir", "rm", "sleep"):
            found = shutil.which(name)
            assert found
            (self.folder / name).symlink_to(found)
        for name in PROGRAMS:
            self.plays(name)

    def plays(self, name: str, answer: str = "") -> None:
        """Have a program write down its call, then answer by this line of shell."""
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self._calls}"\n{answer}\n')
        program.chmod(0o755)

    def runs(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["/bin/sh", SCRIPT, *arguments],
            env={"PATH": str(self.folder), "KUBECONFIG": ".kind/kubeconfig", **environment},
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_is_missing_is_named_with_the_way_to_get_it(machine: Machine, program: str) -> None:
    (machine.folder / program).unlink()
    done = machine.runs("check", **MANIFEST)
    assert done.returncode == 1
    assert re.match(rf"{program} is not on the PATH: install ", done.stderr)


def test_an_engine_that_does_not_answer_is_told(machine: Machine) -> None:
    machine.plays("docker", "exit 1")
    for command in ("check", "down"):
        done = machine.runs(command, **MANIFEST)
        assert done.returncode == 1
        assert "docker does not reach its engine" in done.stderr


def test_cert_manager_comes_from_the_user(machine: Machine) -> None:
    done = machine.runs("up", IMAGE)
    assert done.returncode == 1
    assert "make kind-up CERT_MANAGER_MANIFEST=" in done.stderr
    assert not [call for call in machine.calls if call.startswith("kind")]


def test_up_makes_the_cluster_and_brings_all_of_it_there(machine: Machine) -> None:
    done = machine.runs("up", IMAGE, KIND_IMAGE="node:v1.36.3", **MANIFEST)
    assert done.returncode == 0, done.stderr
    assert machine.calls == [
        "docker version",
        "kind get clusters",
        f"kind create cluster --name schemagate --config {KIND}/cluster.yaml --kubeconfig .kind/kubeconfig "
        "--wait 180s --image node:v1.36.3",
        f"docker build --build-arg BASE={IMAGE} {' '.join(f'--tag {name}' for name in STAND_INS)} {KIND}/stand-in",
        f"kind load docker-image --name schemagate {IMAGE} {' '.join(STAND_INS)}",
        "kubectl apply -f cert-manager.yaml",
        "kubectl wait deployment --all -n cert-manager --for=condition=Available --timeout=300s",
        f"kubectl apply -k {KIND}/../overlays/kind",
        "kubectl rollout status deployment/schemagate-controller -n schemagate --timeout=300s",
        "kubectl rollout status deployment/schemagate-webhook -n schemagate --timeout=300s",
    ]
    assert "make kind-demo" in done.stdout


def test_up_again_takes_the_cluster_that_is_there_and_has_new_pods(machine: Machine) -> None:
    machine.plays("kind", "echo schemagate")
    done = machine.runs("up", IMAGE, **MANIFEST)
    assert done.returncode == 0, done.stderr
    assert not [call for call in machine.calls if "create cluster" in call]
    assert "kind export kubeconfig --name schemagate --kubeconfig .kind/kubeconfig" in machine.calls
    assert "kubectl rollout restart deployment -n schemagate" in machine.calls


def test_up_ends_where_a_step_fails(machine: Machine) -> None:
    machine.plays("kind", '[ "$1" != load ]')
    done = machine.runs("up", IMAGE, **MANIFEST)
    assert done.returncode == 1
    assert not [call for call in machine.calls if call.startswith("kubectl")]


def test_the_overlay_is_tried_until_cert_managers_webhook_answers(machine: Machine) -> None:
    (machine.folder / "sleep").unlink()
    machine.plays("sleep")
    machine.plays("kubectl", f'[ "$2" != -k ] || [ "$(grep -c "apply -k" {machine.folder.parent}/calls)" -gt 2 ]')
    assert machine.runs("up", IMAGE, **MANIFEST).returncode == 0
    assert machine.calls.count("sleep 3") == 2
    machine.plays("kubectl", '[ "$2" != -k ] || { echo "no endpoints available"; exit 1; }')
    done = machine.runs("up", IMAGE, **MANIFEST)
    assert done.returncode == 1
    assert done.stderr == "no endpoints available\n"


def test_down_deletes_the_cluster_and_the_names(machine: Machine) -> None:
    done = machine.runs("down", KIND_CLUSTER="mine")
    assert done.returncode == 0, done.stderr
    assert machine.calls == [
        "docker version",
        "kind delete cluster --name mine --kubeconfig .kind/kubeconfig",
        f"docker rmi {' '.join(STAND_INS)}",
    ]


def test_the_make_targets_call_it(machine: Machine) -> None:
    """Up to where an image would be built."""
    (machine.folder / "kind").unlink()
    make = shutil.which("make")
    assert make
    for target in ("kind-up", "kind-down"):
        done = subprocess.run(
            [make, "-o", str(MANIFESTS.parent / ".venv" / ".ready"), target],
            env={"PATH": f"{machine.folder}"},
            cwd=MANIFESTS.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode
        assert "kind is not on the PATH" in done.stderr, done


def test_the_stand_in_is_one_node_away_from_any_registry() -> None:
    assert yaml.safe_load((KIND / "cluster.yaml").read_text())["kind"] == "Cluster"
    objects = by_key(kustomized(KIND / "gateway"))
    gateway = objects["Deployment", "schemagate-demo", "my-gateway"]["spec"]["template"]["spec"]["containers"][0]
    assert (gateway["image"], gateway["imagePullPolicy"]) == (STAND_INS[0], "Never")
    script = (KIND / "demo.sh").read_text()
    assert re.findall(r"(?m)^(?:OLD|NEW|NEWER)=(.+)$", script) == STAND_INS
    ours = [item for item in overlay("kind") if item["kind"] == "Deployment"]
    for deployment in ours:
        assert deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Never"


def test_the_story_names_what_is_missing(machine: Machine) -> None:
    def told() -> str:
        done = subprocess.run(
            ["/bin/sh", KIND / "demo.sh"],
            env={"PATH": str(machine.folder), "KUBECONFIG": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        return done.stderr

    assert "schemagate is not on the PATH" in told()
    machine.plays("schemagate")
    machine.plays("kubectl", 'echo "connection refused" >&2; exit 1')
    assert "schemagate is not on this cluster, run `make kind-up`: connection refused" in told()
    (machine.folder / "kubectl").unlink()
    assert "kubectl is not on the PATH" in told()
