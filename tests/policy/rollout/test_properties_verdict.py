"""What no sequence of clever updates may get past the gate, and what must always get past it."""

import copy
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import kubelet
from tests.support.builders import IMAGE, NEXT_IMAGE, URL, config_map, config_maps, deployment, record
from tests.support.rollouts import rollout
from webhook.policy.inputs import MigrationInputs
from webhook.policy.names import LICENSE_PATH
from webhook.policy.reasons import Reason
from webhook.policy.rollout.verdict import decide

OTHER_URL = "jdbc:mysql://other:3306/ssg"
STORED = {
    "ssg": config_map()["data"],
    "other": config_map(SSG_DATABASE_JDBC_URL=OTHER_URL)["data"],
    "parts": {"URL": OTHER_URL, "HOST": "third"},
}
MAPS = config_maps(*(config_map(name, data) for name, data in STORED.items()))
OLD = deployment()
HASH = MigrationInputs(IMAGE, URL).spec_hash
COMPLETE = record(status={"completedHashes": [{"hash": HASH}]})
URL_NAME = "SSG_DATABASE_JDBC_URL"

images = st.sampled_from(
    [IMAGE, NEXT_IMAGE, "gateway:11.1.00", "gateway:latest", f"{IMAGE}@sha256:{'0' * 64}", ""]
)
urls = st.sampled_from(
    [URL, OTHER_URL, "$(URL)", f"$({URL_NAME})", "jdbc:mysql://$(HOST):3306/ssg", "", URL + "?a=b", "jdbc:x://h"]
)
env_entries = st.lists(
    st.builds(lambda url: {"name": URL_NAME, "value": url}, urls)
    | st.just({"name": URL_NAME, "valueFrom": {"configMapKeyRef": {"name": "parts", "key": "URL"}}})
    | st.just({"name": "HOST", "value": "fourth"})
    | st.just({"name": "EXTRA_JAVA_ARGS", "value": "-Xa"}),
    max_size=3,
)
env_sources = st.lists(
    st.sampled_from(
        [{"configMapRef": {"name": name}} for name in STORED]
        + [{"configMapRef": {"name": "gone", "optional": True}}, {"secretRef": {"name": "s"}}]
    ),
    max_size=3,
)
networks = st.fixed_dictionaries(
    {},
    optional={
        "hostAliases": st.sampled_from([[], [{"ip": "1.1.1.1", "hostnames": ["mysql-primary"]}]]),
        "dnsPolicy": st.sampled_from(["ClusterFirst", "Default"]),
        "dnsConfig": st.sampled_from([{}, {"nameservers": ["9.9.9.9"]}]),
        "hostNetwork": st.booleans(),
    },
)
sidecars = st.lists(
    st.sampled_from([{"name": "proxy", "image": NEXT_IMAGE}, {"name": "z", "image": "z"}]), max_size=2
)
unrelated = st.fixed_dictionaries(
    {},
    optional={
        "resources": st.just({"limits": {"cpu": "1"}}),
        "imagePullPolicy": st.just("Always"),
        "livenessProbe": st.just({"periodSeconds": 9}),
    },
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A Deployment as a person in a hurry, or one with ill intent, may leave it."""
    new = copy.deepcopy(OLD)
    pod = new["spec"]["template"]["spec"]
    gateway = pod["containers"][0]
    if draw(st.booleans()):
        gateway["image"] = draw(images)
    if draw(st.booleans()):
        gateway["env"] = draw(env_entries)
    if draw(st.booleans()):
        gateway["envFrom"] = draw(env_sources)
    if draw(st.integers(0, 9)) == 0:
        gateway["volumeMounts"] = []
    gateway["name"] = draw(st.sampled_from(["gateway", "renamed"]))
    gateway |= draw(unrelated)
    pod |= draw(networks)
    pod["containers"] = draw(st.permutations([gateway, *draw(sidecars)]))
    new["metadata"]["annotations"] = draw(st.sampled_from([{}, {"a": "b"}, {"schemagate.io/held": "0" * 16}]))
    new["spec"]["replicas"] = draw(st.integers(0, 3))
    new["spec"]["paused"] = draw(st.integers(0, 4)) == 0
    return new


def effective(manifest: dict[str, Any]) -> tuple[Any, ...] | None:
    """What the pods' migration would depend on, told by the kubelet's rules; None without a gateway container."""
    pod = manifest["spec"]["template"]["spec"]
    for item in pod["containers"]:
        if any(mount["mountPath"] == LICENSE_PATH for mount in item.get("volumeMounts", [])):
            env = kubelet.environment(item, STORED, {"s": {}})
            network = {
                name: pod.get(name) for name in ("hostAliases", "dnsConfig", "hostNetwork") if pod.get(name)
            }
            if pod.get("dnsPolicy", "ClusterFirst") != "ClusterFirst":
                network["dnsPolicy"] = pod["dnsPolicy"]
            return item["image"], env.get(URL_NAME, ""), network
    return None


BASE = effective(OLD)


@given(mutated())
def test_inputs_that_are_not_complete_never_get_through_but_for_a_listed_reason(new: dict[str, Any]) -> None:
    found, wanted = decide(rollout(new, OLD, stored=COMPLETE, maps=MAPS)), effective(new)
    if not found.allowed:
        assert wanted != BASE
        return
    if wanted != BASE:
        assert wanted is not None
        excuses = {
            Reason.HELD: new["spec"]["paused"],
            Reason.NO_DATABASE: wanted[1] == "",
            Reason.UNSUPPORTED_GATEWAY_VERSION: wanted[0] == "gateway:11.1.00",
        }
        assert excuses.get(found.reason), found.reason


@given(mutated(), mutated())
def test_two_updates_in_a_row_get_no_further_than_one(first: dict[str, Any], second: dict[str, Any]) -> None:
    """What is let through by pausing is judged when it is resumed, whatever else the second update does."""
    if not decide(rollout(first, OLD, stored=COMPLETE, maps=MAPS)).allowed:
        return
    found = decide(rollout(second, first, stored=COMPLETE, maps=MAPS))
    if found.allowed and found.reason in {Reason.MIGRATION_COMPLETE, Reason.ROLLED_BACK}:
        assert effective(second) == BASE
    if found.allowed and found.reason in {Reason.INPUTS_UNCHANGED, Reason.TEMPLATE_UNCHANGED}:
        assert effective(second) == effective(first) or (effective(first) or ("", ""))[1] == ""


@given(
    st.dictionaries(st.text(), st.text()),
    st.integers(0, 100),
    unrelated,
    sidecars,
    st.dictionaries(st.text(), st.text()),
    st.booleans(),
    st.booleans(),
    st.sampled_from([record(), COMPLETE, record(spec={"mode": "Hold"})]),
)
def test_unchanged_inputs_are_never_denied(
    notes: dict[str, str],
    replicas: int,
    more: dict[str, Any],
    others: list[Any],
    labels: dict[str, str],
    touched: bool,
    paused: bool,
    stored: dict[str, Any],
) -> None:
    new = copy.deepcopy(OLD)
    notes = {name: value for name, value in notes.items() if "schemagate.io/" not in name}
    new["metadata"] |= {"annotations": notes, "labels": labels, "generation": 7, "managedFields": []}
    new["spec"] |= {"replicas": replicas, "paused": paused}
    new["status"] = {"replicas": replicas}
    if touched:
        template = new["spec"]["template"]
        template["metadata"]["labels"] = labels
        template["spec"]["containers"] = [*others, template["spec"]["containers"][0] | more]
        template["spec"]["priorityClassName"] = "high"
    assert decide(rollout(new, OLD, stored=stored, maps=MAPS)).allowed


hashes = st.sampled_from([HASH, MigrationInputs(NEXT_IMAGE, URL).spec_hash, "f" * 64, "0" * 64])


@given(mutated(), st.lists(hashes, unique=True), st.lists(hashes, unique=True, min_size=1))
def test_more_evidence_never_turns_an_allow_into_a_denial(
    new: dict[str, Any], fewer: list[str], added: list[str]
) -> None:
    def allowed(done: list[str]) -> bool:
        status = {"completedHashes": [{"hash": item} for item in done]}
        return decide(rollout(new, OLD, stored=record(status=status), maps=MAPS)).allowed

    assert allowed(list(dict.fromkeys([*added, *fewer]))) >= allowed(fewer)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.support.builders import *
from tests.support.rollouts import rollout
from webhook.policy.rollout.hold import hold
from webhook.policy.patch import encode_patch
from webhook.policy.rollout.verdict import decide
refs = [{"configMapRef": {"name": name}} for name in ("x", "y", "z")]
for sources in (refs, [{"configMapRef": {"name": "ssg"}}, {"secretRef": {"name": "s"}}]):
    new = deployment(container(image=NEXT_IMAGE, envFrom=sources))
    for mode in ("Reject", "Hold", "Warn"):
        facts = rollout(new, deployment(), stored=record(spec={"mode": mode}))
        verdict = decide(facts)
        print(verdict, hold(facts, verdict), encode_patch(hold(facts, verdict).patch), facts.inputs)
"""


def test_answers_are_the_same_under_any_hash_seed(pytestconfig: pytest.Config) -> None:
    answers = set()
    for seed in ("0", "1"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROGRAM, str(pytestconfig.rootpath)]
        answers.add(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)
    assert len(answers) == 1
    assert answers.pop().count("Decision(") == 12
