"""The scan as a whole: figures, order, bounds, and silence about what could not be read."""

import random
from dataclasses import replace

import pytest

from tests.audit.stocks import complete, found, healthy, recorded, rules, stock, swapped
from tests.support import builders as make
from tests.support.builders import NEXT_IMAGE, NOW, Manifest
from webhook.audit.scan import scan as scanning
from webhook.audit.scan.finding import Rule
from webhook.audit.scan.scan import Coverage, scan
from webhook.policy.names import HELD
from webhook.policy.record import Mode

EVERYTHING = [
    *recorded("operator-gateway"),
    *recorded("operator-gateway-node-properties"),
    *recorded("helm-gateway"),
]
NEXT_SPEC = {"spec": {"template": {"spec": make.pod_spec(make.container(image=NEXT_IMAGE))}}}


def coverage(*objects: Manifest) -> Coverage:
    (one,) = scan(stock(*objects), NOW).coverage
    return one


def test_a_healthy_gateway_counts_as_governed_and_complete() -> None:
    assert coverage(*healthy()) == Coverage(namespace="team-a", gateways=1, governed=1, complete=1)


def test_what_rolls_out_unmigrated_counts_as_incomplete_and_waiting_for_its_job() -> None:
    objects = swapped("GatewayMigration", {"status": {"phase": "Running"}}, swapped("Deployment", NEXT_SPEC))
    assert coverage(*objects) == Coverage(namespace="team-a", gateways=1, governed=1, incomplete=1, waiting=1)


def test_what_is_paused_counts_as_held() -> None:
    held = make.merged(NEXT_SPEC, {"spec": {"paused": True}, "metadata": {"annotations": {HELD: "x"}}})
    failed = swapped("GatewayMigration", {"status": {"phase": "Failed"}}, swapped("Deployment", held))
    assert coverage(*failed) == Coverage(namespace="team-a", gateways=1, governed=1, held=1, failed=1)


def test_other_gateways_count_by_what_they_are() -> None:
    diskless = make.config_map(data={"DISKLESS_CONFIG": "true"})
    assert coverage(diskless, make.deployment()) == Coverage(namespace="team-a", gateways=1, without_database=1)
    old = make.container(image="docker.io/caapim/gateway:11.1.3")
    too_old = swapped("Deployment", {"spec": {"template": {"spec": make.pod_spec(old)}}})
    assert coverage(*too_old) == Coverage(namespace="team-a", gateways=1, governed=1, unsupported=1)


def test_the_total_is_that_of_all_namespaces() -> None:
    result = scan(stock(*EVERYTHING), NOW)
    assert [item.namespace for item in result.coverage] == ["team-a", "team-b", "team-h"]
    assert result.total == Coverage(namespace="*", gateways=3, ungoverned=3)
    assert len(result.gateways) == 3


def test_the_default_mode_governs_nobody() -> None:
    assert [item.rule for item in found(*EVERYTHING, default_mode=Mode.AUDIT)] == rules(*EVERYTHING)


def test_the_gravest_come_first_whatever_the_order_of_the_stock() -> None:
    failing = swapped("GatewayMigration", {"status": {"phase": "Failed", "specHash": "0" * 64}})
    objects = [*recorded("helm-gateway"), *recorded("operator-gateway-node-properties"), *failing]
    first = scan(stock(*objects), NOW)
    assert [item.rule for item in first.findings] == [
        Rule.MIGRATION_FAILED,
        Rule.UNGOVERNED,
        Rule.UNSUPPORTED_VERSION,
    ]
    random.Random(1).shuffle(objects)
    assert scan(stock(*objects), NOW) == first


def test_findings_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "LIMIT", 2)
    result = scan(stock(*EVERYTHING), NOW)
    assert [item.rule for item in result.findings] == [Rule.UNGOVERNED] * 2  # the gravest are kept
    assert result.omitted == 1


def test_one_rule_alone_may_be_asked_for() -> None:
    result = scan(stock(*EVERYTHING), NOW)
    assert {item.rule for item in result.only({Rule.UNGOVERNED}).findings} == {Rule.UNGOVERNED}
    assert result.only(()) == result


@pytest.mark.parametrize("kind", ["Gateway", "Namespace"])
def test_who_may_not_read_what_asks_for_a_guard_calls_nothing_ungoverned(kind: str) -> None:
    blind = replace(stock(*recorded("operator-gateway")), unread=frozenset({kind}))
    result = scan(blind, NOW)
    assert result.findings == ()
    assert result.coverage == (Coverage(namespace="team-a", gateways=1, unknown=1),)


def test_who_may_not_read_config_maps_calls_nothing_invalid() -> None:
    failed = swapped("GatewayMigration", {"status": {"phase": "Failed", "specHash": "0" * 64}})
    blind = replace(stock(*failed), unread=frozenset({"ConfigMap"}), config_maps={})
    result = scan(blind, NOW)
    assert [item.rule for item in result.findings] == [Rule.MIGRATION_FAILED]
    assert result.coverage == (Coverage(namespace="team-a", gateways=1, governed=1, failed=1),)


def test_a_decoy_beside_the_gateway_hides_nothing() -> None:
    spec = make.pod_spec(None, containers=[make.container(), make.container(name="second", image=NEXT_IMAGE)])
    (one,) = found(*swapped("Deployment", {"spec": {"template": {"spec": spec}}}))
    assert (one.rule, NEXT_IMAGE in one.message) == (Rule.INCOMPLETE_HASH, True)


def test_deployments_without_a_gateway_are_not_looked_at() -> None:
    plain = make.deployment({"name": "web", "image": "nginx"})
    assert scan(stock(make.namespace(), plain, complete()), NOW) == scanning.Scan()
