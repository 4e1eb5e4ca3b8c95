"""The rights that the doctor asks for are those that the roles grant, no more and no fewer."""

from itertools import product

import yaml

from tests.live.installation import MANIFESTS, NAMESPACE
from tests.manifests.test_roles import ACCOUNTS, ROLES
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
