"""Pods: skip only for what is migrated, and a word to whoever creates them otherwise."""

import dataclasses
from typing import Any

import jsonpatch
import msgspec
import pytest

from tests.support.builders import IMAGE, URL, config_map, config_maps, container, pod, record
from webhook.policy.decision import Decision
from webhook.policy.governance import Claims, govern
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.objects import Container, view
from webhook.policy.pod.pods import Admission, decide_pod
from webhook.policy.reasons import Reason
from webhook.policy.record import Record

FLAG = "-Dgateway.db.schema-update.mode"
INPUTS = MigrationInputs(IMAGE, URL)
NOTE = f"schemagate: migration {short(INPUTS.spec_hash)} of ssg is not complete"


def admission(data: dict[str, str] | None = None, done: bool = True, **tweak: Any) -> Admission:
    spec = tweak.pop("spec", {})
    status = {"completedHashes": [{"hash": INPUTS.spec_hash}] if done else []}
    base = Admission(
        deployment="ssg",
        index=0,
        container=view(Container, container(**tweak.pop("gateway", {}))),
        governance=govern(Claims(record=Record.from_manifest(record(spec=spec, status=status)))),
        inputs=INPUTS,
        config_maps=config_maps(config_map(data=data)),
    )
    return msgspec.structs.replace(base, **tweak)


OLD = dataclasses.replace(INPUTS, image="gateway:11.1.00")
CASES: dict[str, tuple[Admission, Reason, tuple[str, ...], int]] = {
    "a Job's pod": (admission(deployment=None), Reason.NOT_A_DEPLOYMENT_POD, (), 0),
    "no gateway container": (admission(container=None), Reason.NOT_A_GATEWAY, (), 0),
    "not governed": (admission(governance=None), Reason.NOT_GOVERNED, (), 0),
    "no database": (admission(inputs=None), Reason.NO_DATABASE, (), 0),
    "an older version": (admission(inputs=OLD), Reason.UNSUPPORTED_GATEWAY_VERSION, (), 0),
    "migrated": (admission(), Reason.SKIP_INJECTED, (), 2),
    "migrated, in skip already": (
        admission({"EXTRA_JAVA_ARGS": f"-Xa {FLAG}=skip"}),
        Reason.SKIP_PRESENT,
        (),
        0,
    ),
    "migrated, in another mode": (
        admission({"EXTRA_JAVA_ARGS": f"{FLAG}=default"}),
        Reason.SKIP_INJECTED,
        ("schemagate: schema-update mode default of ssg replaced by skip",),
        2,
    ),
    "migrated, with an empty mode": (
        admission({"EXTRA_JAVA_ARGS": f"{FLAG}="}),
        Reason.SKIP_INJECTED,
        ("schemagate: schema-update mode (empty) of ssg replaced by skip",),
        2,
    ),
    "not migrated": (
        admission(done=False),
        Reason.SKIP_WITHHELD,
        (f"{NOTE}; the pod keeps its own schema-update mode",),
        0,
    ),
    "not migrated, in skip by its own": (
        admission({"EXTRA_JAVA_ARGS": f"{FLAG}=skip"}, done=False),
        Reason.SKIP_WITHHELD,
        (f"{NOTE}; the pod's own arguments set skip all the same: it may meet an old schema",),
        0,
    ),
    "not migrated, in skip overruled": (
        admission({"EXTRA_JAVA_ARGS": f"{FLAG}=skip {FLAG}=default"}, done=False),
        Reason.SKIP_WITHHELD,
        (f"{NOTE}; the pod keeps its own schema-update mode",),
        0,
    ),
    "a hash that is complete but inputs that cannot be told": (
        admission(inputs=dataclasses.replace(INPUTS, problem="p")),
        Reason.SKIP_WITHHELD,
        (f"{NOTE}; the pod keeps its own schema-update mode",),
        0,
    ),
}


@pytest.mark.parametrize(("facts", "reason", "warnings", "steps"), CASES.values(), ids=CASES.keys())
def test_a_pod_is_never_denied(facts: Admission, reason: Reason, warnings: tuple[str, ...], steps: int) -> None:
    found = decide_pod(facts)
    assert (found.allowed, found.message) == (True, "")
    assert (found.reason, found.warnings, len(found.patch)) == (reason, warnings, steps)
    assert found.audit["decision"] == ("patch" if steps else "allow")


def env_of(found: Decision) -> Any:
    return jsonpatch.apply_patch(pod(), [step.to_json() for step in found.patch])["spec"]["containers"][0]["env"]


@pytest.mark.parametrize("tweak", [{"inputs": None}, {"inputs": OLD}, {"done": False}])
def test_the_log_level_is_set_whatever_becomes_of_skip(tweak: dict[str, Any]) -> None:
    found = decide_pod(admission(spec={"liquibaseLogLevel": "fine"}, **tweak))
    assert env_of(found) == [{"name": "LIQUIBASE_LOG_LEVEL", "value": "fine"}]


def test_level_and_skip_together() -> None:
    assert env_of(decide_pod(admission(spec={"liquibaseLogLevel": "off"}))) == [
        {"name": "LIQUIBASE_LOG_LEVEL", "value": "off"},
        {"name": "EXTRA_JAVA_ARGS", "value": f"{FLAG}=skip"},
    ]


def test_audit_names_the_hash() -> None:
    assert decide_pod(admission()).audit == {
        "decision": "patch",
        "reason": "SkipInjected",
        "migration-hash": short(INPUTS.spec_hash),
    }
