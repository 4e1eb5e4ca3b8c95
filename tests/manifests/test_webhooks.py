"""The registrations are those of the design, §7."""

import re
from typing import Any

import pytest

from tests.live.installation import MANIFESTS, NAMESPACE, manifests
from webhook.admission.handlers import DEPLOYMENT_MUTATOR, DEPLOYMENT_VALIDATOR, PATHS, POD_MUTATOR
from webhook.policy.names import GATEWAY_CONTAINER, LICENSE_PATH

CONFIGURATIONS = manifests("90-webhooks.yaml")
WEBHOOKS = {hook["name"]: hook for item in CONFIGURATIONS for hook in item["webhooks"]}
PODS, MUTATE, VALIDATE = (
    "pods.mutate.schemagate.io",
    "deployments.mutate.schemagate.io",
    "deployments.validate.schemagate.io",
)
DEPLOYMENTS = ("apps", "v1", "deployments", ["CREATE", "UPDATE"])
TABLE: dict[str, tuple[str, tuple[str, str, str, list[str]], str, int, str]] = {
    PODS: (POD_MUTATOR, ("", "v1", "pods", ["CREATE"]), "Ignore", 2, "None"),
    MUTATE: (DEPLOYMENT_MUTATOR, DEPLOYMENTS, "Ignore", 3, "NoneOnDryRun"),
    VALIDATE: (DEPLOYMENT_VALIDATOR, DEPLOYMENTS, "Fail", 5, "NoneOnDryRun"),
}


def conditions(hook: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["expression"] for item in hook["matchConditions"]}


def test_each_webhook_is_registered_once_where_it_belongs() -> None:
    assert [(item["kind"], [hook["name"] for hook in item["webhooks"]]) for item in CONFIGURATIONS] == [
        ("MutatingWebhookConfiguration", [PODS, MUTATE]),
        ("ValidatingWebhookConfiguration", [VALIDATE]),
    ]
    assert {row[0] for row in TABLE.values()} == set(PATHS)


@pytest.mark.parametrize("name", TABLE)
def test_it_is_registered_as_the_table_says(name: str) -> None:
    path, (group, version, resource, operations), failure_policy, seconds, side_effects = TABLE[name]
    hook = WEBHOOKS[name]
    assert hook["rules"] == [
        {
            "apiGroups": [group],
            "apiVersions": [version],
            "resources": [resource],
            "operations": operations,
            "scope": "Namespaced",
        }
    ]
    service = {"name": "schemagate-webhook", "namespace": NAMESPACE, "path": path}
    assert hook["clientConfig"] == {"service": service}
    assert (hook["failurePolicy"], hook["timeoutSeconds"], hook["sideEffects"]) == (
        failure_policy,
        seconds,
        side_effects,
    )
    assert (hook["matchPolicy"], hook["admissionReviewVersions"]) == ("Equivalent", ["v1"])
    assert hook.get("reinvocationPolicy") == (None if name == VALIDATE else "IfNeeded")


@pytest.mark.parametrize("name", TABLE)
def test_our_own_namespace_and_those_of_the_system_are_never_judged(name: str) -> None:
    """Or nothing could start there while the webhooks are away: not even the webhooks."""
    (selector,) = WEBHOOKS[name]["namespaceSelector"]["matchExpressions"]
    assert selector == {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": [NAMESPACE, "kube-system", "kube-node-lease"],
    }
    assert "objectSelector" not in WEBHOOKS[name]  # labels are anybody's to take off


def test_what_is_paused_first_is_what_is_turned_away() -> None:
    assert conditions(WEBHOOKS[MUTATE]) == conditions(WEBHOOKS[VALIDATE])


@pytest.mark.parametrize("name", TABLE)
def test_the_conditions_know_a_gateway_by_what_the_code_knows_it_by(name: str) -> None:
    judged = " ".join(conditions(WEBHOOKS[name]).values())
    assert f"'{GATEWAY_CONTAINER}' in" in judged
    (piece,) = re.findall(r"mountPath\.contains\('([^']+)'\)", judged)
    # Every spelling of the path ends in its last part: dots and doubled slashes come before or behind.
    assert piece == LICENSE_PATH.rpartition("/")[2]


def test_the_manifests_hold_no_references_of_yaml() -> None:
    """Not every tool that edits manifests keeps them."""
    for file in MANIFESTS.glob("*.yaml"):
        assert not re.search(r"(?m)[:-] [&*][A-Za-z]", file.read_text()), file.name
