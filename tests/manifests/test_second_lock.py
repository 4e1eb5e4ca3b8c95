"""The second lock says the same as the program, as far as it can."""

import re
from typing import Any

import pytest
import yaml

from tests.live.installation import MANIFESTS
from webhook.policy import names
from webhook.policy.diagnosis.expected import WEBHOOKS
from webhook.policy.image import image_version, knows_modes
from webhook.policy.migration.job import job_name
from webhook.policy.rollout.bypass import RFC_3339

FOLDER = MANIFESTS.parent / "second-lock"
DOCUMENTS = [
    document for file in sorted(FOLDER.glob("[0-9]*.yaml")) for document in yaml.safe_load_all(file.read_text())
]
POLICIES: dict[str, dict[str, Any]] = {
    document["metadata"]["name"]: document["spec"]
    for document in DOCUMENTS
    if document["kind"] == "ValidatingAdmissionPolicy"
}
LOCK = POLICIES["deployments.lock.schemagate.io"]
TEXT = "".join(file.read_text() for file in sorted(FOLDER.glob("[0-9]*.yaml")))


@pytest.mark.parametrize(
    "image",
    [
        "docker.io/caapim/gateway:11.2.2",
        "docker.io/caapim/gateway:11.2.1",
        "docker.io/caapim/gateway:11.2.01",
        "docker.io/caapim/gateway:11.2.10",
        "docker.io/caapim/gateway:11.1.00_CR2",
        "docker.io/caapim/gateway:10.1.00_OTEL_2",
        "docker.io/caapim/gateway:9.4.0",
        "docker.io/caapim/gateway:11.10.0",
        "docker.io/caapim/gateway:11.3.0",
        "docker.io/caapim/gateway:110.1.0",
        "docker.io/caapim/gateway:v11.1.0",
        "docker.io/caapim/gateway:11.1",
        "docker.io/caapim/gateway:latest",
        "docker.io/caapim/gateway",
        "registry:5000/gateway:11.1.0",
        "registry:11.1.0/gateway",
        f"docker.io/caapim/gateway:11.1.0@sha256:{'0' * 64}",
        "docker.io/caapim/gateway:11.1.0-",
        "registry:11.1.0-x/gateway:11.3.0",
    ],
)
def test_it_takes_the_same_images_for_too_old(image: str) -> None:
    (old,) = (item["expression"] for item in LOCK["variables"] if item["name"] == "old")
    matched = re.search(yaml.safe_load(old), image) is not None
    assert matched == (knows_modes(image_version(image)) is False)


def test_it_takes_the_same_times() -> None:
    (pattern,) = (item["expression"] for item in LOCK["variables"] if item["name"] == "rfc3339")
    assert yaml.safe_load(pattern) == RFC_3339


def test_it_looks_when_the_webhooks_do() -> None:
    hook = WEBHOOKS["deployments.validate.schemagate.io"]
    looks = {item["name"]: " ".join(item["expression"].split()) for item in LOCK["matchConditions"]}
    for name in ("not-being-deleted", "may-start-pods"):
        assert looks[name] == hook.conditions[name]


def test_it_knows_our_jobs_and_pods_by_their_names() -> None:
    owner, pod = (
        found for found in re.findall(r"matches\('(\^\.\+-db-migration-[^']+)'\)", TEXT) if "migration" in found
    )
    for attempt in (1, 2, 12):
        name = job_name("team-a", "ssg", "0123abcd" * 8, attempt)
        assert re.search(owner, name)
        assert re.search(pod, f"{name}-x7k2p")
        assert not re.search(pod, name)


def test_every_name_of_ours_in_it_exists() -> None:
    known = {value for value in vars(names).values() if isinstance(value, str)}
    for name in re.findall(r"'(schemagate\.io/[\w-]+)'", TEXT):
        assert name in known


def test_every_policy_is_bound_and_labelled_and_fails_closed() -> None:
    bound = {item["spec"]["policyName"] for item in DOCUMENTS if item["kind"].endswith("Binding")}
    assert bound == set(POLICIES)
    assert {spec["failurePolicy"] for spec in POLICIES.values()} == {"Fail"}
    assert all(item["metadata"]["labels"] == {"app.kubernetes.io/name": "schemagate"} for item in DOCUMENTS)


def test_the_folder_lists_all_its_files() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert listed == sorted(file.name for file in FOLDER.glob("[0-9]*.yaml"))
