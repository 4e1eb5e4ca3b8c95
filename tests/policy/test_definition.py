"""The CustomResourceDefinition: by the API server's rules, and never in the way of what we write.

The rules are checked here by a small model of the API server: structural schemas with pruning, and every CEL rule
a second time in Python. The real one is asked by the tests with a control plane.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.policy.migration.test_lifecycle_world import World
from tests.policy.record.test_record import records
from tests.support.builders import NOW, URL
from webhook.audit.rejections.rejection import Rejected, fold
from webhook.policy.database import jdbc
from webhook.policy.definition import PLURAL, definition
from webhook.policy.inputs import short
from webhook.policy.migration.migration_log import redacted_tail
from webhook.policy.reasons import Reason
from webhook.policy.record import (
    KEPT,
    Evidence,
    Failure,
    FailureClass,
    FirstInstall,
    JobReference,
    LogLevel,
    Mode,
    Phase,
    Record,
    RecordStatus,
    RejectionDecision,
    RejectionEnd,
    Rejections,
    Rollback,
    Runner,
)
from webhook.policy.record.spec import JDBC_URL_ADVICE, JDBC_URL_PATTERN

Schema = Mapping[str, Any]
MANIFEST = definition()
ROOT: Schema = MANIFEST["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC, STATUS = ROOT["properties"]["spec"], ROOT["properties"]["status"]
HASH, OTHER = "a" * 64, "b" * 64
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def at(path: str) -> Any:
    """The node of a field, by its path; lists are entered by themselves."""
    node: Any = ROOT
    for name in path.split("."):
        node = node.get("items", node)["properties"][name]
    return node


def nodes(schema: Schema = ROOT, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


# A model of the API server.


def problems(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """What an API server would refuse, or silently drop."""
    kinds: dict[str, type] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if not isinstance(value, kinds[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool)):
        yield f"{path}: not of type {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: not one of {schema['enum']}"
    match value:
        case str():
            yield from _text_problems(schema, value, path)
        case list():
            yield from _list_problems(schema, value, path)
        case dict() if "properties" in schema:
            yield from _object_problems(schema, value, path)
        case int() if schema["type"] == "integer":
            bits = int(schema["format"].removeprefix("int"))
            if (
                not schema.get("minimum", -(2 ** (bits - 1)))
                <= value
                <= schema.get("maximum", 2 ** (bits - 1) - 1)
            ):
                yield f"{path}: out of bounds"


def _object_problems(schema: Schema, value: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from (f"{path}: {name} is missing" for name in schema.get("required", ()) if name not in value)
    for name, field in value.items():
        if name in schema["properties"]:
            yield from problems(schema["properties"][name], field, f"{path}.{name}")
        else:
            yield f"{path}.{name}: would be pruned"


def _list_problems(schema: Schema, value: list[Any], path: str) -> Iterator[str]:
    if len(value) > schema["maxItems"]:
        yield f"{path}: too many"
    for key in schema.get("x-kubernetes-list-map-keys", ()):
        if len({item.get(key) for item in value}) < len(value):
            yield f"{path}: duplicate {key}"
    for number, item in enumerate(value):
        yield from problems(schema["items"], item, f"{path}[{number}]")


def _text_problems(schema: Schema, value: str, path: str) -> Iterator[str]:
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{path}: too long"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: does not match"
    if schema.get("format") == "date-time" and not DATE_TIME.fullmatch(value):
        yield f"{path}: no time"


def _kept(name: str) -> Callable[[Any, Any], bool]:
    return lambda new, old: new.get(name) == old.get(name)


PREDICATES: dict[str, Callable[[Any, Any], bool]] = {
    JDBC_URL_ADVICE: lambda new, old: re.search(JDBC_URL_PATTERN, new.get("jdbcUrl", "")) is not None,
    "complete takes a specHash that is among completedHashes": lambda new, old: (
        not new.get("complete")
        or new.get("specHash") in [done.get("hash") for done in new.get("completedHashes", ())]
    ),
    "complete and the phase Complete go together": lambda new, old: (
        new.get("complete", False) == (new.get("phase") == "Complete")
    ),
    "rejections.count never falls: fold new rejections into the stored ones": lambda new, old: (
        new.get("rejections", {}).get("count", 0) >= old.get("rejections", {}).get("count", 0)
    ),
    **{
        f"{name} of a completed hash is evidence and never changes": _kept(name)
        for name in ("evidence", "time", "jobUID")
    },
}


def violations(schema: Schema, new: Any, old: Any = None) -> Iterator[str]:
    """The messages of the CEL rules that a change violates."""
    for rule in schema.get("x-kubernetes-validations", ()):
        transition = "oldSelf" in rule["rule"]
        if not (transition and old is None) and not PREDICATES[rule["message"]](new, old):
            yield rule["message"]
    for name, field in schema.get("properties", {}).items():
        if name in new:
            yield from violations(field, new[name], (old or {}).get(name))
    if schema.get("x-kubernetes-list-type") == "map":
        (key,) = schema["x-kubernetes-list-map-keys"]
        before = {item[key]: item for item in old or ()}
        for item in new:
            yield from violations(schema["items"], item, before.get(item[key]))


# The form of the definition.


def test_names() -> None:
    spec = MANIFEST["spec"]
    assert MANIFEST["metadata"]["name"] == f"{PLURAL}.{spec['group']}" == "gatewaymigrations.schemagate.io"
    assert (spec["scope"], spec["names"]["shortNames"], spec["names"]["categories"]) == (
        "Namespaced",
        ["gwm"],
        ["schemagate"],
    )
    (version,) = spec["versions"]
    assert version["subresources"] == {"status": {}}


@pytest.mark.parametrize(("path", "node"), [pytest.param(path, node, id=path or "root") for path, node in nodes()])
def test_every_node_is_structural(path: str, node: Schema) -> None:
    strange = {"$ref", "anyOf", "oneOf", "allOf", "not", "nullable", "title", "additionalProperties"}
    assert not strange & set(node)
    assert not [name for name in node if name.startswith(("x-kubernetes-preserve", "x-kubernetes-int"))]
    assert node["type"] in {"object", "array", "string", "integer", "boolean"}
    assert ("properties" in node) is (node["type"] == "object" and path != "metadata")
    assert ("items" in node) is (node["type"] == "array")
    assert set(node.get("required", ())) <= set(node.get("properties", ()))
    assert "default" not in node or path in {"status", "status.complete"}
    assert node["type"] != "integer" or node["format"] in {"int32", "int64"}
    assert next(iter(node)) == "type"


@pytest.mark.parametrize(("path", "node"), [pytest.param(path, node, id=path) for path, node in nodes() if path])
def test_every_field_says_what_it_is(path: str, node: Schema) -> None:
    if path == "metadata" or path.endswith("[]"):
        return
    for line in node["description"].split("\n"):
        said = line.removeprefix("- ")
        assert said.endswith("."), line
        assert len(said.split()) >= 4, line
        assert line.startswith("- ") or said[0].isupper(), line


def test_every_text_and_list_of_the_status_has_a_bound() -> None:
    for path, node in nodes(STATUS, "status"):
        if node["type"] == "string" and "enum" not in node and node.get("format") != "date-time":
            assert node["maxLength"], path
        if node["type"] == "array":
            assert node["maxItems"], path


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("spec.mode", Mode),
        ("spec.runner", Runner),
        ("spec.firstInstall", FirstInstall),
        ("spec.rollback", Rollback),
        ("spec.liquibaseLogLevel", LogLevel),
        ("status.phase", Phase),
        ("status.completedHashes.evidence", Evidence),
        ("status.failure.class", FailureClass),
        ("status.rejections.newest.decision", RejectionDecision),
        ("status.rejections.newest.ended", RejectionEnd),
    ],
)
def test_every_value_of_an_enum_is_there_and_explained(path: str, values: type[StrEnum]) -> None:
    node = at(path)
    assert node["enum"] == [value.value for value in values]
    explained = re.findall(r"^- (\w+): ", node["description"], re.MULTILINE)
    assert values is LogLevel or explained == node["enum"]


def test_there_are_no_enums_but_those() -> None:
    assert sum("enum" in node for _, node in nodes()) == 11


def test_lists_with_keys() -> None:
    assert {
        path: node.get("x-kubernetes-list-map-keys", node["x-kubernetes-list-type"])
        for path, node in nodes()
        if node["type"] == "array"
    } == {
        "status.completedHashes": ["hash"],
        "status.conditions": ["type"],
        "status.rejections.newest": "atomic",
        "status.rejections.newest[].groups": "atomic",
        "status.rejections.folded": "atomic",
    }
    for path, node in nodes():
        for key in node.get("x-kubernetes-list-map-keys", ()):
            assert key in node["items"]["required"], path


def test_every_rule_says_what_to_do_and_is_known_here() -> None:
    rules = [rule for _, node in nodes() for rule in node.get("x-kubernetes-validations", ())]
    assert {rule["message"] for rule in rules} == set(PREDICATES)
    assert len(rules) == len(PREDICATES)
    for rule in rules:
        assert "\n" not in rule["message"] + rule["rule"]


def test_rules_stand_on_objects() -> None:
    # Of a text that is refused the API server repeats the value.
    assert {node["type"] for _, node in nodes() if "x-kubernetes-validations" in node} == {"object"}


def test_columns_lead_to_fields() -> None:
    columns = MANIFEST["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column["priority"]]
    assert shown == ["Phase", "Complete", "Hash", "Image", "Rejected", "Age"]
    assert [column["name"] for column in columns if column["priority"]] == ["Mode", "Job", "Message"]
    for column in columns:
        path = re.sub(r"\[\?.*?\]", "", column["jsonPath"]).lstrip(".")
        if path.startswith("metadata."):
            continue
        assert at(path)["type"] == column["type"], path


# Never in the way.


@given(records)
def test_nothing_that_we_write_is_refused_or_pruned(record: Record) -> None:
    manifest = record.to_manifest()
    assert list(problems(ROOT, manifest)) == []
    assert list(violations(SPEC, manifest["spec"])) == []


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Whatever the schema lets through, small."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            fields = {name: values(field) for name, field in schema["properties"].items()}
            required = {name: fields.pop(name) for name in schema.get("required", ())}
            return st.fixed_dictionaries(required, optional=fields)
        case "array":
            keys = schema.get("x-kubernetes-list-map-keys")
            return st.lists(
                values(schema["items"]), max_size=2, unique_by=(lambda x: x[keys[0]]) if keys else None
            )
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", -5), schema.get("maximum", 2**40))
    if schema.get("format") == "date-time":
        return st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    return st.sampled_from(["", "jdbc:x"]) | st.text(max_size=6)


@given(values(SPEC), values(STATUS))
def test_all_that_is_stored_can_be_read(spec: dict[str, Any], status: dict[str, Any]) -> None:
    assert list(problems(SPEC, spec)) + list(problems(STATUS, status)) == []
    assume(not list(violations(SPEC, spec)))
    Record.from_manifest({"metadata": {"name": "ssg"}, "spec": spec, "status": status}, strict=True)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({"data": {}}, ".data: would be pruned"),
        ({"spec": {"jdbcURL": ""}}, ".spec.jdbcURL: would be pruned"),
        ({"spec": {"mode": None}}, ".spec.mode: not of type string"),
        ({"spec": {"mode": "reject"}}, ".spec.mode: not one of"),
        ({"spec": {"podAttempts": 11}}, ".spec.podAttempts: out of bounds"),
        ({"spec": {"podAttempts": True}}, ".spec.podAttempts: not of type integer"),
        ({"spec": {"gatewayVersion": "1" * 65}}, ".spec.gatewayVersion: too long"),
        ({"status": {"startTime": "now"}}, ".status.startTime: no time"),
        ({"status": {"job": {"uid": "j"}}}, ".status.job: name is missing"),
        ({"status": {"completedHashes": [{"hash": "x"}]}}, ".status.completedHashes[0].hash: does not match"),
        ({"status": {"completedHashes": [{"hash": HASH}] * 2}}, ".status.completedHashes: duplicate hash"),
        ({"status": {"conditions": [{"type": str(n)} for n in range(17)]}}, ".status.conditions: too many"),
        ({"status": {"rejections": {"count": 2**63}}}, ".status.rejections.count: out of bounds"),
    ],
)
def test_the_model_of_the_api_server_tells(manifest: dict[str, Any], told: str) -> None:
    assert next(problems(ROOT, manifest)).startswith(told)


DONE = {"hash": HASH, "time": "2026-11-22T12:00:00Z", "jobUID": "j-1"}
COMPLETE = {"phase": "Complete", "complete": True, "specHash": HASH, "completedHashes": [DONE]}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (None, COMPLETE, None),
        (None, {"complete": False}, None),
        (None, {**COMPLETE, "specHash": OTHER}, "complete takes"),
        (None, {"phase": "Complete", "complete": True}, "complete takes"),
        (None, {**COMPLETE, "phase": "Failed"}, "complete and"),
        (None, {"phase": "Complete"}, "complete and"),
        (COMPLETE, {**COMPLETE, "completedHashes": [{"hash": OTHER}, DONE]}, None),
        (COMPLETE, {"phase": "Failed"}, None),
        (COMPLETE, {**COMPLETE, "completedHashes": [{**DONE, "evidence": "External"}]}, "evidence of"),
        (COMPLETE, {**COMPLETE, "completedHashes": [{**DONE, "time": "2026-11-22T13:00:00Z"}]}, "time of"),
        (COMPLETE, {**COMPLETE, "completedHashes": [{"hash": HASH, "time": DONE["time"]}]}, "jobUID of"),
        ({"rejections": {"count": 2}}, {"rejections": {"count": 3}}, None),
        ({"rejections": {"count": 2}}, {"rejections": {"count": 1}}, "rejections.count never"),
        ({"rejections": {"count": 2}}, {"rejections": {}}, "rejections.count never"),
        ({"rejections": {"count": 2}}, {}, "rejections.count never"),
    ],
)
def test_the_rules_of_a_status(old: Any, new: Any, told: str | None) -> None:
    found = list(violations(STATUS, new, old))
    assert [message.startswith(told or "-") for message in found] == ([True] if told else [])


# What writes a status keeps to its bounds and rules.


class CheckedWorld(World):
    """The world of the lifecycle, where every status is written through the API server's checks."""

    def store(self, status: RecordStatus) -> None:
        before = self.manifest["status"]
        super().store(status)
        after = self.manifest["status"]
        assert list(problems(STATUS, after)) == []
        assert list(violations(STATUS, after, before)) == []
        assert status.short_hash == short(status.spec_hash)


CheckedWorld.TestCase.settings = settings(max_examples=50, stateful_step_count=40)
TestCheckedWorld = CheckedWorld.TestCase

long_text = st.sampled_from(["", "x", "x" * 5000, "é\n" * 2000])
rejected = st.builds(
    Rejected,
    namespace=st.just("team-a"),
    name=st.just("ssg"),
    hash=st.sampled_from([HASH, OTHER]),
    reason=st.sampled_from(Reason).map(lambda reason: reason.value) | st.just("x" * 512),
    user=long_text,
    from_image=long_text,
    to_image=long_text,
    first=st.just(NOW),
    last=st.just(NOW),
    times=st.integers(1, 1000),
)


@given(st.lists(st.lists(rejected, max_size=KEPT + 5), max_size=3))
def test_rejections_keep_to_their_bounds_and_rules(batches: list[list[Rejected]]) -> None:
    kept, before = Rejections(), None
    for batch in batches:
        kept = fold(kept, batch)
        after = _status(rejections=kept)
        assert list(problems(STATUS, after)) == []
        assert list(violations(STATUS, after, before)) == []
        before = after


def _status(**fields: Any) -> dict[str, Any]:
    record = Record(namespace="team-a", name="ssg", status=RecordStatus(**fields))
    status: dict[str, Any] = record.to_manifest()["status"]
    return status


@pytest.mark.parametrize("log", ["x" * 100_000, "\n".join(["é" * 5000] * 50), "password=x\n" * 50])
def test_the_tail_of_a_log_keeps_to_its_bound(log: str) -> None:
    assert list(problems(STATUS, _status(failure=Failure(log_tail=redacted_tail(log))))) == []


def test_the_key_of_a_database_keeps_to_its_bound() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789_"
    names = [*letters, *(first + second for first in letters for second in letters[:-1])]
    hosts = ""
    while len(url := f"jdbc:mysql://{hosts}h/s?port=65535") < jdbc.MAX_LENGTH - 3:
        hosts += f"{names.pop(0)},"
    key = jdbc.parse(url).database_key
    assert len(key) > jdbc.MAX_LENGTH * 2, "longer than what it is made from"
    assert list(problems(STATUS, _status(job=JobReference(name="n", database=key)))) == []


@given(
    st.builds(
        "{}{}:mysql:{}//{}/{}{}".format,
        st.text(" \t\r\n", max_size=3),
        st.sampled_from(["jdbc", "JDBC", "Jdbc"]),
        st.sampled_from(["", " "]),
        st.text("ah.:,@[]()1 ", max_size=8),
        st.text("d %20_", max_size=4),
        st.text("?a=&%+ \t#\x7fé\n", max_size=6),
    )
    | st.text(max_size=20)
)
@example(f"{URL}?x=a b\n")
def test_the_rule_of_jdbc_urls_is_not_stricter_than_their_parser(url: str) -> None:
    try:
        jdbc.override(url)
    except jdbc.JdbcUrlError:
        return
    assert re.search(JDBC_URL_PATTERN, url)


def test_the_rule_of_jdbc_urls_is_told_in_no_time() -> None:
    for hostile in (" " * 4095 + "#", "jdbc:" + " " * 4090 + "#", "jdbc:" + " a" * 2045 + "#"):
        assert not re.search(JDBC_URL_PATTERN, hostile)
