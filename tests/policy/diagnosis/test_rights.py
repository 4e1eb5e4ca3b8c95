"""The rights that the doctor asks for are those that the roles grant, no more and no fewer."""

from dataclasses import replace
from itertools import product

import pytest
import yaml

from tests.live.installation import MANIFESTS, NAMESPACE
from tests.manifests.test_roles import ACCOUNTS, ROLES
from tests.support.diagnoses import found, only
from webhook.policy.diagnosis.line import Check, Level, Unread
from webhook.policy.diagnosis.rights import Right, rights

RIGHTS = rights(NAMESPACE)


def granted() -> set[Right]:
    return {
        Right(role["metadata"]["name"], group, resource, verb, name, role["metadata"].get("namespace", ""))
        for role in ROLES
        for rule in role["rules"]
        for group, resource, verb, name in product(
            rule["apiGroups"], rule["resources"], rule["verbs"], rule.get("resourceNames") or [""]
        )
    }


def test_they_are_those_of_the_roles() -> None:
    assert {role["metadata"]["name"] for role in ROLES} == set(ACCOUNTS)
    assert set(RIGHTS) == granted()
    assert len(RIGHTS) == len(set(RIGHTS))


def test_those_by_namespace_are_those_of_the_namespaced_overlay() -> None:
    (role,) = yaml.safe_load_all((MANIFESTS.parent / "overlays" / "namespaced" / "roles.yaml").read_text())
    expected = {
        (group, resource, verb)
        for rule in role["rules"]
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }
    assert {(one.group, one.resource, one.verb) for one in RIGHTS if one.by_namespace} == expected


@pytest.mark.parametrize("right", RIGHTS, ids=str)
def test_each_that_is_lacking_is_told(right: Right) -> None:
    message = only(Level.FAIL, Check.RIGHTS, rights={one: one != right for one in RIGHTS})
    assert message == f"service account {right.account} may not {right}"


def test_a_right_in_one_namespace_names_it() -> None:
    right = replace(next(one for one in RIGHTS if one.by_namespace), namespace="team-a")
    assert str(right).endswith(" in team-a")
    assert not right.by_namespace


def test_each_account_has_a_line_of_its_own() -> None:
    lines = found(rights=dict.fromkeys(RIGHTS, False))
    assert [line.message.split()[2] for line in lines] == ["schemagate-webhook", "schemagate-controller"]
    assert all(line.message.endswith(" more") for line in lines)


def test_too_many_rights_are_told() -> None:
    message = only(Level.WARN, Check.RIGHTS, almighty=("schemagate-webhook",))
    assert message == "service account schemagate-webhook may do everything in the cluster"


def test_who_may_not_ask_is_told_which_right_it_takes() -> None:
    assert "you may not create x" in only(Level.UNKNOWN, Check.RIGHTS, rights=Unread("create x"))
