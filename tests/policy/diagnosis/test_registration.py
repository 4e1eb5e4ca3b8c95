"""Webhooks that are not registered as this version needs them, and what managed clusters add."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.builders import Manifest
from tests.support.diagnoses import MUTATING, VALIDATING, VALIDATOR, found, only
from webhook.policy.diagnosis.facts import Gateways
from webhook.policy.diagnosis.line import Check, Level, Unread
from webhook.policy.diagnosis.registration import matches


def registered(change: Callable[[Manifest], Any]) -> dict[str, Manifest]:
    """Give the registrations with the validating webhook changed."""
    validating = copy.deepcopy(VALIDATING)
    change(validating["webhooks"][0])
    return {"mutating": copy.deepcopy(MUTATING), "validating": validating}


def expressions(hook: Manifest) -> list[Manifest]:
    found: list[Manifest] = hook["namespaceSelector"]["matchExpressions"]
    return found


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("failurePolicy", lambda hook: hook.update(failurePolicy="Ignore")),
        ("sideEffects", lambda hook: hook.update(sideEffects="Some")),
        ("matchPolicy", lambda hook: hook.update(matchPolicy="Exact")),
        ("matchConditions", lambda hook: hook["matchConditions"].pop()),
        ("matchConditions", lambda hook: hook["matchConditions"][0].update(expression="false")),
        ("rules", lambda hook: hook["rules"][0].update(operations=["CREATE"])),
        ("rules", lambda hook: hook["rules"][0].update(scope="Cluster")),
        ("rules", lambda hook: hook.update(rules=None)),
        ("the path", lambda hook: hook["clientConfig"]["service"].update(path="/")),
        ("admissionReviewVersions", lambda hook: hook.update(admissionReviewVersions=["v1beta1"])),
        ("objectSelector", lambda hook: hook.update(objectSelector={"matchLabels": {"a": "b"}})),
    ],
)
def test_each_field_that_decides_is_compared(field: str, change: Callable[[Manifest], Any]) -> None:
    message = only(Level.FAIL, Check.WEBHOOKS, registrations=registered(change))
    assert message == f"webhook {VALIDATOR}: {field} not as this version needs it"


@pytest.mark.parametrize(
    "change",
    [
        lambda hook: hook.update(
            objectSelector={}, rules=[{**hook["rules"][0], "operations": ["UPDATE", "CREATE"]}]
        ),
        lambda hook: hook["matchConditions"].reverse(),
        lambda hook: hook["matchConditions"][0].update(expression="!has(object.metadata.deletionTimestamp)\n"),
        lambda hook: hook.update(
            clientConfig={"url": "https://127.0.0.1:9/validate-apps-v1-deployment?x=y", "caBundle": "eA=="}
        ),
        lambda hook: expressions(hook).append({"key": "control-plane", "operator": "DoesNotExist"}),
        lambda hook: expressions(hook).append({"key": "managed", "operator": "NotIn", "values": ["aks"]}),
    ],
)
def test_what_means_the_same_is_no_fault(change: Callable[[Manifest], Any]) -> None:
    certified = {"certificate": Unread("x")}  # of names other tests tell
    lines = found(registrations=registered(change), **certified)
    assert [line for line in lines if line.check is Check.WEBHOOKS] == []


def test_a_longer_time_is_only_a_warning() -> None:
    changed = registered(lambda hook: hook.update(timeoutSeconds=30))
    assert "timeoutSeconds is 30, not 5" in only(Level.WARN, Check.WEBHOOKS, registrations=changed)


def test_a_webhook_that_is_missing_is_named() -> None:
    item = {"mutating": {"webhooks": MUTATING["webhooks"][:1]}, "validating": VALIDATING}
    message = only(Level.FAIL, Check.WEBHOOKS, registrations=item)
    assert message == "webhook deployments.mutate.schemagate.io is not registered"


@pytest.mark.parametrize("kind", ["mutating", "validating"])
def test_a_configuration_that_is_missing_is_named(kind: str) -> None:
    items: dict[str, Manifest | None] = {"mutating": MUTATING, "validating": VALIDATING, kind: None}
    message = only(Level.FAIL, Check.WEBHOOKS, registrations=items)
    assert f"no {kind.capitalize()}WebhookConfiguration schemagate" in message


@pytest.mark.parametrize(
    "expression",
    [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["team-a"]},
        {"key": "guarded", "operator": "Exists"},
        {"key": "guarded", "operator": "In", "values": ["yes"]},
    ],
)
def test_a_gateway_that_is_left_out_is_a_fault_whoever_did_it(expression: Manifest) -> None:
    changed = registered(lambda hook: expressions(hook).append(expression))
    message = only(Level.FAIL, Check.WEBHOOKS, registrations=changed)
    assert message == f"webhook {VALIDATOR}: namespaceSelector leaves out Gateways in namespace team-a"


def test_a_namespace_that_is_left_out_by_name_is_a_warning() -> None:
    changed = registered(lambda hook: expressions(hook)[0]["values"].append("default"))
    message = only(Level.WARN, Check.WEBHOOKS, registrations=changed)
    assert message == f"webhook {VALIDATOR}: namespaceSelector leaves out namespace default"


@pytest.mark.parametrize(
    "change",
    [
        lambda hook: expressions(hook).append({"key": "guarded", "operator": "Exists"}),
        lambda hook: expressions(hook).append({"key": "guarded", "operator": "In", "values": ["yes"]}),
        lambda hook: hook["namespaceSelector"].update(matchLabels={"guarded": "yes"}),
    ],
)
def test_a_label_that_a_namespace_has_to_have_is_no_managed_clusters(change: Callable[[Manifest], Any]) -> None:
    labels: dict[str, dict[str, str]] = {"default": {}, "team-a": {"guarded": "yes"}}
    message = only(Level.WARN, Check.WEBHOOKS, registrations=registered(change), labels=labels)
    assert message == f"webhook {VALIDATOR}: namespaceSelector leaves out namespace default"


@pytest.mark.parametrize(
    ("unread", "change"),
    [
        ("gateways", lambda hook: hook["namespaceSelector"].update(matchLabels={"guarded": "yes"})),
        ("gateways", lambda hook: expressions(hook).append({"key": "control-plane", "operator": "DoesNotExist"})),
        ("gateways", lambda hook: expressions(hook)[0]["values"].append("team-b")),
        ("labels", lambda hook: hook["namespaceSelector"].update(matchLabels={"guarded": "yes"})),
        ("labels", lambda hook: expressions(hook).append({"key": "control-plane", "operator": "DoesNotExist"})),
    ],
)
def test_whom_a_selector_leaves_out_is_not_told_of_what_is_not_known(
    unread: str, change: Callable[[Manifest], Any]
) -> None:
    lines = found(**{unread: Unread("list them")}, registrations=registered(change))
    (line,) = [line for line in lines if line.check is Check.WEBHOOKS]
    assert line.level is Level.UNKNOWN
    assert f"namespaceSelector of webhook {VALIDATOR} leaves out a Gateway cannot be told" in line.message


@pytest.mark.parametrize("unread", ["gateways", "labels"])
def test_our_own_selector_takes_nothing_to_judge(unread: str) -> None:
    lines = found(**{unread: Unread("list them")})
    assert [line for line in lines if line.check is Check.WEBHOOKS] == []


@pytest.mark.parametrize("namespace", ["schemagate", "kube-system", "kube-node-lease"])
def test_gateways_beside_schemagate_are_guarded_by_nobody(namespace: str) -> None:
    (line,) = found(gateways=Gateways(count=1, namespaces=frozenset({namespace})))
    assert (line.level, line.check) == (Level.FAIL, Check.WEBHOOKS)
    assert line.message.startswith(f"schemagate leaves out namespace {namespace}, and there are Gateways")
    assert line.advice == "move the Gateways, or install schemagate in a namespace of its own"


def test_no_request_of_our_own_namespace_may_come() -> None:
    changed = registered(lambda hook: hook.update(namespaceSelector={}))
    message = only(Level.WARN, Check.WEBHOOKS, registrations=changed)
    assert "lets requests of schemagate, kube-system, kube-node-lease through" in message


def test_who_may_not_read_them_is_told_which_right_it_takes() -> None:
    lines = found(registrations=Unread("get them"))
    assert {line.level for line in lines} == {Level.UNKNOWN}
    assert {line.check for line in lines} == {Check.WEBHOOKS, Check.SERVICE, Check.CA_BUNDLE}


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "b"}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "c"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {"a": "b"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}, {"a": "2"}, False),
    ],
)
def test_a_selector_is_read_as_the_api_server_reads_it(
    selector: Manifest, labels: dict[str, str], expected: bool
) -> None:
    assert matches(selector, labels) is expected
