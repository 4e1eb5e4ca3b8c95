"""What is told of the rights that the service accounts hold, lack, or have too many of."""

from dataclasses import replace

import pytest

from tests.live.installation import NAMESPACE
from tests.support.diagnoses import found, only
from webhook.policy.diagnosis.line import Check, Level, Unread
from webhook.policy.diagnosis.rights import Right, rights

RIGHTS = rights(NAMESPACE)


@pytest.mark.parametrize("right", RIGHTS, ids=str)
def test_each_that_is_lacking_is_told(right: Right) -> None:
    message = only(Level.FAIL, Check.RIGHTS, rights={one: one != right for one in RIGHTS})
    assert message == f"service account {right.account} may not {right}"


def test_a_right_in_one_namespace_names_it() -> None:
    right = replace(next(one for one in RIGHTS if one.by_namespace), namespace="team-a")
    assert str(right).endswith(" in team-a")
    assert not right.by_namespace


def test_a_right_that_only_some_namespaces_lack_is_bound_there() -> None:
    right = next(one for one in RIGHTS if one.by_namespace)
    held = {one: True for one in RIGHTS if one != right} | {
        replace(right, namespace="team-a"): True,
        replace(right, namespace="team-b"): False,
    }
    (line,) = found(rights=held)
    assert line.message == f"service account {right.account} may not {replace(right, namespace='team-b')}"
    assert line.advice.startswith("bind ClusterRole schemagate-migrations")
    assert "in team-b: value namespaces of the chart, namespaces.yaml of the overlay" in line.advice


def test_what_is_lacking_everywhere_and_somewhere_is_told_apart() -> None:
    by_namespace = next(one for one in RIGHTS if one.by_namespace)
    other = next(one for one in RIGHTS if one.account == by_namespace.account and not one.by_namespace)
    held = {one: one != other for one in RIGHTS if one != by_namespace}
    held |= {replace(by_namespace, namespace="team-a"): False}
    lines = found(rights=held)
    assert [line.message.rpartition(" may not ")[2] for line in lines] == [str(other), f"{by_namespace} in team-a"]


def test_rights_that_nobody_could_ask_for_are_unknown() -> None:
    held = {one: True for one in RIGHTS if not one.by_namespace}
    lines = found(rights=held, gateways=Unread("list records"))
    (line,) = [line for line in lines if line.check is Check.RIGHTS]
    count = len(RIGHTS) - len(held)
    assert line.level is Level.UNKNOWN
    assert line.message.startswith(f"whether the controller holds {count} rights in the namespaces")
    assert found(rights=held) == []


def test_each_account_has_a_line_of_its_own() -> None:
    lines = found(rights=dict.fromkeys(RIGHTS, False))
    assert [line.message.split()[2] for line in lines] == ["schemagate-webhook", "schemagate-controller"]
    assert all(line.message.endswith(" more") for line in lines)


def test_too_many_rights_are_told() -> None:
    message = only(Level.WARN, Check.RIGHTS, almighty=("schemagate-webhook",))
    assert message == "service account schemagate-webhook may do everything in the cluster"


def test_who_may_not_ask_is_told_which_right_it_takes() -> None:
    assert "you may not create x" in only(Level.UNKNOWN, Check.RIGHTS, rights=Unread("create x"))
