"""Deployments of webhook and controller that are missing, lag behind, or do not fit."""

import copy
from typing import Any

import pytest

from tests.support.builders import Manifest
from tests.support.diagnoses import found, healthy, only
from webhook import __version__
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.line import Check, Level, Unread
from webhook.policy.diagnosis.processes import process_of, setting_of

WEBHOOK, CONTROLLER = "schemagate-webhook", "schemagate-controller"


def deployments() -> dict[str, Any]:
    held = healthy().deployments
    assert not isinstance(held, Unread)
    return copy.deepcopy(dict(held))


def container(held: dict[str, Any], name: str) -> Manifest:
    found: Manifest = held[name]["spec"]["template"]["spec"]["containers"][0]
    return found


def test_what_is_installed_is_named_beside_this_program() -> None:
    (line,) = [line for line in diagnose(healthy()) if line.check is Check.PROCESSES]
    assert line.message == f"both run schemagate:{__version__}; this program is {__version__}"


@pytest.mark.parametrize("name", [WEBHOOK, CONTROLLER])
def test_a_deployment_that_is_missing_is_named(name: str) -> None:
    message = only(Level.FAIL, Check.PROCESSES, deployments=deployments() | {name: None})
    assert message == f"there is no Deployment {name} in namespace schemagate"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"observedGeneration": 1}, "its last change has not been seen yet"),
        ({"updatedReplicas": 1}, "1 of 2 replicas of the last change"),
        ({"availableReplicas": 0}, "0 of 2 replicas available"),
        (
            {"updatedReplicas": 1, "availableReplicas": 1},
            "1 of 2 replicas of the last change, 1 of 2 replicas available",
        ),
    ],
)
def test_a_deployment_that_lags_behind_is_told(status: Manifest, told: str) -> None:
    held = deployments()
    held[CONTROLLER]["status"] |= status
    (line,) = found(deployments=held)
    assert (line.level, line.message) == (Level.WARN, f"Deployment {CONTROLLER}: {told}")
    assert line.advice.endswith(f"kubectl -n schemagate rollout status deployment {CONTROLLER}")


def test_a_deployment_that_nobody_has_looked_at_lags_behind() -> None:
    held = deployments()
    del held[WEBHOOK]["status"]
    assert "has not been seen yet" in only(Level.WARN, Check.PROCESSES, deployments=held)


def test_one_that_is_scaled_down_lags_behind_nothing() -> None:
    held = deployments()
    held[WEBHOOK]["spec"]["replicas"] = 0
    held[WEBHOOK]["status"] = {"observedGeneration": 2}
    assert found(deployments=held) == []


def test_two_images_are_told() -> None:
    held = deployments()
    container(held, WEBHOOK)["image"] = "schemagate:0.0.9"
    message = only(Level.WARN, Check.PROCESSES, deployments=held)
    assert message == f"{WEBHOOK} runs schemagate:0.0.9; {CONTROLLER} runs schemagate:{__version__}"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"name": "SCHEMAGATE_DEFAULT_MODE", "value": "Warn"}, "SCHEMAGATE_DEFAULT_MODE Warn"),
        ({"name": "SCHEMAGATE_CERTIFICATES", "value": "files"}, "SCHEMAGATE_CERTIFICATES files"),
    ],
)
def test_settings_that_have_to_agree_are_compared(entry: Manifest, told: str) -> None:
    held = deployments()
    container(held, WEBHOOK)["env"].append(entry)
    message = only(Level.WARN, Check.PROCESSES, deployments=held)
    assert f"{WEBHOOK} has {told}; {CONTROLLER} has" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["env"].append({"name": "SCHEMAGATE_DEFAULT_MODE", "value": "Reject"}),
        lambda one: one["env"].append({"name": "SCHEMAGATE_DEFAULT_MODE", "valueFrom": {"configMapKeyRef": {}}}),
        lambda one: one.update(envFrom=[{"configMapRef": {"name": "settings"}}]),
        lambda one: one["args"].append("--default-mode=Reject"),
    ],
)
def test_what_means_the_same_or_cannot_be_told_is_no_fault(change: Any) -> None:
    held = deployments()
    change(container(held, WEBHOOK))
    assert found(deployments=held) == []


@pytest.mark.parametrize("image", ["schemagate:99.0.0", "registry.example.com:5000/gate/schemagate:v99.0.0-rc1"])
def test_an_image_that_is_newer_than_this_program_is_told(image: str) -> None:
    held = deployments()
    for name in held:
        container(held, name)["image"] = image
    (line,) = found(deployments=held)
    assert line.message == f"{image} is installed, which is newer than this program ({__version__})"
    assert line.advice.startswith("update this program")


@pytest.mark.parametrize(
    "image", ["schemagate:0.0.1", "schemagate:latest", "schemagate:99.0.0@sha256:" + "0" * 64]
)
def test_an_image_that_is_older_or_does_not_tell_is_no_fault(image: str) -> None:
    held = deployments()
    for name in held:
        container(held, name)["image"] = image
    assert found(deployments=held) == []


def test_who_may_not_read_them_is_told() -> None:
    assert "you may not get them" in only(Level.UNKNOWN, Check.PROCESSES, deployments=Unread("get them"))


def test_a_sidecar_is_not_the_process() -> None:
    held = deployments()[WEBHOOK]
    held["spec"]["template"]["spec"]["containers"].insert(0, {"name": "proxy", "image": "proxy:1"})
    process = process_of(held)
    assert process is not None
    assert process["name"] == "webhook"


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ({}, "unset"),
        ({"env": [{"name": "SCHEMAGATE_TLS_CERT", "value": "/a"}]}, "/a"),
        ({"env": [{"name": "SCHEMAGATE_TLS_CERT", "value": ""}]}, "unset"),
        ({"env": [{"name": "SCHEMAGATE_TLS_CERT", "value": "/a"}], "args": ["webhook", "--tls-cert", "/b"]}, "/b"),
        ({"command": ["schemagate", "webhook", "--tls-cert=/b"]}, "/b"),
        ({"args": ["--tls-cert"]}, "unset"),
        ({"envFrom": [{"secretRef": {"name": "x"}}]}, "?"),
    ],
)
def test_a_flag_goes_before_a_variable(container: Manifest, told: str) -> None:
    assert setting_of(container, "tls_cert", "unset") == told
