"""Every rule of the scan: where it is broken, and where something that looks alike is fine."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.audit.stocks import complete, found, healthy, recorded, rules, skip, stock, swapped
from tests.support import builders as make
from tests.support.builders import IMAGE, NEXT_IMAGE, NOW, URL, Manifest
from webhook.audit.scan.finding import Finding, Rule
from webhook.audit.scan.scan import scan
from webhook.policy.inputs import MigrationInputs
from webhook.policy.names import ENFORCE, HELD
from webhook.policy.objects import Deployment

OLD_IMAGE = "docker.io/caapim/gateway:11.1.3"
NEXT = make.container(image=NEXT_IMAGE)
NEXT_HASH = MigrationInputs(NEXT_IMAGE, URL).spec_hash


def upgraded(**tweak: Any) -> list[Manifest]:
    """The healthy Gateway with an image in its Deployment that is not migrated."""
    return swapped("Deployment", {"spec": {"template": {"spec": make.pod_spec(NEXT)}}, **tweak})


def paused(since: str, **status: Any) -> list[Manifest]:
    """The upgrade, held by us; its record has not been ready since."""
    held = {"metadata": {"annotations": {HELD: NEXT_HASH[:16]}}, "spec": {"paused": True}}
    ready = {"type": "Ready", "status": "False", "reason": "Running", "message": "m", "lastTransitionTime": since}
    return swapped(
        "GatewayMigration", {"status": {"conditions": [ready], **status}}, swapped("Deployment", held, upgraded())
    )


def with_pod(**tweak: Any) -> list[Manifest]:
    return swapped("Pod", tweak)


def the_only(*objects: Manifest) -> Finding:
    (one,) = found(*objects)
    return one


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert rules(*healthy()) == []


# Ungoverned.


@pytest.mark.parametrize("name", ["operator-gateway", "operator-gateway-node-properties"])
def test_a_recorded_gateway_that_nobody_guards_is_ungoverned(name: str) -> None:
    one = the_only(*recorded(name))
    assert (one.rule, one.subject) == (Rule.UNGOVERNED, f"Deployment/{one.name}")
    assert one.next_step == f"kubectl label namespace {one.namespace} schemagate.io/enforce=warn"


def test_a_record_that_turns_the_guard_off_is_told_as_such() -> None:
    one = the_only(*swapped("GatewayMigration", {"spec": {"enabled": False}}))
    assert (one.rule, "turns the guard off" in one.message) == (Rule.UNGOVERNED, True)


def test_without_a_database_there_is_nothing_to_guard() -> None:
    diskless = make.config_map(data={"DISKLESS_CONFIG": "true"})
    assert rules(make.namespace(), diskless, make.deployment()) == []


def test_what_is_on_its_way_out_is_not_judged() -> None:
    going = {"metadata": {"deletionTimestamp": "2026-11-22T11:59:00Z"}}
    assert rules(*swapped("Deployment", going, [make.config_map(), make.deployment()])) == []


# UnsupportedVersion.


def test_a_recorded_gateway_that_is_too_old_is_told_instead_of_being_ungoverned() -> None:
    one = the_only(*recorded("helm-gateway"))
    assert (one.rule, "11.1.3" in one.message) == (Rule.UNSUPPORTED_VERSION, True)


def test_a_governed_gateway_that_is_too_old_is_told_and_nothing_else() -> None:
    old = swapped("Deployment", {"spec": {"template": {"spec": make.pod_spec(make.container(image=OLD_IMAGE))}}})
    assert rules(*old) == [Rule.UNSUPPORTED_VERSION]


# InvalidInputs.


def test_a_missing_config_map_is_invalid_inputs() -> None:
    one = the_only(*(item for item in healthy() if item["kind"] not in {"ConfigMap", "Pod"}))
    assert (one.rule, "ConfigMap ssg" in one.message) == (Rule.INVALID_INPUTS, True)


def test_an_optional_config_map_may_be_missing() -> None:
    optional = {
        "envFrom": [{"configMapRef": {"name": "ssg"}}, {"configMapRef": {"name": "more", "optional": True}}]
    }
    template = {"spec": {"template": {"spec": make.pod_spec(make.container(**optional))}}}
    assert rules(*swapped("Deployment", template)) == []


# IncompleteHash.


@pytest.mark.parametrize("mode", ["Reject", "Hold", "Warn", "Audit"])
def test_a_template_that_rolls_out_unmigrated_is_told_whatever_the_mode(mode: str) -> None:
    one = the_only(*swapped("Namespace", {"metadata": {"labels": {ENFORCE: mode.lower()}}}, upgraded()))
    assert (one.rule, one.subject) == (Rule.INCOMPLETE_HASH, "Deployment/ssg")
    assert f"migration {NEXT_HASH[:16]} has not run" in one.message
    assert one.next_step == f"schemagate migrate ssg -n team-a --image {NEXT_IMAGE} --wait"


def test_a_failed_migration_of_what_rolls_out_leads_to_retry() -> None:
    failed = {"specHash": NEXT_HASH, "phase": "Failed", "failure": {"class": "LockHeld"}}
    one = the_only(*swapped("GatewayMigration", {"status": failed}, upgraded()))
    assert (one.rule, "is Failed (LockHeld)" in one.message) == (Rule.INCOMPLETE_HASH, True)
    assert one.next_step == "mend it, then: schemagate retry ssg -n team-a --wait"


def test_a_paused_deployment_runs_nothing() -> None:
    assert rules(*swapped("Deployment", {"spec": {"paused": True}}, upgraded())) == []


def test_what_was_migrated_before_may_run() -> None:
    both = [{"hash": NEXT_HASH, "image": NEXT_IMAGE}, *complete()["status"]["completedHashes"]]
    assert rules(*swapped("GatewayMigration", {"status": {"completedHashes": both}})) == []


def test_pods_of_another_template_are_told_once_for_all_of_them() -> None:
    old = {"spec": {"containers": [make.container(image="docker.io/caapim/gateway:11.2.4")]}}
    second = make.merged(with_pod(**old)[3], {"metadata": {"name": "ssg-5d8f-b"}})
    one = the_only(*with_pod(**old), second)
    assert (one.rule, one.subject) == (Rule.INCOMPLETE_HASH, "Pod/ssg-5d8f-a")
    assert one.message.startswith("2 pods run docker.io/caapim/gateway:11.2.4 but migration ")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_runs_nothing(phase: str) -> None:
    old = {"containers": [make.container(image="docker.io/caapim/gateway:11.2.4")]}
    assert rules(*with_pod(spec=old, status={"phase": phase})) == []


# SkipWithoutEvidence.


def test_a_pod_in_skip_that_nothing_was_migrated_for() -> None:
    image = "docker.io/caapim/gateway:11.2.4"
    one = the_only(*with_pod(spec={"containers": [make.container(image=image, env=skip())]}))
    assert (one.rule, one.subject) == (Rule.SKIP_WITHOUT_EVIDENCE, "Pod/ssg-5d8f-a")


def test_a_deployment_that_sets_skip_itself_before_it_is_migrated() -> None:
    own = {"spec": {"template": {"spec": make.pod_spec(make.container(image=NEXT_IMAGE, env=skip()))}}}
    one = the_only(*swapped("Deployment", own))
    assert (one.rule, one.subject) == (Rule.SKIP_WITHOUT_EVIDENCE, "Deployment/ssg")


def test_skip_that_nobody_guards_is_told_beside_that() -> None:
    bare = [make.config_map(), make.deployment(make.container(env=skip()))]
    assert rules(*bare) == [Rule.SKIP_WITHOUT_EVIDENCE, Rule.UNGOVERNED]


def test_skip_of_the_charts_own_is_fine_once_it_is_migrated() -> None:
    own = {"spec": {"template": {"spec": make.pod_spec(make.container(env=skip()))}}}
    assert rules(*swapped("Deployment", own)) == []


# ConfigDrift.

MOVED = "jdbc:mysql://other-db:3306/ssg"


def drift(**meta: Any) -> list[Manifest]:
    return swapped("ConfigMap", {"data": {"SSG_DATABASE_JDBC_URL": MOVED}, "metadata": meta})


def test_a_config_map_that_changed_after_the_migration_is_drift() -> None:
    written = [{"manager": "kubectl", "operation": "Update", "time": "2026-11-22T11:45:00Z"}]
    one = the_only(*drift(managedFields=written))
    assert one.rule is Rule.CONFIG_DRIFT
    assert one.message.startswith(f"ConfigMap ssg changed after the migration of {IMAGE}")
    assert "other-db:3306/ssg" in one.message


def test_drift_shows_without_times_by_the_database() -> None:
    objects = swapped("Pod", {"spec": {"containers": [make.container()]}}, drift())
    done = complete()["status"]["completedHashes"][0] | {"database": "mysql-primary:3306/ssg"}
    one = the_only(*swapped("GatewayMigration", {"status": {"completedHashes": [done]}}, objects))
    assert (one.rule, one.message.startswith("the database was changed")) == (Rule.CONFIG_DRIFT, True)


def test_a_config_map_that_changed_nothing_of_the_inputs_is_no_drift() -> None:
    written = [{"time": "2026-11-22T11:45:00Z"}]
    more = {"data": {"SSG_JVM_HEAP": "4g"}, "metadata": {"managedFields": written}}
    assert rules(*swapped("ConfigMap", more)) == []


def test_another_image_is_no_drift() -> None:
    written = {"metadata": {"managedFields": [{"time": "2026-11-22T11:45:00Z"}]}}
    assert rules(*swapped("ConfigMap", written, upgraded())) == [Rule.INCOMPLETE_HASH]


# ConflictingModes.


@pytest.mark.parametrize("mode", ["liquibase-only", "auto"])
def test_a_mode_of_the_deployments_own_conflicts_with_skip(mode: str) -> None:
    own = {"spec": {"template": {"spec": make.pod_spec(make.container(env=skip(mode)))}}}
    one = the_only(*swapped("Deployment", own))
    assert (one.rule, f"={mode};" in one.message) == (Rule.CONFLICTING_MODES, True)


def test_a_label_that_says_no_mode_counts_as_reject() -> None:
    one = the_only(*swapped("Namespace", {"metadata": {"labels": {ENFORCE: "rejct"}}}))
    assert (one.rule, "rejct, which counts as reject" in one.message) == (Rule.CONFLICTING_MODES, True)


@pytest.mark.parametrize(("own", "told"), [("Audit", True), ("Warn", True), ("Hold", True), ("Reject", False)])
def test_a_record_weaker_than_its_namespace_is_told(own: str, told: bool) -> None:
    objects = swapped("GatewayMigration", {"spec": {"mode": own}})
    assert rules(*objects) == [Rule.CONFLICTING_MODES] * told


def test_two_runners_are_told_and_one_is_not() -> None:
    both = swapped("GatewayMigration", {"spec": {"runner": "Schemagate"}})
    assert rules(*both, make.gateway_with_job()) == [Rule.CONFLICTING_MODES]
    assert rules(*healthy(), make.gateway_with_job()) == []


# SharedDatabase.


def other(image: str, namespace: str = "team-a", url: str = URL) -> list[Manifest]:
    """Another Gateway on a database, migrated."""
    there: Manifest = {"name": "two", "namespace": namespace}
    maps = make.merged(make.config_map("two", SSG_DATABASE_JDBC_URL=url), {"metadata": {"namespace": namespace}})
    own = make.container(image=image, envFrom=[{"configMapRef": {"name": "two"}}])
    return [maps, make.deployment(own, metadata=there), make.merged(complete(image, url), {"metadata": there})]


def test_a_database_with_two_images_is_told_at_both() -> None:
    both = found(*healthy(), *other(NEXT_IMAGE))
    assert [(item.rule, item.name) for item in both] == [
        (Rule.SHARED_DATABASE, "ssg"),
        (Rule.SHARED_DATABASE, "two"),
    ]
    assert "mysql-primary:3306/ssg is used by team-a/two" in both[0].message


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(other(IMAGE), id="one image"),
        pytest.param(other(NEXT_IMAGE, "team-b"), id="a short host name of another namespace"),
        pytest.param(other(NEXT_IMAGE, url="jdbc:mysql://mysql-primary:3306/two"), id="another schema"),
    ],
)
def test_what_shares_nothing_is_not_told(objects: list[Manifest]) -> None:
    assert rules(*healthy(), *objects) == []


def test_a_full_host_name_is_one_in_all_namespaces_and_loopback_in_none() -> None:
    for host, told in (("db.example.com", 2), ("127.0.0.1", 0), ("localhost", 0)):
        url = f"jdbc:mysql://{host}:3306/ssg"
        here = [make.config_map(SSG_DATABASE_JDBC_URL=url), make.deployment(), complete(IMAGE, url)]
        assert rules(*here, *other(NEXT_IMAGE, "team-b", url)) == [Rule.SHARED_DATABASE] * told


# MigrationFailed, HeldForLong.

FAILURE = {"specHash": NEXT_HASH, "image": NEXT_IMAGE, "phase": "Failed"}


def test_a_failed_migration_of_what_does_not_run_is_told() -> None:
    failed = {**FAILURE, "failure": {"class": "AuthFailed", "message": "user gateway was refused"}}
    one = the_only(*swapped("GatewayMigration", {"status": failed}))
    assert one.rule is Rule.MIGRATION_FAILED
    assert f"for {NEXT_IMAGE} failed (AuthFailed: user gateway was refused)" in one.message


def test_a_failure_under_a_record_that_guards_nothing_is_nobodys() -> None:
    off = swapped("GatewayMigration", {"status": FAILURE, "spec": {"enabled": False}})
    assert rules(*off) == [Rule.UNGOVERNED]


@pytest.mark.parametrize(("since", "told"), [("2026-11-22T10:00:00Z", True), ("2026-11-22T11:30:00Z", False)])
def test_a_deployment_is_held_for_long_after_an_hour(since: str, told: bool) -> None:
    assert rules(*paused(since)) == [Rule.HELD_FOR_LONG] * told


def test_what_a_user_paused_is_not_held() -> None:
    objects = swapped("Deployment", {"metadata": {"annotations": None}}, paused("2026-11-22T10:00:00Z"))
    assert rules(*objects) == []


# Unreadable.


def test_a_template_that_cannot_be_read_is_told_and_hides_no_other() -> None:
    many = [{"name": f"V{number}", "value": "1"} for number in range(10_001)]
    bad = make.deployment(make.container(env=many), metadata={"name": "bad"})
    # A file would be refused where it is loaded; an API server stores it.
    whole = stock(*healthy(), make.deployment(metadata={"name": "other"}))
    both = [*whole.deployments, msgspec.json.decode(msgspec.json.encode(bad), type=Deployment)]
    told = scan(replace(whole, deployments=both), NOW).findings
    assert [(item.rule, item.name) for item in told if item.rule is not Rule.INCOMPLETE_HASH] == [
        (Rule.UNREADABLE, "bad")
    ]
    assert "10000" in told[-1].message
