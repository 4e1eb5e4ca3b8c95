"""Who is governed, by what, and how."""

from typing import Any

import pytest

from tests.support.builders import IMAGE, NEXT_IMAGE, gateway, merged, namespace, record
from webhook.policy.gateway_resource import Gateway
from webhook.policy.governance import Claims, Governance, Source, govern, source_spec
from webhook.policy.names import GATEWAY_API_VERSION
from webhook.policy.objects import Namespace, ObjectMeta, OwnerReference, view
from webhook.policy.record import FirstInstall, LogLevel, Mode, Record, RecordSpec, Rollback, Runner

ASKS = {"schemagate.io/migration-job": "enabled"}
JOB = ("spec", "app", "management", "database", "migrationJob")


def a_record(managed: bool = False, **spec: Any) -> Record:
    return Record.from_manifest(record(managed=managed, spec=spec))


def a_gateway(job: Any = None, annotations: Any = None, **database: Any) -> Gateway:
    tweak = {"app": {"management": {"database": {"migrationJob": job, **database}}}}
    manifest = gateway(spec=tweak, metadata={"annotations": None})
    return view(Gateway, merged(manifest, {"metadata": {"annotations": annotations or {}}}))


def a_namespace(label: str | None = None) -> Namespace:
    return view(Namespace, namespace(**({} if label is None else {"schemagate.io/enforce": label})))


def meta(**annotations: str) -> ObjectMeta:
    return ObjectMeta(
        annotations={f"schemagate.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    )


ANNOTATED = meta(migration_job="enabled", jdbc_url="jdbc:mysql://d/d")
OPERATED = a_gateway({"enabled": True, "jdbcUrl": "jdbc:mysql://g/g"})
HELD_NAMESPACE = a_namespace("hold")
OFF = a_record(enabled=False)

SOURCES: dict[str, tuple[Claims, Source | None, str]] = {
    "nothing": (Claims(), None, ""),
    "a namespace without the label": (Claims(namespace=a_namespace()), None, ""),
    "a namespace with an empty label": (Claims(namespace=a_namespace(" ")), None, ""),
    "a namespace": (Claims(namespace=HELD_NAMESPACE), Source.NAMESPACE, ""),
    "a Deployment before the namespace": (
        Claims(deployments=[ANNOTATED], namespace=HELD_NAMESPACE),
        Source.DEPLOYMENT,
        "jdbc:mysql://d/d",
    ),
    "an annotation dropped in the same update": (
        Claims(deployments=[ObjectMeta(), ANNOTATED]),
        Source.DEPLOYMENT,
        "jdbc:mysql://d/d",
    ),
    "the new annotations before the old": (
        Claims(deployments=[meta(migration_job=" Enabled ", jdbc_url="jdbc:mysql://n/n"), ANNOTATED]),
        Source.DEPLOYMENT,
        "jdbc:mysql://n/n",
    ),
    "another word than enabled": (Claims(deployments=[meta(migration_job="true")]), None, ""),
    "a Gateway before the Deployment": (
        Claims(gateway=OPERATED, deployments=[ANNOTATED]),
        Source.GATEWAY,
        "jdbc:mysql://g/g",
    ),
    "a Gateway by annotations, where its CRD prunes the field": (
        Claims(gateway=a_gateway(None, dict(ANNOTATED.annotations or {})), deployments=[ANNOTATED]),
        Source.GATEWAY,
        "jdbc:mysql://d/d",
    ),
    "a Gateway that does not ask": (Claims(gateway=a_gateway({"enabled": False})), None, ""),
    "a Gateway that does not ask in a namespace that does": (
        Claims(gateway=a_gateway(), namespace=HELD_NAMESPACE),
        Source.NAMESPACE,
        "",
    ),
    "a user's record before all": (
        Claims(record=a_record(jdbcUrl="jdbc:mysql://r/r"), gateway=OPERATED, namespace=HELD_NAMESPACE),
        Source.RECORD,
        "jdbc:mysql://r/r",
    ),
    "a user's record that is disabled": (Claims(record=OFF, gateway=OPERATED, namespace=HELD_NAMESPACE), None, ""),
    "a managed record under its source": (
        Claims(record=a_record(True, jdbcUrl="jdbc:mysql://r/r"), gateway=OPERATED),
        Source.GATEWAY,
        "jdbc:mysql://g/g",
    ),
    "a managed record whose source is gone": (
        Claims(record=a_record(True, jdbcUrl="jdbc:mysql://r/r")),
        Source.RECORD,
        "jdbc:mysql://r/r",
    ),
    "a managed record that a user disabled": (
        Claims(record=a_record(True, enabled=False), gateway=OPERATED),
        None,
        "",
    ),
}


@pytest.mark.parametrize(("claims", "source", "url"), SOURCES.values(), ids=SOURCES.keys())
def test_the_strongest_source_governs(claims: Claims, source: Source | None, url: str) -> None:
    found = govern(claims)
    assert (found.source if found else None) == source
    assert found is None or (found.spec.jdbc_url, found.problem) == (url, None)


def governed(claims: Claims) -> Governance:
    found = govern(claims)
    assert found is not None
    return found


def test_a_managed_record_keeps_what_only_it_can_say() -> None:
    kept = {
        "image": NEXT_IMAGE,
        "mode": "Warn",
        "runner": "External",
        "firstInstall": "Gateway",
        "podAttempts": 3,
        "rollback": "Deny",
        "clearLocks": True,
    }
    found = governed(Claims(record=a_record(True, **kept), gateway=OPERATED))
    assert found.spec == RecordSpec(
        jdbc_url="jdbc:mysql://g/g",
        image=NEXT_IMAGE,
        mode=Mode.WARN,
        runner=Runner.EXTERNAL,
        first_install=FirstInstall.GATEWAY,
        pod_attempts=3,
        rollback=Rollback.DENY,
    )
    assert (found.mode, found.first_install, found.announced) == (Mode.WARN, FirstInstall.GATEWAY, NEXT_IMAGE)


@pytest.mark.parametrize(("mode", "stops"), [("Reject", True), ("Hold", True), ("Warn", False), ("Audit", False)])
def test_reject_and_hold_stop_what_is_not_migrated(mode: str, stops: bool) -> None:
    assert governed(Claims(record=a_record(mode=mode))).stops is stops


def test_a_gateway_tells_all_its_settings() -> None:
    job = {"enabled": True, "jdbcUrl": "jdbc:mysql://g/g", "clearLocks": True, "activeDeadlineSeconds": 60}
    found = governed(Claims(gateway=a_gateway(job, liquibaseLogLevel="fine")))
    assert found.spec == RecordSpec(
        jdbc_url="jdbc:mysql://g/g",
        clear_locks=True,
        active_deadline_seconds=60,
        liquibase_log_level=LogLevel.FINE,
    )
    assert found.announced == IMAGE


def test_a_log_level_that_the_gateway_does_not_know_is_its_own_affair() -> None:
    found = governed(Claims(gateway=a_gateway({"enabled": True}, liquibaseLogLevel="LOUD")))
    assert (found.spec.liquibase_log_level, found.problem) == (None, None)


def test_annotations_tell_all_settings() -> None:
    notes = meta(
        migration_job="enabled",
        jdbc_url="jdbc:mysql://g/g",
        clear_locks="true",
        active_deadline_seconds="60",
        liquibase_log_level="severe",
    )
    assert governed(Claims(deployments=[notes])).spec == RecordSpec(
        jdbc_url="jdbc:mysql://g/g",
        clear_locks=True,
        active_deadline_seconds=60,
        liquibase_log_level=LogLevel.SEVERE,
    )


BAD = {
    "clear_locks": "maybe",
    "active_deadline_seconds": "0",
    "liquibase_log_level": "loud",
    "jdbc_url": "x" * 5000,
}


@pytest.mark.parametrize(("name", "value"), BAD.items(), ids=BAD.keys())
def test_a_bad_annotation_leaves_it_governed_and_is_told(name: str, value: str) -> None:
    found = governed(Claims(deployments=[meta(migration_job="enabled", **{name: value})]))
    assert found.spec == RecordSpec()
    assert (found.problem or "").startswith("Deployment settings: spec.")
    assert value not in (found.problem or "") or len(value) == 1


@pytest.mark.parametrize("seconds", [0, -1, 86401, 10**30])
def test_a_bad_deadline_of_a_gateway_is_told(seconds: int) -> None:
    found = governed(Claims(gateway=a_gateway({"enabled": True, "activeDeadlineSeconds": seconds})))
    assert (found.problem or "").startswith("Gateway settings: spec.activeDeadlineSeconds: ")


MODES: dict[str, tuple[str | None, str | None, Mode]] = {
    "the default": (None, None, Mode.AUDIT),
    "the namespace": (None, "warn", Mode.WARN),
    "in any case, with space around": (None, " HoLD ", Mode.HOLD),
    "reject": (None, "reject", Mode.REJECT),
    "audit": (None, "audit", Mode.AUDIT),
    "a word that is none fails safe": (None, "off", Mode.REJECT),
    "the record before the namespace": ("Hold", "warn", Mode.HOLD),
}


@pytest.mark.parametrize(("own", "label", "mode"), MODES.values(), ids=MODES.keys())
def test_the_mode_comes_from_record_namespace_or_default(own: str | None, label: str | None, mode: Mode) -> None:
    claims = Claims(record=a_record(mode=own), namespace=a_namespace(label), default_mode=Mode.AUDIT)
    assert governed(claims).mode is mode


def owned(api_version: str) -> ObjectMeta:
    return ObjectMeta(
        owner_references=(OwnerReference("Gateway", "ssg", api_version, controller=True),), annotations=ASKS
    )


FIRST: dict[str, tuple[Claims, FirstInstall]] = {
    "a plain Deployment": (Claims(deployments=[ANNOTATED]), FirstInstall.GATEWAY),
    "a Gateway": (Claims(gateway=OPERATED), FirstInstall.MIGRATE),
    "a Deployment of a Gateway not seen yet": (
        Claims(deployments=[owned(GATEWAY_API_VERSION)]),
        FirstInstall.MIGRATE,
    ),
    "a Gateway of the Gateway API": (
        Claims(deployments=[owned("gateway.networking.k8s.io/v1")]),
        FirstInstall.GATEWAY,
    ),
    "the record before all": (
        Claims(record=a_record(firstInstall="Gateway"), gateway=OPERATED),
        FirstInstall.GATEWAY,
    ),
}


@pytest.mark.parametrize(("claims", "wanted"), FIRST.values(), ids=FIRST.keys())
def test_who_migrates_first(claims: Claims, wanted: FirstInstall) -> None:
    assert governed(claims).first_install is wanted


RUNNERS: dict[str, tuple[Claims, Runner]] = {
    "nothing but a Deployment": (Claims(deployments=[ANNOTATED]), Runner.SCHEMAGATE),
    "a namespace": (Claims(namespace=HELD_NAMESPACE), Runner.SCHEMAGATE),
    "a Gateway with a Job of its own": (Claims(gateway=OPERATED), Runner.EXTERNAL),
    "a Gateway whose Job is off": (
        Claims(gateway=a_gateway({"enabled": False}), namespace=HELD_NAMESPACE),
        Runner.SCHEMAGATE,
    ),
    "a Gateway by annotations, where its CRD prunes the field": (
        Claims(gateway=a_gateway(None, dict(ANNOTATED.annotations or {}))),
        Runner.SCHEMAGATE,
    ),
    "a user's record for a Gateway with a Job of its own": (
        Claims(record=a_record(), gateway=OPERATED),
        Runner.EXTERNAL,
    ),
    "a managed record of it": (Claims(record=a_record(True), gateway=OPERATED), Runner.EXTERNAL),
    "a record that wants ours": (
        Claims(record=a_record(runner="Schemagate"), gateway=OPERATED),
        Runner.SCHEMAGATE,
    ),
    "a managed record that wants ours": (
        Claims(record=a_record(True, runner="Schemagate"), gateway=OPERATED),
        Runner.SCHEMAGATE,
    ),
    "a record that wants another": (Claims(record=a_record(runner="External")), Runner.EXTERNAL),
}


@pytest.mark.parametrize(("claims", "wanted"), RUNNERS.values(), ids=RUNNERS.keys())
def test_who_runs_the_job(claims: Claims, wanted: Runner) -> None:
    found = governed(claims)
    assert found.runner is wanted
    assert found.spec.runner == (claims.record.spec.runner if claims.record else None), "resolved, not stored"


def test_the_status_is_the_records_own() -> None:
    stored = Record.from_manifest(record(managed=True, status={"specHash": "a" * 64}))
    assert governed(Claims(record=stored, gateway=OPERATED)).status.spec_hash == "a" * 64
    assert governed(Claims(gateway=OPERATED)).status.spec_hash == ""


def test_the_controller_is_told_what_to_keep() -> None:
    assert source_spec(Claims()) is None
    assert source_spec(Claims(record=a_record())) is None
    assert source_spec(Claims(namespace=HELD_NAMESPACE)) == (Source.NAMESPACE, RecordSpec())
