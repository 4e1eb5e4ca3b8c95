"""The hash: the same for what means the same, another for all else, and blind to credentials."""

import itertools
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import IMAGE, URL, config_maps, container, pod_spec
from webhook.policy.inputs import MigrationInputs, migration_inputs
from webhook.policy.objects import Container, PodSpec, view
from webhook.policy.record import RecordSpec

MAPS = config_maps()


def inputs(gateway: dict[str, Any], spec: RecordSpec | None = None, **pod: Any) -> MigrationInputs:
    template = view(PodSpec, pod_spec(gateway, **pod))
    found = migration_inputs(template, view(Container, gateway), spec or RecordSpec(), MAPS)
    assert found is not None
    return found


BASE = inputs(container())
texts = st.text(max_size=8) | st.sampled_from(
    ['","image":"', "\\", '"', "é", "e\u0301", "\u0000", "\uff4adbc", "a\u200b"]
)
tuples = st.builds(
    MigrationInputs,
    image=texts,
    jdbc_url=texts,
    clear_locks=st.booleans(),
    active_deadline_seconds=st.integers(1, 86400),
    network=texts,
)


def shuffled(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key], draw) for key in draw(st.permutations(list(value)))}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


ALIASES = [{"ip": "1.1.1.1", "hostnames": ["a", "b"]}]
DNS = {"nameservers": ["9.9.9.9"], "options": [{"name": "ndots", "value": "1"}], "searches": ["x"]}


@given(st.data())
def test_the_order_of_keys_is_no_input(data: st.DataObject) -> None:
    wanted = inputs(container(), hostAliases=ALIASES, dnsConfig=DNS)
    aliases, dns = (shuffled(value, data.draw) for value in (ALIASES, DNS))
    assert inputs(shuffled(container(), data.draw), hostAliases=aliases, dnsConfig=dns) == wanted


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "dnsPolicy": st.sampled_from(["ClusterFirst", None]),
            "hostNetwork": st.sampled_from([False, None]),
            "hostAliases": st.sampled_from([[], None]),
            "dnsConfig": st.sampled_from([{}, None, {"nameservers": []}]),
            "terminationGracePeriodSeconds": st.integers(0, 99),
            "restartPolicy": st.just("Always"),
            "schedulerName": st.text(),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "resources": st.dictionaries(st.text(), st.dictionaries(st.text(), st.text())),
            "imagePullPolicy": st.text(),
            "terminationMessagePath": st.just("/dev/termination-log"),
            "command": st.lists(st.text()),
        },
    ),
    st.permutations(
        [
            {"name": "A", "value": "1"},
            {"name": "EXTRA_JAVA_ARGS", "value": "-Xa"},
            {"name": "SSG_DATABASE_JDBC_URL", "value": URL},
            {"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]
    ),
    st.sampled_from([None, "info", "off"]),
)
def test_defaults_resources_and_the_order_of_independent_variables_are_no_input(
    pod: dict[str, Any], more: dict[str, Any], env: list[Any], level: Any
) -> None:
    spec = RecordSpec(liquibase_log_level=level, pod_attempts=5)
    assert inputs(container(env=env) | more, spec, **pod).spec_hash == BASE.spec_hash


def test_each_input_alone_changes_the_hash() -> None:
    url = [{"name": "SSG_DATABASE_JDBC_URL", "value": URL + "2"}]
    changed = [
        BASE,
        inputs(container(image=IMAGE + "-1")),
        inputs(container(env=url)),
        inputs(container(), RecordSpec(jdbc_url=URL)),
        inputs(container(), RecordSpec(clear_locks=True)),
        inputs(container(), RecordSpec(active_deadline_seconds=299)),
        inputs(container(), hostAliases=ALIASES),
        inputs(container(), hostAliases=[*ALIASES, *ALIASES]),
        inputs(container(), dnsPolicy="None"),
        inputs(container(), dnsConfig=DNS),
        inputs(container(), dnsConfig={"searches": ["x"]}),
        inputs(container(), hostNetwork=True),
    ]
    assert len({item.spec_hash for item in changed}) == len(changed)


@given(tuples, tuples)
def test_distinct_inputs_have_distinct_pre_images(one: MigrationInputs, other: MigrationInputs) -> None:
    assert (one.canonical() == other.canonical()) == (one == other)
    moved = MigrationInputs(
        one.image + one.jdbc_url, "", one.clear_locks, one.active_deadline_seconds, one.network
    )
    assert (moved.canonical() == one.canonical()) == (one.jdbc_url == "")


MARK = "Zq7Hidden9xK"
secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6).map(
    lambda text: quote(text, safe="")
)
CREDENTIALS = [
    "jdbc:mysql://{u}:{p}@h/db",
    "jdbc:mysql://h/db?user={u}&password={p}",
    "jdbc:mysql://h/db?PassWord={p}",
]


@given(secrets, secrets, secrets, secrets)
def test_credentials_are_no_input_and_are_shown_nowhere(user: str, password: str, other: str, secret: str) -> None:
    for form, override in itertools.product(CREDENTIALS, (False, True)):
        one, two = (
            inputs(container(), RecordSpec(jdbc_url=url))
            if override
            else inputs(container(env=[{"name": "SSG_DATABASE_JDBC_URL", "value": url.replace("$", "$$")}]))
            for url in (form.format(u=user, p=password), form.format(u=other, p=secret))
        )
        assert one.problem is None
        assert one.spec_hash == two.spec_hash
        assert MARK not in repr(one)
        assert one == two
