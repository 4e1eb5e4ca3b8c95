"""The pod patch against a kubelet of our own making, over whatever the unread Secrets hold."""

import copy
import itertools
import json
from typing import Any

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import kubelet
from tests.support.builders import config_map, config_maps, container
from webhook.policy.objects import Container, view
from webhook.policy.patch import encode_patch
from webhook.policy.pod.schema_mode import environment_patch

FLAG = "-Dgateway.db.schema-update.mode"
ARGS = "EXTRA_JAVA_ARGS"
OURS = {ARGS, "SCHEMAGATE_EXTRA_JAVA_ARGS", "LIQUIBASE_LOG_LEVEL"}
NAMES = ["A", "B", ARGS]
ATOMS = [
    "-Xa",
    "-Db=c",
    '-Dq="x y"',
    "-Dd='$$'",
    "$$(A)",
    "$(A)",
    "$(B)",
    "$(UNDEFINED)",
    f"$({ARGS})",
    f"{FLAG}=default",
    f"{FLAG}=skip",
    f"'{FLAG}=liquibase-only'",
    f"{FLAG}=$(A)",
    FLAG,
    "$",
]
texts = st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from([" ", "  ", "\n", "\t"])), max_size=4).map(
    lambda pairs: "".join(atom + space for atom, space in pairs)
)
# Secrets hold no mode: what is not read cannot be taken out.
secret_texts = st.sampled_from(["", "-Xsecret", "$(A) -Ds='t u'", "$$"])
prefixes = st.sampled_from(["", "EXTRA_", "X"])
optional = st.booleans()
keys = st.sampled_from([*NAMES, "JAVA_ARGS"])


def source(kind: str, name: str, prefix: str, maybe: bool) -> dict[str, Any]:
    reference: dict[str, Any] = {"name": name} | ({"optional": True} if maybe else {})
    return {f"{kind}Ref": reference} | ({"prefix": prefix} if prefix else {})


def reference(name: str, kind: str, of: str, key: str, maybe: bool) -> dict[str, Any]:
    return {
        "name": name,
        "valueFrom": {f"{kind}KeyRef": {"name": of, "key": key} | ({"optional": True} if maybe else {})},
    }


sources = st.builds(source, st.just("configMap"), st.sampled_from(["one", "two"]), prefixes, optional) | st.builds(
    source, st.just("secret"), st.sampled_from(["s", "t"]), prefixes, optional
)
entries = (
    st.builds(lambda name, value: {"name": name, "value": value}, st.sampled_from(NAMES), texts)
    | st.builds(lambda name: {"name": name}, st.sampled_from(NAMES))
    | st.builds(lambda name: {"name": name, "valueFrom": {"fieldRef": {"fieldPath": "a"}}}, st.sampled_from(NAMES))
    | st.builds(
        reference, st.sampled_from(NAMES), st.just("configMap"), st.sampled_from(["one", "two"]), keys, optional
    )
    | st.builds(reference, st.sampled_from(NAMES), st.just("secret"), st.sampled_from(["s", "t"]), keys, optional)
    | st.just({"name": "LIQUIBASE_LOG_LEVEL", "value": "off"})
)
stores = st.fixed_dictionaries({}, optional={name: st.dictionaries(keys, texts) for name in ("one", "two")})
secrets = st.fixed_dictionaries({}, optional={name: st.dictionaries(keys, secret_texts) for name in ("s", "t")})


def tokens(text: str) -> list[str]:
    """Split at white space outside quotes; written again so as not to ask the parser under test."""
    found, word, quote = [], "", ""
    for at, char in enumerate(text + " "):
        if not quote and char in " \t\n":
            found += [word] if word else []
            word = ""
            continue
        word += char
        if char == quote:
            quote = ""
        elif not quote and char in "\"'" and char in text[at + 1 :]:
            quote = char
    return found


def is_mode(token: str) -> bool:
    plain = token.replace('"', "").replace("'", "")
    return plain == FLAG or plain.startswith(f"{FLAG}=")


def depends_on_ours(entry: dict[str, Any]) -> bool:
    return ARGS in entry.get("value", "")


@given(
    st.lists(sources, max_size=3),
    st.none() | st.lists(entries, max_size=5),
    stores,
    secrets,
    st.sampled_from(["skip", "liquibase-only"]),
    st.none() | st.just("info"),
)
def test_a_patched_pod_starts_with_one_mode_and_all_it_had(
    env_from: list[Any],
    env: list[Any] | None,
    maps: dict[str, dict[str, str]],
    held: dict[str, dict[str, str]],
    mode: str,
    level: str | None,
) -> None:
    manifest = container(envFrom=env_from, env=env)
    known = config_maps(*(config_map(name, data) for name, data in maps.items())) if maps else {}
    pod = {"spec": {"containers": [{"name": "sidecar", "env": [{"name": ARGS, "value": "x"}]}, manifest]}}
    before = copy.deepcopy(pod)

    injection = environment_patch(1, view(Container, manifest), known, mode=mode, log_level=level)
    steps = json.loads(encode_patch(injection.operations))
    after = jsonpatch.apply_patch(pod, steps)

    assert all(step["path"].startswith("/spec/containers/1/env") for step in steps)
    assert after["spec"]["containers"][0] == before["spec"]["containers"][0]
    got = after["spec"]["containers"][1]
    assert {**got, "env": None} == {**manifest, "env": None}
    again = environment_patch(1, view(Container, got), known, mode=mode, log_level=level)
    assert again.operations == ()
    assert again.replaced == ()

    dependent = {entry["name"] for entry in env or [] if depends_on_ours(entry)} - {ARGS}
    for present in itertools.product(*([{}, {name: data}] for name, data in held.items())):
        here = {name: data for part in present for name, data in part.items()}
        check_start(manifest, got, maps, here, mode, dependent)


def check_start(
    manifest: dict[str, Any],
    got: dict[str, Any],
    maps: kubelet.Store,
    here: kubelet.Store,
    mode: str,
    dependent: set[str],
) -> None:
    try:
        old = kubelet.environment(manifest, maps, here)
    except kubelet.CannotStartError:
        return  # the pod waits with or without our patch
    new = kubelet.environment(got, maps, here)
    # Through one more variable the rest may depend on ours.
    skipped = OURS | (set(NAMES) if dependent else set())
    assert {name: value for name, value in new.items() if name not in skipped} == {
        name: value for name, value in old.items() if name not in skipped
    }
    found, had = tokens(new[ARGS]), tokens(old.get(ARGS, ""))
    assert found[-1] == f"{FLAG}={mode}"
    kept = [token for token in had if not is_mode(token)]
    assert [token for token in found if not is_mode(token)] == kept
    if "secretRef" not in json.dumps(manifest):
        # A Secret under envFrom may override what a reference to a ConfigMap's key gives, so that stays as it is.
        assert sum(map(is_mode, found)) == 1
