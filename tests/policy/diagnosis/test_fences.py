"""Policies that are missing, deny nothing, or have a hole in them."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.builders import Manifest
from tests.support.diagnoses import FENCE, found, only
from webhook.policy.diagnosis.expected import FENCES
from webhook.policy.diagnosis.facts import Fence
from webhook.policy.diagnosis.line import Check, Level, Unread

JOBS = "jobs.controller.schemagate.io"
INHERITANCE = "inheritance.controller.schemagate.io"


def changed(change: Callable[[Manifest], Any], name: str = JOBS) -> Fence:
    """Give the fences with the spec of one policy changed."""
    policies = copy.deepcopy(list(FENCE.policies))
    change(next(item["spec"] for item in policies if item["metadata"]["name"] == name))
    return Fence(policies=policies, bindings=FENCE.bindings)


def bound(change: Callable[[Manifest], Any], name: str = JOBS) -> Fence:
    """Give the fences with the spec of one binding changed."""
    bindings = copy.deepcopy(list(FENCE.bindings))
    change(next(item["spec"] for item in bindings if item["spec"]["policyName"] == name))
    return Fence(policies=FENCE.policies, bindings=bindings)


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
    ("part", "change"),
    [
        ("failurePolicy", lambda spec: spec.update(failurePolicy="Ignore")),
        ("validations", lambda spec: spec.update(validations=[{"expression": "true"}])),
        ("validations", lambda spec: spec["validations"].pop()),
        (
            "matchConstraints",
            lambda spec: spec["matchConstraints"]["resourceRules"][0].update(operations=["UPDATE"]),
        ),
        (
            "matchConstraints",
            lambda spec: spec["matchConstraints"].update(namespaceSelector={"matchLabels": {"a": "b"}}),
        ),
        ("matchConstraints", lambda spec: spec["matchConstraints"].update(matchPolicy="Exact")),
        ("matchConditions", lambda spec: spec["matchConditions"].append({"name": "never", "expression": "false"})),
        ("variables", lambda spec: spec["variables"][0].update(expression="oldObject")),
    ],
)
def test_each_part_that_decides_is_compared(part: str, change: Callable[[Manifest], Any]) -> None:
    message = only(Level.FAIL, Check.FENCES, fence=changed(change))
    assert message == f"ValidatingAdmissionPolicy {JOBS}: {part} not as this version needs it"


def as_stored(spec: Manifest) -> None:
    """Fill in what an API server fills in, and break lines otherwise."""
    spec["matchConstraints"] |= {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
    rule = spec["matchConstraints"]["resourceRules"][0]
    rule |= {"scope": "*", "operations": sorted(rule["operations"], reverse=True)}
    for item in spec["validations"]:
        item |= {"expression": item["expression"].replace(" ", "\n  ") + "\n", "message": "otherwise"}


def test_what_means_the_same_is_no_fault() -> None:
    assert found(fence=changed(as_stored)) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (JOBS, {"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}),
        (JOBS, {"matchResources": {"excludeResourceRules": [{"resources": ["*"]}]}}),
        (INHERITANCE, {"paramRef": {"name": "one", "parameterNotFoundAction": "Allow"}}),
        (INHERITANCE, {"paramRef": {"selector": {"matchLabels": {"a": "b"}}}}),
    ],
)
def test_a_binding_that_leaves_something_out_is_told(name: str, change: Manifest) -> None:
    message = only(Level.FAIL, Check.FENCES, fence=bound(lambda spec: spec.update(change), name))
    assert message == f"the binding of ValidatingAdmissionPolicy {name} leaves something out"


def test_a_narrow_binding_beside_a_whole_one_is_no_fault() -> None:
    (whole,) = [item for item in FENCE.bindings if item["spec"]["policyName"] == JOBS]
    narrow = {
        **whole,
        "spec": {**whole["spec"], "matchResources": {"objectSelector": {"matchLabels": {"a": "b"}}}},
    }
    assert found(fence=Fence(policies=FENCE.policies, bindings=[*FENCE.bindings, narrow])) == []
