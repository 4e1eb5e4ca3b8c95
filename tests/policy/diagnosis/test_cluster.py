"""The cluster's version, and the record's definition."""

import copy
from typing import Any

import pytest

from tests.support.builders import Manifest
from tests.support.diagnoses import established, found, only
from webhook.policy.diagnosis.line import Check, Level, Unread


@pytest.mark.parametrize("version", ["v1.30.0", "v1.30+", "v1.36.3-gke.100", "1.31.2", "v2.0"])
def test_a_version_that_is_new_enough(version: str) -> None:
    assert found(version=version) == []


def test_a_version_that_is_too_old_or_none() -> None:
    assert "older than 1.30" in only(Level.FAIL, Check.KUBERNETES, version="v1.29.14")
    assert "''" in only(Level.UNKNOWN, Check.KUBERNETES, version="")


def stored(*path: str, drop: bool = False, **tweak: Any) -> Manifest:
    """Give the stored definition with one field of the schema dropped or changed."""
    item = copy.deepcopy(established())
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
    "tweak",
    [
        {"enum": ["Reject"]},
        {"type": "integer"},
        {"x-kubernetes-validations": [{"rule": "a"}]},
        {"maxLength": 5},
        {"nullable": True},
        {"default": "Reject"},
        {"x-kubernetes-preserve-unknown-fields": True},
    ],
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
    item = copy.deepcopy(established())
    item["spec"]["versions"][0]["served"] = False
    assert "not served and stored" in only(Level.FAIL, Check.DEFINITION, definition=item)
    item["spec"]["versions"] = []
    assert "not served and stored" in only(Level.FAIL, Check.DEFINITION, definition=item)
    assert "may not get it" in only(Level.UNKNOWN, Check.DEFINITION, definition=Unread("get it"))


@pytest.mark.parametrize(
    ("path", "change", "told"),
    [
        ("spec", {"required": ["mode"]}, "spec"),
        ("spec", {"x-kubernetes-validations": []}, "spec"),
        ("status.conditions", {"x-kubernetes-list-type": "atomic"}, "status.conditions"),
        ("status.conditions", {"maxItems": 1}, "status.conditions"),
        ("status.conditions[]", {"required": []}, "status.conditions[]"),
        ("", {"required": []}, "the record as a whole"),
    ],
)
def test_what_is_no_field_decides_too(path: str, change: Manifest, told: str) -> None:
    item = copy.deepcopy(established())
    node = item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in filter(None, path.replace("[]", ".[]").split(".")):
        node = node["items"] if name == "[]" else node["properties"][name]
    assert any(node.get(key) != value for key, value in change.items())
    node.update(change)
    message = only(Level.FAIL, Check.DEFINITION, definition=item)
    assert message.endswith(f"has other rules for {told}")


def test_the_order_of_what_is_required_is_no_rule() -> None:
    item = copy.deepcopy(established())
    node = item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["mode"]
    node["enum"].reverse()
    assert found(definition=item) == []


def test_a_definition_without_a_status_of_its_own_takes_none() -> None:
    item = copy.deepcopy(established())
    del item["spec"]["versions"][0]["subresources"]
    assert "has no status of its own" in only(Level.FAIL, Check.DEFINITION, definition=item)


@pytest.mark.parametrize("conditions", [[], [{"type": "Established", "status": "False"}]])
def test_a_definition_that_is_not_established_serves_nothing(conditions: list[Manifest]) -> None:
    item = {**established(), "status": {"conditions": conditions}}
    assert "is not established" in only(Level.FAIL, Check.DEFINITION, definition=item)


def test_a_definition_that_is_being_deleted_takes_the_records_with_it() -> None:
    item = copy.deepcopy(established())
    item["metadata"]["deletionTimestamp"] = "2026-11-22T11:00:00Z"
    assert "is being deleted, and all records with it" in only(Level.FAIL, Check.DEFINITION, definition=item)
