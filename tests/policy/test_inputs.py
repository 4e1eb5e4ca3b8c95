"""What a migration depends on, and its hash."""

import itertools
from typing import Any

import pytest

from tests.support.builders import IMAGE, NEXT_IMAGE, URL, config_map, config_maps, container, pod_spec
from webhook.policy.inputs import MigrationInputs, migration_inputs, out_of_sight, short
from webhook.policy.names import NODE_PROPERTIES_PATH
from webhook.policy.objects import Container, PodSpec, view
from webhook.policy.record import RecordSpec

OVERRIDE = "jdbc:mysql://direct:3306/ssg"


def inputs(
    gateway: dict[str, Any] | None = None, spec: RecordSpec | None = None, data: Any = None, **pod: Any
) -> MigrationInputs | None:
    gateway = gateway or container()
    maps = config_maps(config_map(data=data))
    spec = spec or RecordSpec()
    return migration_inputs(view(PodSpec, pod_spec(gateway, **pod)), view(Container, gateway), spec, maps)


def told(*args: Any, **kwargs: Any) -> MigrationInputs:
    found = inputs(*args, **kwargs)
    assert found is not None
    return found


def literal(url: str | None = None, *more: Any, **source: Any) -> dict[str, Any]:
    entry = {"name": "SSG_DATABASE_JDBC_URL"} | ({"value": url} if url is not None else {"valueFrom": source})
    return container(envFrom=None, env=[*more, entry])


def secret(name: str, key: str = "k") -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "db", "key": key}}}


def files(**volume: Any) -> dict[str, Any]:
    mounts = [*container()["volumeMounts"], {"name": "np", "mountPath": NODE_PROPERTIES_PATH}]
    gateway = container(env=[{"name": "DISKLESS_CONFIG", "value": " False"}], volumeMounts=mounts)
    return {"gateway": gateway, "volumes": [{"name": "np", **volume}] if volume else []}


def test_a_diskless_gateway_names_its_database_in_a_config_map() -> None:
    found = told()
    assert (found.image, found.jdbc_url, found.database) == (IMAGE, URL, "mysql-primary:3306/ssg")
    assert (found.problem, found.warnings, found.network) == (None, (), "{}")
    assert short(found.spec_hash) == found.spec_hash[:16]
    assert len(found.spec_hash) == 64


SECRET: dict[str, Any] = {"secretRef": {"name": "s"}}
NAME = "SSG_DATABASE_JDBC_URL"
SIGHT: dict[str, tuple[dict[str, Any], bool]] = {
    "a Secret may hold it": ({"envFrom": [SECRET]}, True),
    "one that begins as the name does": ({"envFrom": [{**SECRET, "prefix": "SSG_"}]}, True),
    "one that begins otherwise": ({"envFrom": [{**SECRET, "prefix": "OTHER_"}]}, False),
    "no Secret": ({"envFrom": []}, False),
    "emptied in env": ({"envFrom": [SECRET], "env": [{"name": NAME, "value": ""}]}, False),
    "of a later ConfigMap": ({"envFrom": [SECRET, {"configMapRef": {"name": "ssg"}}]}, False),
    "of an earlier ConfigMap": ({"envFrom": [{"configMapRef": {"name": "ssg"}}, SECRET]}, True),
}


@pytest.mark.parametrize(("tweak", "hidden"), SIGHT.values(), ids=SIGHT.keys())
def test_a_url_may_have_gone_where_it_is_not_read(tweak: dict[str, Any], hidden: bool) -> None:
    gateway, before = view(Container, container(image=NEXT_IMAGE, **tweak)), MigrationInputs(IMAGE, URL)
    maps = config_maps(config_map(data={NAME: ""}))
    known, unknown = out_of_sight(gateway, maps, before), out_of_sight(gateway, maps)
    assert (known is not None, unknown is not None) == (hidden, hidden)
    if known is not None and unknown is not None:
        assert (known.image, known.jdbc_url, unknown.image) == (NEXT_IMAGE, URL, NEXT_IMAGE)
        assert known.problem == unknown.problem
        assert "a Secret may hold it, which is not read" in (known.problem or "")


def test_the_pre_image_is_pinned() -> None:
    assert MigrationInputs("i", "u").canonical() == (
        b'{"activeDeadlineSeconds":300,"clearLocks":false,"format":1,"image":"i","jdbcUrl":"u","network":"{}"}'
    )


def test_an_override_replaces_the_url_and_never_creates_a_database() -> None:
    found = told(spec=RecordSpec(jdbc_url=OVERRIDE))
    assert found.jdbc_url == f"{OVERRIDE}?createDatabaseIfNotExist=false"


def test_an_override_serves_where_nothing_names_a_database() -> None:
    assert told(spec=RecordSpec(jdbc_url=OVERRIDE), data={}).database == "direct:3306/ssg"


NO_DATABASE: dict[str, dict[str, Any]] = {
    "no URL anywhere": {"data": {"DISKLESS_CONFIG": "true"}},
    "an empty URL": {"gateway": literal("")},
    "an embedded URL": {"gateway": literal("jdbc:h2:mem:ssg")},
    "Derby": {"data": {"SSG_DATABASE_JDBC_URL": "jdbc:derby:memory:ssg;create=true"}},
}


@pytest.mark.parametrize("case", NO_DATABASE.values(), ids=NO_DATABASE.keys())
def test_without_a_database_there_are_no_inputs(case: dict[str, Any]) -> None:
    assert inputs(**case) is None


def test_a_type_beside_a_url_does_not_open_the_gate() -> None:
    assert told(data={"SSG_DATABASE_TYPE": "h2", "SSG_DATABASE_JDBC_URL": URL}).jdbc_url == URL


def doubling(lines: int) -> list[dict[str, Any]]:
    """Each variable names the one before twice; the last is the URL."""
    names = ["A0", *(f"A{number}" for number in range(1, lines)), "SSG_DATABASE_JDBC_URL"]
    pairs = itertools.pairwise(names)
    return [{"name": "A0", "value": "x"}, *({"name": b, "value": f"$({a})$({a})"} for a, b in pairs)]


@pytest.mark.parametrize("seed", ["a literal", "a Secret"])
def test_variables_that_double_cost_nothing(seed: str) -> None:
    env = doubling(60)
    if seed == "a Secret":
        env[0] = {"name": "A0", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    found = told(gateway=container(env=env))
    assert "longer than 64 KiB" in (found.problem or "")


def test_a_url_with_a_secret_part_and_endless_text_is_told() -> None:
    text = ",".join(str(number) for number in range(10_000, 66_000))
    env = [
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "SSG_DATABASE_JDBC_URL", "value": f"jdbc:mysql://$(S)/{text[:60_000]}"},
    ]
    assert "longer than 4096 characters" in (told(gateway=container(env=env)).problem or "")


NODE_PROPERTIES: dict[str, tuple[dict[str, Any], str]] = {
    "a Secret": ({"secret": {"secretName": "ssg-np"}}, "node.properties:ssg-np"),
    "a ConfigMap": ({"configMap": {"name": "cm"}}, "node.properties:configmap:cm"),
    "a secret store": (
        {"csi": {"driver": "d", "volumeAttributes": {"secretProviderClass": "vault"}}},
        "node.properties:csi:d:vault",
    ),
    "a driver without attributes": ({"csi": {"driver": "d"}}, "node.properties:csi:d:"),
    "a volume that an init container fills": ({"emptyDir": {}}, "node.properties:volume:np"),
    "nothing": ({}, "node.properties:none"),
}


@pytest.mark.parametrize(("volume", "text"), NODE_PROPERTIES.values(), ids=NODE_PROPERTIES.keys())
def test_with_files_node_properties_names_the_database(volume: dict[str, Any], text: str) -> None:
    found = told(**files(**volume))
    assert (found.jdbc_url, found.database, found.warnings) == (text, None, ())


def test_with_files_an_override_is_ignored_with_a_warning() -> None:
    found = told(**files(secret={"secretName": "np"}), spec=RecordSpec(jdbc_url=OVERRIDE))
    assert found.jdbc_url == "node.properties:np"
    assert found.warnings == (
        "jdbcUrl of the record is ignored: node.properties of this Gateway names its database",
    )


def test_a_url_from_a_secret_is_known_by_its_place() -> None:
    found = told(literal(secretKeyRef={"name": "db", "key": "url"}))
    assert (found.jdbc_url, found.database, found.problem) == ("secret:db/url", None, None)


COMPOSED = {
    "the host": ("jdbc:mysql://$(S):3306/ssg", "jdbc:mysql://$(secret:db/S):3306/ssg"),
    "host, port and schema": (
        "jdbc:mysql://$(S):$(T)/$(S)",
        "jdbc:mysql://$(secret:db/S):$(secret:db/T)/$(secret:db/S)",
    ),
    "credentials": ("jdbc:mysql://h/ssg?user=$(S)&password=$(T)&x=y", "jdbc:mysql://h/ssg?x=y"),
    "a literal password": ("jdbc:mysql://$(S)/ssg?password=hunter2", "jdbc:mysql://$(secret:db/S)/ssg"),
    "a value that looks like a stand-in": (
        "jdbc:mysql://h65535:65534/$(S)",
        "jdbc:mysql://h65535:65534/$(secret:db/S)",
    ),
}


@pytest.mark.parametrize(("text", "shown"), COMPOSED.values(), ids=COMPOSED.keys())
def test_a_url_with_secret_parts_shows_all_but_them(text: str, shown: str) -> None:
    found = told(literal(text, secret("S", "S"), secret("T", "T")))
    assert (found.jdbc_url, found.database, found.problem) == (shown, None, None)
    assert "hunter2" not in repr(found)


def test_a_change_beside_a_secret_part_is_a_change() -> None:
    urls = [f"jdbc:mysql://{host}/{name}?password=$(S)" for host in ("a", "b") for name in ("x", "y")]
    assert len({told(literal(url, secret("S"))).spec_hash for url in urls}) == 4


def test_an_embedded_url_with_secret_parts_has_no_database() -> None:
    assert inputs(literal("jdbc:h2:mem:x;PASSWORD=$(S)", secret("S"))) is None


def test_a_url_whose_grammar_is_secret_cannot_be_told() -> None:
    found = told(literal("$(S)//h/ssg", secret("S")))
    assert found.problem is not None
    assert found.problem.startswith("SSG_DATABASE_JDBC_URL: ")


def test_a_refused_url_is_a_problem_and_shows_no_text() -> None:
    one, other = told(literal("jdbc:postgresql://h/hunter2")), told(literal("jdbc:postgresql://h/hunter3"))
    assert one.jdbc_url == "invalid"
    assert one != other
    assert one.spec_hash == other.spec_hash
    assert "hunter" not in repr(one)
    assert one.unread not in repr(one)
    assert told(spec=RecordSpec(jdbc_url="jdbc:mysql://h")).problem == (
        "jdbcUrl of the record: the JDBC URL names no schema: write jdbc:mysql://HOST:3306/SCHEMA"
    )


def test_a_missing_config_map_is_a_problem_unless_it_is_optional() -> None:
    gone = {"name": "gone"}
    found = told(container(envFrom=[{"configMapRef": gone}, {"configMapRef": gone}]))
    assert found.jdbc_url == "unknown"
    assert found.problem == "the container needs ConfigMap gone, which does not exist; create it"
    assert inputs(container(envFrom=[{"configMapRef": {**gone, "optional": True}}])) is None


def test_beside_a_missing_config_map_the_url_still_counts() -> None:
    gone = {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "gone", "key": "k"}}}
    one, other = (told(literal(f"jdbc:mysql://{host}/ssg", gone)) for host in "ab")
    assert one.problem == other.problem is not None
    assert one != other


NETWORK: dict[str, tuple[dict[str, Any], str]] = {
    "defaults": ({"dnsPolicy": "ClusterFirst", "hostNetwork": False, "hostAliases": [], "dnsConfig": {}}, "{}"),
    "empty lists within": ({"dnsConfig": {"searches": [], "nameservers": []}}, "{}"),
    "unset": ({"dnsPolicy": None}, "{}"),
    "a policy": ({"dnsPolicy": "None"}, '{"dnsPolicy":"None"}'),
    "the host's network": ({"hostNetwork": True}, '{"hostNetwork":true}'),
    "aliases": (
        {"hostAliases": [{"ip": "1.2.3.4", "hostnames": ["h"]}]},
        '{"hostAliases":[{"hostnames":["h"],"ip":"1.2.3.4"}]}',
    ),
    "servers": ({"dnsConfig": {"nameservers": ["1.1.1.1"]}}, '{"dnsConfig":{"nameservers":["1.1.1.1"]}}'),
}


@pytest.mark.parametrize(("pod", "text"), NETWORK.values(), ids=NETWORK.keys())
def test_where_host_names_lead_is_an_input(pod: dict[str, Any], text: str) -> None:
    assert told(**pod).network == text


def test_image_and_settings_are_inputs() -> None:
    hashes = {
        told().spec_hash,
        told(container(image=NEXT_IMAGE)).spec_hash,
        told(spec=RecordSpec(clear_locks=True)).spec_hash,
        told(spec=RecordSpec(active_deadline_seconds=301)).spec_hash,
    }
    assert len(hashes) == 4
