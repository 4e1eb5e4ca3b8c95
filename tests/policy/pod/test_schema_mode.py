"""Where EXTRA_JAVA_ARGS comes from, and what a container gets for it."""

import copy
from typing import Any

import jsonpatch
import pytest

from tests.support.builders import config_map, config_maps, container
from webhook.policy.objects import Container, view
from webhook.policy.pod.schema_mode import arguments_known, effective_modes, environment_patch

FLAG = "-Dgateway.db.schema-update.mode"
ARGS, KEPT, LEVEL = "EXTRA_JAVA_ARGS", "SCHEMAGATE_EXTRA_JAVA_ARGS", "LIQUIBASE_LOG_LEVEL"
AFTER = {"name": ARGS, "value": f"$({ARGS}) {FLAG}=skip"}
AFTER_KEPT = {"name": ARGS, "value": f"$({KEPT}) {FLAG}=skip"}
PLAIN_MAP, MODE_MAP, SKIP_MAP = (
    config_map(name, {ARGS: value})
    for name, value in {"plain": "-Xa", "mode": f"-Xa {FLAG}=default $(B)", "skip": f"-Xa {FLAG}=skip"}.items()
)
MAPS = config_maps(
    PLAIN_MAP, MODE_MAP, SKIP_MAP, config_map("other", {"JAVA_ARGS": "-Xb", "HIDDEN": f"{FLAG}=default"})
)


def source(name: str, prefix: str = "") -> dict[str, Any]:
    return {"configMapRef": {"name": name}} | ({"prefix": prefix} if prefix else {})


def args(value: str | None = None, name: str = ARGS, **ref: Any) -> dict[str, Any]:
    return {"name": name} | ({} if value is None else {"value": value}) | ({"valueFrom": ref} if ref else {})


def key_of(kind: str, name: str, key: str = ARGS, **extra: Any) -> dict[str, Any]:
    return {f"{kind}KeyRef": {"name": name, "key": key, **extra}}


SECRET = {"secretRef": {"name": "s"}}
MAYBE = args(None, KEPT, **key_of("secret", "s", optional=True))
CASES: dict[str, tuple[list[Any], list[Any], list[Any], tuple[str, ...]]] = {
    "nowhere": ([], [], [args(f"{FLAG}=skip")], ()),
    "a literal": ([], [args("-Xa")], [args(f"-Xa {FLAG}=skip")], ()),
    "an empty literal": ([], [args()], [args(f"{FLAG}=skip")], ()),
    "a literal with another mode": ([], [args(f"{FLAG}=default -Xa")], [args(f"-Xa {FLAG}=skip")], ("default",)),
    "a literal in skip already": ([], [args(f"-Xa {FLAG}=skip ")], [args(f"-Xa {FLAG}=skip ")], ()),
    "a literal with a space behind": ([], [args("-Xa ")], [args(f"-Xa  {FLAG}=skip")], ()),
    "a literal that refers to envFrom": (
        [source("plain")],
        [args(f"$({ARGS}) -Xb")],
        [args(f"$({ARGS}) -Xb {FLAG}=skip")],
        (),
    ),
    "a literal that refers to a mode": (
        [source("mode")],
        [args(f"$({ARGS}) $(C) -X$$(D)")],
        [args(f"-Xa $$(B) $(C) -X$$(D) {FLAG}=skip")],
        ("default",),
    ),
    "a literal that refers to a mode and to a Secret": (
        [source("other")],
        [args(None, "S", **key_of("secret", "s")), args("$(S) $(HIDDEN)")],
        [args(None, "S", **key_of("secret", "s")), args(f"$(S) {FLAG}=skip")],
        ("default",),
    ),
    "a literal that refers to what an unread Secret may override": (
        [source("other"), SECRET],
        [args("$(HIDDEN)")],
        [args(f"$(HIDDEN) {FLAG}=skip")],
        (),
    ),
    "a mode with more behind a reference in its word": (
        [],
        [args(" -Xm", "MORE"), args(f"{FLAG}=skip$(MORE)")],
        [args(" -Xm", "MORE"), args(f"-Xm {FLAG}=skip")],
        (),
    ),
    "two literals, of which the last counts": (
        [],
        [args("-Xa"), args("-Xb")],
        [args("-Xa"), args(f"-Xb {FLAG}=skip")],
        (),
    ),
    "a Secret's key": (
        [],
        [args(**key_of("secret", "s")), args("x", "Z")],
        [args(None, KEPT, **key_of("secret", "s")), AFTER_KEPT, args("x", "Z")],
        (),
    ),
    "a field": (
        [],
        [args(fieldRef={"fieldPath": "metadata.name"})],
        [args(None, KEPT, fieldRef={"fieldPath": "metadata.name"}), AFTER_KEPT],
        (),
    ),
    "a ConfigMap's key": (
        [],
        [args(**key_of("configMap", "plain"))],
        [args(None, KEPT, **key_of("configMap", "plain")), AFTER_KEPT],
        (),
    ),
    "a ConfigMap's key with a mode": (
        [],
        [args(**key_of("configMap", "mode"))],
        [args(f"-Xa $$(B) {FLAG}=skip")],
        ("default",),
    ),
    "a ConfigMap's key in skip": (
        [],
        [args(**key_of("configMap", "skip"))],
        [args(**key_of("configMap", "skip"))],
        (),
    ),
    "an optional Secret's key and nothing else": (
        [],
        [args(**key_of("secret", "s", optional=True))],
        [args("", KEPT), MAYBE, AFTER_KEPT],
        (),
    ),
    "an optional Secret's key over envFrom": (
        [source("plain")],
        [args(**key_of("secret", "s", optional=True))],
        [args(f"$({ARGS})", KEPT), MAYBE, AFTER_KEPT],
        (),
    ),
    "an optional Secret's key over a mode in envFrom": (
        [source("mode")],
        [args(**key_of("secret", "s", optional=True))],
        [args("-Xa $$(B)", KEPT), MAYBE, AFTER_KEPT],
        ("default",),
    ),
    "an optional Secret's key over a mode that another Secret may override": (
        [source("mode"), {"secretRef": {"name": "t"}}],
        [args(**key_of("secret", "s", optional=True))],
        [
            args("-Xa $$(B)", KEPT),
            args(None, KEPT, **key_of("secret", "t", optional=True)),
            MAYBE,
            AFTER_KEPT,
        ],
        ("default",),
    ),
    "an optional Secret's key over an earlier entry": (
        [],
        [args(fieldRef={"fieldPath": "a"}), args(**key_of("secret", "s", optional=True))],
        [args(fieldRef={"fieldPath": "a"}), args(f"$({ARGS})", KEPT), MAYBE, AFTER_KEPT],
        (),
    ),
    "one optional key over another": (
        [],
        [args(**key_of("secret", "t", optional=True)), args(**key_of("secret", "s", optional=True))],
        [
            args(**key_of("secret", "t", optional=True)),
            args("", KEPT),
            args(None, KEPT, **key_of("secret", "t", optional=True)),
            MAYBE,
            AFTER_KEPT,
        ],
        (),
    ),
    "an optional key of a file": (
        [],
        [args(fileKeyRef={"volumeName": "v", "path": "p", "key": "k", "optional": True})],
        [
            args("", KEPT),
            args(None, KEPT, fileKeyRef={"volumeName": "v", "path": "p", "key": "k", "optional": True}),
            AFTER_KEPT,
        ],
        (),
    ),
    "envFrom a ConfigMap": ([source("plain")], [], [AFTER], ()),
    "envFrom a ConfigMap with a prefix": ([source("other", "EXTRA_")], [], [AFTER], ()),
    "envFrom a ConfigMap with a mode": ([source("mode")], [], [args(f"-Xa $$(B) {FLAG}=skip")], ("default",)),
    "envFrom a ConfigMap in skip": ([source("skip")], [], [], ()),
    "envFrom a Secret": ([SECRET], [], [args("", KEPT), MAYBE, AFTER_KEPT], ()),
    "envFrom a Secret with a prefix": (
        [SECRET | {"prefix": "EXTRA_"}],
        [],
        [args("", KEPT), args(None, KEPT, **key_of("secret", "s", "JAVA_ARGS", optional=True)), AFTER_KEPT],
        (),
    ),
    "envFrom a Secret whose prefix does not fit": ([SECRET | {"prefix": "X"}], [], [args(f"{FLAG}=skip")], ()),
    "envFrom a Secret whose prefix is the whole name": (
        [SECRET | {"prefix": ARGS}],
        [],
        [args(f"{FLAG}=skip")],
        (),
    ),
    "envFrom a ConfigMap, then a Secret": ([source("plain"), SECRET], [], [AFTER], ()),
    "envFrom a ConfigMap with a mode, then a Secret": (
        [source("mode"), SECRET],
        [],
        [args("-Xa $$(B)", KEPT), MAYBE, AFTER_KEPT],
        ("default",),
    ),
    "envFrom a Secret, then a ConfigMap": ([SECRET, source("plain")], [], [AFTER], ()),
    "envFrom a ConfigMap that is not there": (
        [{"configMapRef": {"name": "gone", "optional": True}}],
        [],
        [args("", KEPT), args(None, KEPT, **key_of("configMap", "gone", optional=True)), AFTER_KEPT],
        (),
    ),
}


def patched(manifest: dict[str, Any], **wanted: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    injection = environment_patch(1, view(Container, manifest), MAPS, **wanted)
    pod = {"spec": {"containers": [{"name": "sidecar"}, copy.deepcopy(manifest)]}}
    found = jsonpatch.apply_patch(pod, [step.to_json() for step in injection.operations])
    return found["spec"]["containers"][1], injection.replaced


@pytest.mark.parametrize(("sources", "entries", "wanted", "replaced"), CASES.values(), ids=CASES.keys())
def test_what_the_variable_held_is_kept_and_the_mode_comes_last(
    sources: list[Any], entries: list[Any], wanted: list[Any], replaced: tuple[str, ...]
) -> None:
    manifest = container(envFrom=sources, env=entries)
    once, warned = patched(manifest, mode="skip", log_level=None)
    assert (once["env"], warned) == (wanted, replaced)
    assert patched(once, mode="skip", log_level=None) == (once, ())


LEVELS: dict[str, tuple[list[Any] | None, list[Any]]] = {
    "no env at all": (None, [args("info", LEVEL)]),
    "another entry": ([args("x", "Z")], [args("x", "Z"), args("info", LEVEL)]),
    "another level": ([args("off", LEVEL), args("x", "Z")], [args("info", LEVEL), args("x", "Z")]),
    "a level from elsewhere": ([args(None, LEVEL, fieldRef={"fieldPath": "a"})], [args("info", LEVEL)]),
    "twice: the last counts": (
        [args("info", LEVEL), args("off", LEVEL)],
        [args("info", LEVEL), args("info", LEVEL)],
    ),
}


@pytest.mark.parametrize(("entries", "wanted"), LEVELS.values(), ids=LEVELS.keys())
def test_the_log_level_is_set(entries: list[Any] | None, wanted: list[Any]) -> None:
    once, _ = patched(container(env=entries), mode=None, log_level="info")
    assert once["env"] == wanted
    assert patched(once, mode=None, log_level="info")[0] == once


def test_level_and_mode_go_in_together() -> None:
    once, _ = patched(container(envFrom=None), mode="skip", log_level="fine")
    assert once["env"] == [args("fine", LEVEL), args(f"{FLAG}=skip")]


def test_nothing_asked_is_nothing_done() -> None:
    assert environment_patch(0, view(Container, container()), MAPS, mode=None, log_level=None).operations == ()


@pytest.mark.parametrize(
    ("sources", "entries", "wanted"),
    [
        ([], [], ()),
        ([source("mode")], [], ("default",)),
        ([], [args(f"{FLAG}=a {FLAG}=b")], ("a", "b")),
        ([], [args(**key_of("secret", "s"))], ()),
        ([], [args(None, KEPT, **key_of("secret", "s")), AFTER_KEPT], ("skip",)),
    ],
)
def test_modes_in_effect_are_told_as_far_as_they_are_known(
    sources: list[Any], entries: list[Any], wanted: tuple[str, ...]
) -> None:
    assert effective_modes(view(Container, container(envFrom=sources, env=entries)), MAPS) == wanted


@pytest.mark.parametrize(
    ("env", "known"),
    [
        ([], True),
        ([{"name": "EXTRA_JAVA_ARGS", "value": "-Da=b"}], True),
        ([{"name": "EXTRA_JAVA_ARGS", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}], False),
    ],
    ids=["none", "a literal", "a Secret's"],
)
def test_arguments_of_a_secret_say_nothing_of_the_mode(env: list[dict[str, Any]], known: bool) -> None:
    assert arguments_known(view(Container, container(env=env)), config_maps()) is known
