"""What the manifests grant, and what they never may."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.live.installation import MANIFESTS, NAMESPACE, manifests

ACCOUNTS = ("schemagate-controller", "schemagate-webhook")
DOCUMENTS = manifests("30-accounts.yaml", "40-roles.yaml")
ROLES = [item for item in DOCUMENTS if item["kind"] in {"ClusterRole", "Role"}]
BINDINGS = [item for item in DOCUMENTS if item["kind"] in {"ClusterRoleBinding", "RoleBinding"}]
READING = {"get", "list", "watch"}
OWN_SECRETS = ("schemagate-ca", "schemagate-webhook-tls")
"""The authority, which the controller alone may read, and what the webhooks show."""


def grants(kind: str = "", name: str = "") -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Give group, resource, verb and names of every rule, of all roles or of one."""
    for role in ROLES:
        if kind in {"", role["kind"]} and name in {"", role["metadata"]["name"]}:
            for rule in role["rules"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        for verb in rule["verbs"]:
                            yield group, resource, verb, tuple(rule.get("resourceNames", ()))


def test_nothing_is_granted_by_a_wildcard_or_by_url() -> None:
    assert not [grant for grant in grants() if "*" in "".join(grant[:3])]
    assert {key for role in ROLES for rule in role["rules"] for key in rule} <= {
        "apiGroups",
        "resources",
        "resourceNames",
        "verbs",
    }
    assert not [role for role in ROLES if "aggregationRule" in role]


@pytest.mark.parametrize(
    ("resources", "verbs"),
    [
        ({"serviceaccounts", "serviceaccounts/token", "nodes", "nodes/proxy"}, set[str]()),
        ({"roles", "rolebindings", "clusterroles", "clusterrolebindings"}, set[str]()),
        ({"validatingadmissionpolicies", "validatingadmissionpolicybindings"}, set[str]()),
        ({"pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers"}, set[str]()),
        ({"pods", "namespaces"}, READING),
        ({"deployments"}, {*READING, "patch"}),
        ({"jobs"}, {*READING, "create", "delete"}),
    ],
)
def test_no_more_than_this_is_granted(resources: set[str], verbs: set[str]) -> None:
    assert {verb for _, resource, verb, _ in grants() if resource in resources} <= verbs


def test_nobody_may_raise_rights_act_as_others_or_delete_in_bulk() -> None:
    assert not {"escalate", "bind", "impersonate", "deletecollection", "approve", "sign"} & {
        verb for _, _, verb, _ in grants()
    }


def test_no_secret_is_granted_but_those_of_our_own_certificates() -> None:
    assert not [grant for grant in grants("ClusterRole") if grant[1] == "secrets"]
    for account, names in (("schemagate-webhook", OWN_SECRETS[1:]), ("schemagate-controller", OWN_SECRETS)):
        for _, resource, verb, named in grants("Role", account):
            if resource != "secrets":
                continue
            if verb == "create":  # which cannot be limited by name
                assert account == "schemagate-controller"
            else:
                assert named
                assert set(named) <= set(names)


def test_of_webhook_configurations_only_our_own_are_granted() -> None:
    ours = [grant for grant in grants() if grant[0] == "admissionregistration.k8s.io"]
    assert {grant[3] for grant in ours} <= {("schemagate",)}
    assert {grant[2] for grant in ours} <= {*READING, "patch"}


def test_what_the_network_can_reach_only_reads_outside_its_namespace() -> None:
    writing = {grant[:3] for grant in grants("ClusterRole", "schemagate-webhook") if grant[2] not in READING}
    assert writing == {("authorization.k8s.io", "subjectaccessreviews", "create")}
    inside = {grant[:3] for grant in grants("Role", "schemagate-webhook") if grant[2] not in READING}
    assert inside == {("", "configmaps", "create")}


def test_no_rule_is_granted_twice() -> None:
    for account in ACCOUNTS:
        for kind in ("ClusterRole", "Role"):
            found = list(grants(kind, account))
            assert len(found) == len(set(found))
        wide = {grant[:3] for grant in grants("ClusterRole", account)}
        assert not wide & {grant[:3] for grant in grants("Role", account)}


def test_each_role_is_bound_to_its_own_account_alone() -> None:
    assert {item["metadata"]["name"] for item in DOCUMENTS if item["kind"] == "ServiceAccount"} == set(ACCOUNTS)
    bound = {(item["kind"], item["metadata"]["name"]): item for item in BINDINGS}
    assert bound.keys() == {(f"{role['kind']}Binding", role["metadata"]["name"]) for role in ROLES}
    for (kind, name), item in bound.items():
        assert item["roleRef"] == {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": kind.removesuffix("Binding"),
            "name": name,
        }
        assert item["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}]


def test_what_is_of_a_namespace_is_in_ours() -> None:
    names = {item["metadata"].get("namespace") for item in DOCUMENTS if not item["kind"].startswith("Cluster")}
    assert names == {NAMESPACE}


def test_rules_are_written_in_no_other_file() -> None:
    kinds: dict[str, set[Any]] = {}
    for file in MANIFESTS.glob("*.yaml"):
        for item in yaml.safe_load_all(file.read_text()):
            kinds.setdefault((item or {}).get("kind", ""), set()).add(file.name)
    # Roles for people are bound to nobody: tests/manifests/test_people.py.
    assert kinds["ClusterRole"] == {"40-roles.yaml", "45-people.yaml"}
    for kind in ("ClusterRoleBinding", "Role", "RoleBinding"):
        assert kinds[kind] == {"40-roles.yaml"}
