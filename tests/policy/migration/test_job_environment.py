"""The environment of the migration Job: its mode, its log level, and the database that it is led to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.policy.migration.test_job import INPUTS, build, main
from tests.support.builders import URL, config_map, config_maps, container, merged, pod_spec
from webhook.policy.environment import ConfigMaps, resolve
from webhook.policy.names import EXTRA_JAVA_ARGS, LOCK_WAIT_MINUTES, SSG_DATABASE_JDBC_URL
from webhook.policy.objects import ConfigMap, Container, view
from webhook.policy.pod.java_args import modes
from webhook.policy.record import LogLevel, RecordSpec

Manifest = dict[str, Any]


def java_args(job: Mapping[str, Any], maps: ConfigMaps | None = None) -> str:
    """The arguments as the kubelet would give them to the container."""
    given = resolve(view(Container, main(job)), config_maps() if maps is None else maps)
    return given.known(EXTRA_JAVA_ARGS) or ""


@pytest.mark.parametrize(("clear", "mode"), [(False, "liquibase-only"), (True, "liquibase-only-with-unlock")])
@pytest.mark.parametrize(
    ("case", "gateway", "data", "rest"),
    [
        ("nowhere", {}, {}, []),
        ("literal", {"env": [{"name": EXTRA_JAVA_ARGS, "value": "-Da=b"}]}, {}, ["-Da=b"]),
        (
            "literal with a mode",
            {"env": [{"name": EXTRA_JAVA_ARGS, "value": "-Dgateway.db.schema-update.mode=skip -Da=b"}]},
            {},
            ["-Da=b"],
        ),
        ("ConfigMap", {}, {EXTRA_JAVA_ARGS: "-Da=b -Dc=d"}, ["-Da=b", "-Dc=d"]),
        (
            "ConfigMap with a mode",
            {},
            {EXTRA_JAVA_ARGS: "-Da=b -Dgateway.db.schema-update.mode=default"},
            ["-Da=b"],
        ),
    ],
)
def test_arguments_are_kept_with_one_mode(
    case: str, gateway: Manifest, data: dict[str, str], rest: list[str], clear: bool, mode: str
) -> None:
    maps = config_maps(merged(config_map(), {"data": data}))
    args = java_args(build(pod_spec(container(**gateway)), RecordSpec(clear_locks=clear), maps=maps), maps)
    assert modes(args) == (mode,)
    assert [word for word in args.split() if "schema-update" not in word] == rest


def test_arguments_from_a_secret_are_referred_to() -> None:
    sources = [{"configMapRef": {"name": "ssg"}}, {"secretRef": {"name": "ssg"}}]
    env = main(build(pod_spec(container(envFrom=sources))))["env"]
    reference = {"secretKeyRef": {"name": "ssg", "key": EXTRA_JAVA_ARGS, "optional": True}}
    assert reference in [entry.get("valueFrom") for entry in env]
    (last,) = [entry["value"] for entry in env if entry["name"] == EXTRA_JAVA_ARGS]
    assert modes(last) == ("liquibase-only",)


@pytest.mark.parametrize(("level", "expected"), [(None, "info"), (LogLevel.FINE, "fine"), (LogLevel.OFF, "off")])
def test_log_level(level: LogLevel | None, expected: str) -> None:
    theirs = [{"name": "LIQUIBASE_LOG_LEVEL", "value": "severe"}]
    for gateway in (container(), container(env=theirs)):
        env = main(build(pod_spec(gateway), RecordSpec(liquibase_log_level=level)))["env"]
        assert [entry["value"] for entry in env if entry["name"] == "LIQUIBASE_LOG_LEVEL"] == [expected]


@pytest.mark.parametrize(
    ("deadline", "minutes"), [(30, "1"), (60, "1"), (180, "1"), (240, "2"), (300, "3"), (3600, "58")]
)
def test_liquibase_gives_up_on_its_lock_before_the_deadline_ends_the_job(deadline: int, minutes: str) -> None:
    env = main(build(settings=RecordSpec(active_deadline_seconds=deadline)))["env"]
    assert [entry for entry in env if entry["name"] == LOCK_WAIT_MINUTES] == [
        {"name": LOCK_WAIT_MINUTES, "value": minutes}
    ]


def test_a_wait_for_the_lock_that_the_gateway_sets_itself_stays() -> None:
    theirs = {"name": LOCK_WAIT_MINUTES, "value": "9"}
    env = main(build(pod_spec(container(env=[theirs]))))["env"]
    assert [entry for entry in env if entry["name"] == LOCK_WAIT_MINUTES] == [theirs]
    maps = config_maps(config_map("settings", {LOCK_WAIT_MINUTES: "9"}))
    inherited = main(build(pod_spec(container(envFrom=[{"configMapRef": {"name": "settings"}}])), maps=maps))[
        "env"
    ]
    assert LOCK_WAIT_MINUTES not in {entry["name"] for entry in inherited}


def test_telemetry_is_dropped_and_the_rest_kept_in_order() -> None:
    env = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4317"},
        {"name": "SSG_JVM_HEAP", "value": "2g"},
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "k8s.pod.name=$(POD_NAME)"},
    ]
    names = [entry["name"] for entry in main(build(pod_spec(container(env=env))))["env"]]
    assert names[:3] == [SSG_DATABASE_JDBC_URL, "POD_NAME", "SSG_JVM_HEAP"]
    assert not any(name.startswith("OTEL_") for name in names)


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:mysql://direct:3306/ssg?createDatabaseIfNotExist=false",
        "jdbc:mysql://direct:3306/ssg?a=$(HOSTNAME)&b=$$(X)&c=$&d=$$",
    ],
)
def test_the_url_of_the_record_reaches_the_container_as_it_is(url: str) -> None:
    env = [{"name": SSG_DATABASE_JDBC_URL, "value": "jdbc:mysql://proxy/ssg"}, {"name": "X", "value": "x"}]
    settings = RecordSpec(jdbc_url="jdbc:mysql://direct:3306/ssg")
    job = build(pod_spec(container(env=env)), settings, wanted=replace(INPUTS, jdbc_url=url))
    assert [entry["name"] for entry in main(job)["env"]].count(SSG_DATABASE_JDBC_URL) == 1
    assert resolve(view(Container, main(job)), config_maps()).known(SSG_DATABASE_JDBC_URL) == url


def test_the_url_of_the_record_is_left_out_where_node_properties_rule() -> None:
    wanted = replace(INPUTS, jdbc_url="node.properties:edge-node-properties")
    job = build(settings=RecordSpec(jdbc_url="jdbc:mysql://direct/ssg"), wanted=wanted)
    assert SSG_DATABASE_JDBC_URL not in {entry["name"] for entry in main(job)["env"]}


def sources_of(*kinds: str) -> list[Manifest]:
    return [{f"{kind}Ref": {"name": "ssg"}} for kind in kinds]


OTHER_URL = "jdbc:mysql://elsewhere/ssg"
CM = {
    "name": SSG_DATABASE_JDBC_URL,
    "valueFrom": {"configMapKeyRef": {"name": "ssg", "key": SSG_DATABASE_JDBC_URL}},
}
GONE = {
    "name": SSG_DATABASE_JDBC_URL,
    "valueFrom": {"configMapKeyRef": {"name": "ssg", "key": "none", "optional": True}},
}


def literal(value: str, name: str = SSG_DATABASE_JDBC_URL) -> Manifest:
    return {"name": name, "value": value}


@pytest.mark.parametrize(
    ("case", "gateway", "expected"),
    [
        ("ConfigMap", {}, URL),
        (
            "ConfigMap with a prefix",
            {"envFrom": [{"prefix": "SSG_", "configMapRef": {"name": "short"}}]},
            "jdbc:x$y",
        ),
        ("ConfigMap's key", {"env": [CM]}, URL),
        ("literal", {"env": [literal("jdbc:mysql://own/ssg")]}, "jdbc:mysql://own/ssg"),
        (
            "literal and a key that is missing",
            {"env": [literal("jdbc:mysql://own/ssg"), GONE]},
            "jdbc:mysql://own/ssg",
        ),
        (
            "literal made of ConfigMaps",
            {"env": [literal("jdbc:mysql://$(HOST)/a$$b")]},
            "jdbc:mysql://db-1/a$b",
        ),
        ("Secret before the ConfigMap", {"envFrom": sources_of("secret", "configMap")}, URL),
        ("perhaps a Secret's", {"envFrom": sources_of("configMap", "secret")}, URL),
        (
            "perhaps a Secret's, own key missing",
            {"envFrom": sources_of("configMap", "secret"), "env": [GONE]},
            URL,
        ),
    ],
)
def test_the_job_migrates_what_its_hash_names_whatever_a_config_map_becomes(
    case: str, gateway: Manifest, expected: str
) -> None:
    """A pod reads its ConfigMaps when it starts, which may be long after the hash was worked out."""

    def maps(url: str, host: str) -> dict[str, ConfigMap | None]:
        main_map = merged(config_map(), {"data": {SSG_DATABASE_JDBC_URL: url, "HOST": host, "none": None}})
        short = {"DATABASE_JDBC_URL": "jdbc:x$y" if host == "db-1" else url}
        return config_maps(main_map, merged(config_map("short"), {"data": short}))

    seen = [{"name": "SEEN", "value": f"$({SSG_DATABASE_JDBC_URL})"}]
    spec = pod_spec(container(**{**gateway, "env": [*gateway.get("env", []), *seen]}))
    made = main(build(spec, maps=maps(URL, "db-1")))
    later = resolve(view(Container, made), maps(OTHER_URL, "db-2"))
    found = later.values[SSG_DATABASE_JDBC_URL]
    if "perhaps" in case:
        # A Secret that holds the URL still wins, as it does in a Gateway.
        reference = {"secretKeyRef": {"name": "ssg", "key": SSG_DATABASE_JDBC_URL, "optional": True}}
        entries = [entry for entry in made["env"] if entry["name"] == SSG_DATABASE_JDBC_URL]
        assert entries == [literal(expected), {"name": SSG_DATABASE_JDBC_URL, "valueFrom": reference}]
    else:
        assert found == later.values["SEEN"] == expected


@pytest.mark.parametrize(
    ("case", "wanted", "env"),
    [
        ("node.properties rule", "node.properties:edge", []),
        (
            "a Secret's key",
            f"secret:db/{SSG_DATABASE_JDBC_URL}",
            [{"name": SSG_DATABASE_JDBC_URL, "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}],
        ),
        ("partly a Secret's", "jdbc:mysql://$(secret:db/h)/ssg", [literal("jdbc:mysql://$(H)/ssg")]),
    ],
)
def test_a_url_that_is_not_known_stays_where_it_was(case: str, wanted: str, env: list[Manifest]) -> None:
    host = {"name": "H", "valueFrom": {"secretKeyRef": {"name": "db", "key": "h"}}}
    made = main(build(pod_spec(container(env=[host, *env])), wanted=replace(INPUTS, jdbc_url=wanted)))
    assert made["env"][: len(env) + 1] == [host, *env]
    assert [entry for entry in made["env"] if entry["name"] == SSG_DATABASE_JDBC_URL] == env
