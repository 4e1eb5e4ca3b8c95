"""The kubelet's rules for a container's environment."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import kubelet
from tests.support.builders import config_map, config_maps, container
from webhook.policy.environment import (
    Environment,
    Secretive,
    config_maps_of,
    escape,
    expand,
    inline,
    resolve,
)
from webhook.policy.objects import Container, view

KNOWN = {"A": "1", "B": "$(A)", "": "none"}
EXPANDED = {
    "a reference": ("x$(A)y", "x1y"),
    "what it gives is not expanded again": ("$(B)", "$(A)"),
    "an undefined one stays": ("$(X)", "$(X)"),
    "an escaped one": ("$$(A)", "$(A)"),
    "an escaped dollar before a reference": ("$$$(A)", "$1"),
    "a lone dollar": ("5$", "5$"),
    "a dollar before a letter": ("$A", "$A"),
    "an open reference": ("$(A", "$(A"),
    "an open reference around an escape": ("$(A$$", "$(A$"),
    "an open one swallows up to the next parenthesis": ("$(A$(A)", "$(A$(A)"),
    "the empty name": ("$()", "none"),
    "a name across lines": ("$(A\n)", "$(A\n)"),
}


@pytest.mark.parametrize(("text", "wanted"), EXPANDED.values(), ids=EXPANDED.keys())
def test_references_expand_as_in_a_kubelet(text: str, wanted: str) -> None:
    assert expand(text, KNOWN.get) == wanted
    assert kubelet.expand(text, KNOWN) == wanted


@given(st.text("$()AB x"))
def test_expansion_agrees_with_the_model(text: str) -> None:
    assert expand(text, KNOWN.get) == kubelet.expand(text, KNOWN)


@given(st.text("$()Ax"), st.text("$()Ax"), st.text("$()Ax"))
def test_an_escaped_text_comes_out_as_it_was_whatever_stands_next_to_it(
    text: str, before: str, after: str
) -> None:
    assert expand(escape(text), KNOWN.get) == text
    known = {"V": text}
    environment = Environment(dict(known))
    around = f"{escape(before)}$(V){escape(after)}"
    assert kubelet.expand(inline(around, environment), {}) == before + text + after


def test_what_is_put_together_from_secrets_tells_all_places_and_shows_no_value() -> None:
    known: dict[str, Any] = {"S": Secretive("secret:a/b"), "T": Secretive("secret:c/d"), "P": "hunter2"}
    found = expand("x$(S)$(T)$(P)$(S)", known.get)
    assert isinstance(found, Secretive)
    assert found.origin == "secret:a/b+secret:c/d"
    assert found.parts == ("x", known["S"], known["T"], "hunter2", known["S"])
    assert "hunter2" not in repr(found)
    assert expand("$(S)", known.get) == known["S"]


def env(name: str, value: str | None = None, **source: Any) -> dict[str, Any]:
    return {"name": name} | ({} if value is None else {"value": value}) | ({"valueFrom": source} if source else {})


MAPS = config_maps(config_map("one", {"A": "one", "ONLY": "1"}), config_map("two", {"A": "two"}))
FROM_ONE, FROM_TWO = {"configMapRef": {"name": "one"}}, {"configMapRef": {"name": "two"}}
GONE = {"configMapRef": {"name": "gone"}}
RESOLVED: dict[str, tuple[list[Any], list[Any], str | None]] = {
    "the later source wins": ([FROM_ONE, FROM_TWO], [], "two"),
    "env beats envFrom": ([FROM_ONE], [env("A", "env")], "env"),
    "the later entry wins": ([], [env("A", "x"), env("A", "y")], "y"),
    "an empty value is a value": ([FROM_ONE], [env("A", "")], ""),
    "no value is an empty one": ([FROM_ONE], [env("A")], ""),
    "a reference to envFrom": ([FROM_ONE], [env("A", "$(A)+$(ONLY)")], "one+1"),
    "a reference to a later entry stays": ([], [env("A", "$(B)"), env("B", "b")], "$(B)"),
    "a prefix": ([FROM_ONE | {"prefix": "P_"}], [env("A", "$(P_A)")], "one"),
    "a key of a ConfigMap": ([], [env("A", configMapKeyRef={"name": "two", "key": "A"})], "two"),
    "its value is not expanded": ([], [env("A", configMapKeyRef={"name": "two", "key": "A"})], "two"),
    "an optional key that is not there leaves the variable": (
        [FROM_ONE],
        [env("A", configMapKeyRef={"name": "two", "key": "no", "optional": True})],
        "one",
    ),
    "an optional ConfigMap that is not there": ([{"configMapRef": {"name": "gone", "optional": True}}], [], None),
    "a Secret": ([FROM_ONE], [env("A", secretKeyRef={"name": "s", "key": "k"})], None),
    "an envFrom Secret is not looked into": ([{"secretRef": {"name": "s"}}], [], None),
}


def resolved(sources: list[Any], entries: list[Any]) -> Environment:
    return resolve(view(Container, container(envFrom=sources, env=entries)), MAPS)


@pytest.mark.parametrize(("sources", "entries", "wanted"), RESOLVED.values(), ids=RESOLVED.keys())
def test_variables_come_from_where_a_kubelet_takes_them(
    sources: list[Any], entries: list[Any], wanted: str | None
) -> None:
    environment = resolved(sources, entries)
    assert environment.known("A") == wanted
    assert environment.missing == []


def test_required_config_maps_that_are_missing_are_told() -> None:
    keys = [
        env("A", configMapKeyRef={"name": "two", "key": "no"}),
        env("B", configMapKeyRef={"name": "gone", "key": "k"}),
    ]
    assert resolved([GONE], keys).missing == ["gone", "two/no", "gone/k"]


ORIGINS = {
    "secret:s/k": {"secretKeyRef": {"name": "s", "key": "k"}},
    "field:status.podIP": {"fieldRef": {"fieldPath": "status.podIP"}},
    "file:v/p/k": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}},
    "field": {"resourceFieldRef": {"resource": "limits.cpu"}},
}


@pytest.mark.parametrize(("origin", "source"), ORIGINS.items(), ids=ORIGINS.keys())
def test_an_unread_place_is_named(origin: str, source: dict[str, Any]) -> None:
    assert resolved([], [env("A", **source)]).values["A"] == Secretive(origin)


SECRET = {"secretRef": {"name": "s"}}


@pytest.mark.parametrize(
    ("sources", "entries", "certain"),
    [
        ([FROM_ONE], [], "one"),
        ([SECRET, FROM_ONE], [], "one"),
        ([FROM_ONE, SECRET], [], None),
        ([FROM_ONE, SECRET | {"prefix": "B"}], [], "one"),
        ([FROM_ONE, SECRET, FROM_TWO], [], "two"),
        ([FROM_ONE, SECRET], [env("A", "env")], "env"),
    ],
)
def test_a_value_is_certain_unless_a_later_secret_may_override_it(
    sources: list[Any], entries: list[Any], certain: str | None
) -> None:
    assert resolved(sources, entries).certain("A") == certain


def test_all_config_maps_referred_to_are_named() -> None:
    entries = [
        env("A", configMapKeyRef={"name": "key", "key": "k"}),
        env("B", secretKeyRef={"name": "s", "key": "k"}),
    ]
    found = config_maps_of(view(Container, container(envFrom=[FROM_ONE, SECRET], env=entries)))
    assert found == {"one", "key"}
