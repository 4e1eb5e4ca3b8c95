"""What people are given, and what goes with rights that they have already."""

from typing import Any

from tests.live.installation import manifests

ROLES = {role["metadata"]["name"]: role for role in manifests("45-people.yaml")}
RECORDS = "gatewaymigrations"
VERBS = {
    "schemagate-view": {"get", "list", "watch"},
    "schemagate-operate": {"get", "list", "watch", "create", "update", "patch", "delete"},
    "schemagate-break-glass": {"bypass"},
    "schemagate-weaken": {"weaken"},
}


def granted(role: dict[str, Any]) -> set[tuple[str, str]]:
    return {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}


def test_each_role_grants_what_it_is_called_for() -> None:
    assert ROLES.keys() == VERBS.keys()
    for name, verbs in VERBS.items():
        assert {verb for resource, verb in granted(ROLES[name]) if resource == RECORDS} == verbs


def test_beside_records_people_get_nothing_to_write() -> None:
    for role in ROLES.values():
        assert {verb for resource, verb in granted(role) if resource != RECORDS} <= {"get", "list"}
        assert not {"secrets", f"{RECORDS}/status", "*"} & {part for pair in granted(role) for part in pair}


def test_only_reading_goes_with_a_role_of_the_cluster() -> None:
    """Who has `edit` in a namespace is whom the gate is for."""
    for name, role in ROLES.items():
        labels = {label for label in role["metadata"]["labels"] if "aggregate-to" in label}
        wanted = {"rbac.authorization.k8s.io/aggregate-to-view"} if name == "schemagate-view" else set[str]()
        assert labels == wanted
