"""Version, definition, fences, leader and clocks."""

import copy
from datetime import timedelta
from typing import Any

import pytest

from tests.live.installation import manifests
from tests.support.builders import NOW, Manifest
from tests.support.diagnoses import FENCE, found, lease, only
from webhook.policy.definition import definition
from webhook.policy.diagnosis.cluster import LEASE
from webhook.policy.diagnosis.expected import FENCES
from webhook.policy.diagnosis.facts import Fence
from webhook.policy.diagnosis.line import Check, Level, Unread
from webhook.settings import Settings


@pytest.mark.parametrize("version", ["v1.30.0", "v1.30+", "v1.36.3-gke.100", "1.31.2", "v2.0"])
def test_a_version_that_is_new_enough(version: str) -> None:
    assert found(version=version) == []


def test_a_version_that_is_too_old_or_none() -> None:
    assert "older than 1.30" in only(Level.FAIL, Check.KUBERNETES, version="v1.29.14")
    assert "''" in only(Level.UNKNOWN, Check.KUBERNETES, version="")


def stored(*path: str, drop: bool = False, **tweak: Any) -> Manifest:
    """Give the stored definition with one field of the schema dropped or changed."""
    item = copy.deepcopy(definition())
    node = item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in path[:-1]:
        node = node["properties"][name]
    if drop:
        del node["properties"][path[-1]]
    else:
        node["properties"].setdefault(path[-1], {}).update(tweak)
    return item


def test_what_an_older_definition_lacks_is_named() -> None:
    message = only(Level.FAIL, Check.DEFINITION, definition=stored("status", "rejections", drop=True))
    assert "it lacks status.rejections, status.rejections.count" in message


def test_what_a_newer_definition_has_is_named() -> None:
    message = only(Level.WARN, Check.DEFINITION, definition=stored("spec", "colour", type="string"))
    assert message.endswith("it has spec.colour")


@pytest.mark.parametrize(
    "tweak", [{"enum": ["Reject"]}, {"type": "integer"}, {"x-kubernetes-validations": [{"rule": "a"}]}]
)
def test_other_rules_are_told(tweak: Manifest) -> None:
    message = only(Level.FAIL, Check.DEFINITION, definition=stored("spec", "mode", **tweak))
    assert message.endswith("has other rules for spec.mode")


def test_descriptions_and_what_an_api_server_adds_are_no_rules() -> None:
    item = stored("spec", "mode", description="otherwise")
    item["spec"]["conversion"] = {"strategy": "None"}
    item["spec"]["versions"].append({"name": "v9", "served": False, "storage": False})
    assert found(definition=item) == []


def test_a_definition_that_is_missing_or_not_served() -> None:
    assert "there is no CustomResourceDefinition" in only(Level.FAIL, Check.DEFINITION, definition=None)
    item = copy.deepcopy(definition())
    item["spec"]["versions"][0]["served"] = False
    assert "not served and stored" in only(Level.FAIL, Check.DEFINITION, definition=item)
    item["spec"]["versions"] = []
    assert "not served and stored" in only(Level.FAIL, Check.DEFINITION, definition=item)
    assert "may not get it" in only(Level.UNKNOWN, Check.DEFINITION, definition=Unread("get it"))


@pytest.mark.parametrize("name", FENCES)
def test_each_fence_that_is_missing_or_denies_nothing_is_named(name: str) -> None:
    policies = [item for item in FENCE.policies if item["metadata"]["name"] != name]
    missing = only(Level.FAIL, Check.FENCES, fence=Fence(policies=policies, bindings=FENCE.bindings))
    assert missing == f"there is no ValidatingAdmissionPolicy {name}"
    bindings = copy.deepcopy(list(FENCE.bindings))
    next(item for item in bindings if item["spec"]["policyName"] == name)["spec"]["validationActions"] = ["Warn"]
    idle = only(Level.FAIL, Check.FENCES, fence=Fence(policies=FENCE.policies, bindings=bindings))
    assert idle == f"no binding has ValidatingAdmissionPolicy {name} deny anything"


def test_a_fence_around_another_account_is_none() -> None:
    policies = copy.deepcopy(list(FENCE.policies))
    about = next(item for item in policies if item["metadata"]["name"] == "jobs.controller.schemagate.io")
    about["spec"]["matchConditions"][0]["expression"] = "request.userInfo.username == 'somebody'"
    message = only(Level.FAIL, Check.FENCES, fence=Fence(policies=policies, bindings=FENCE.bindings))
    assert "is not about system:serviceaccount:schemagate:schemagate-controller" in message


def test_a_fence_that_may_not_be_read_is_unknown() -> None:
    assert "may not list" in only(Level.UNKNOWN, Check.FENCES, fence=Unread("list policies"))


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (None, "no controller ever led"),
        (lease(holder=""), "nobody holds Lease"),
        (lease(age=60), "controller-0 holds Lease schemagate-controller, but renewed it 60 s ago"),
        ({"spec": {"holderIdentity": "x", "renewTime": "yesterday"}}, "nobody holds Lease"),
        ({"spec": {"holderIdentity": "x", "renewTime": "2026-11-22T12:00:00"}}, "nobody holds Lease"),
        ({}, "nobody holds Lease"),
    ],
)
def test_who_does_not_lead_is_told(held: Manifest | None, told: str) -> None:
    assert told in only(Level.FAIL, Check.LEADER, lease=held)


def test_the_lease_is_the_one_that_the_controller_holds() -> None:
    assert Settings.model_fields["lease_name"].default == LEASE
    assert any(
        LEASE in (rule.get("resourceNames") or ())
        for item in manifests("40-roles.yaml")
        for rule in item.get("rules", ())
    )


def test_a_lease_that_may_not_be_read_is_unknown() -> None:
    assert "may not get leases" in only(Level.UNKNOWN, Check.LEADER, lease=Unread("get leases"))


@pytest.mark.parametrize(("seconds", "told"), [(40, "40 s ahead of"), (-3600, "3600 s behind")])
def test_a_clock_that_is_wrong_is_told(seconds: int, told: str) -> None:
    message = only(Level.WARN, Check.CLOCKS, local_time=NOW + timedelta(seconds=seconds))
    assert message == f"this computer's clock is {told} that of the API server"


def test_a_leader_whose_clock_is_ahead_is_told() -> None:
    message = only(Level.WARN, Check.CLOCKS, lease=lease(age=-90))
    assert message == "the leader's clock is 90 s ahead of that of the API server"
