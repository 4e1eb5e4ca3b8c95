"""What a person reads: one printable line that stands alone, with the one command to run next."""

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NEXT_IMAGE, config_map, config_maps, container, deployment, record
from tests.support.rollouts import GONE, NEXT, NEXT_HASH, OLD, rollout
from webhook.policy.decision import MESSAGE_LIMIT
from webhook.policy.inputs import short
from webhook.policy.rollout.verdict import decide

START = f"rollout of deployment team-a/ssg to {NEXT_IMAGE} is blocked: migration {short(NEXT_HASH)} "
WATCH = "the migration is on its way, watch it: schemagate status ssg -n team-a"
MIGRATE = f"schemagate migrate ssg -n team-a --image {NEXT_IMAGE} --wait"
PATCH = "kubectl patch gwm ssg -n team-a --type merge -p"
RETRY = "schemagate retry ssg -n team-a --wait"
HOLD = f"""hold it there, and apply it again: {PATCH} '{{"spec":{{"mode":"Hold"}}}}'"""
JOB = {"name": "ssg-db-migration-1"}
STATES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "not begun": ({}, {}, f"has not run; start it: {MIGRATE}"),
    "announced": ({"image": NEXT_IMAGE}, {}, f"has not run; {WATCH}"),
    "pending": ({}, {"phase": "Pending"}, f"is Pending; {WATCH}"),
    "running": ({}, {"phase": "Running", "job": JOB}, f"is Running, Job ssg-db-migration-1; {WATCH}"),
    "failed": (
        {},
        {"phase": "Failed", "job": JOB, "failure": {"class": "LockHeld", "message": "held by\npod-1"}},
        f"is Failed (LockHeld: held by pod-1, Job ssg-db-migration-1); mend it, then: {RETRY}",
    ),
    "failed before its Job": (
        {},
        {"phase": "Failed", "failure": {"class": "Unknown"}},
        f"is Failed (Unknown); mend it, then: {RETRY}",
    ),
    "failed with a long story": (
        {},
        {"phase": "Failed", "job": JOB, "failure": {"class": "Unknown", "message": "x" * 2000}},
        f"is Failed (Unknown: {'x' * 299}…, Job ssg-db-migration-1); mend it, then: {RETRY}",
    ),
    "held was not applied": (
        {"mode": "Hold"},
        {},
        "has not run; mode is Hold but the Deployment is not paused, try again: "
        "the mutating webhook was not reached",
    ),
}


@pytest.mark.parametrize(("spec", "status", "text"), STATES.values(), ids=STATES.keys())
def test_a_denial_tells_hash_phase_job_and_the_next_command(
    spec: dict[str, Any], status: dict[str, Any], text: str
) -> None:
    status = {"specHash": NEXT_HASH, **status} if status else {}
    assert decide(rollout(NEXT, OLD, stored=record(spec=spec, status=status))).message == START + text


OTHERS = "waiting for the operator's or chart's own migration Job ssg-db-migration"
EXTERNAL_STATES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "announced": (
        {"image": NEXT_IMAGE},
        {},
        f"has not run; {OTHERS}, watch it: schemagate status ssg -n team-a",
    ),
    "pending": ({}, {"phase": "Pending"}, f"is Pending; {OTHERS}, watch it: schemagate status ssg -n team-a"),
    "not announced, as by a chart": (
        {},
        {},
        f"has not run; {OTHERS}; say what it migrates for: {MIGRATE.removesuffix(' --wait')}",
    ),
    "failed": (
        {},
        {"phase": "Failed", "failure": {"class": "LockHeld"}},
        "is Failed (LockHeld); mend it, then: kubectl delete job ssg-db-migration -n team-a",
    ),
}


@pytest.mark.parametrize(("spec", "status", "text"), EXTERNAL_STATES.values(), ids=EXTERNAL_STATES.keys())
def test_the_job_of_another_is_waited_for_and_not_started(
    spec: dict[str, Any], status: dict[str, Any], text: str
) -> None:
    status = {"specHash": NEXT_HASH, **status} if status else {}
    stored = record(spec={"runner": "External", **spec}, status=status)
    assert decide(rollout(NEXT, OLD, stored=stored)).message == START + text


def test_what_the_job_of_another_migrates_for_beyond_the_image_is_told_to_be_held() -> None:
    moved = deployment(container(image=NEXT_IMAGE), spec={"template": {"spec": {"hostNetwork": True}}})
    stored = record(spec={"image": NEXT_IMAGE, "runner": "External"})
    message = decide(rollout(moved, OLD, stored=stored)).message
    assert f"; {OTHERS}; more than the image changes" in message
    assert message.endswith(f"""{PATCH} '{{"spec":{{"mode":"Hold"}}}}'""")


def test_inputs_that_cannot_be_told_are_named_without_their_text() -> None:
    maps = config_maps(config_map(data={"SSG_DATABASE_JDBC_URL": "jdbc:postgresql://u:hunter2@h/x"}))
    message = decide(rollout(NEXT, OLD, maps=maps)).message
    assert message.startswith("rollout of deployment team-a/ssg is blocked: SSG_DATABASE_JDBC_URL: ")
    assert "hunter2" not in message


def test_a_lost_container_names_the_way_out() -> None:
    assert decide(rollout(GONE, OLD)).message == (
        "rollout of deployment team-a/ssg is blocked: it takes the Gateway container out of a governed "
        "Deployment; keep container gateway with its license or annotation, or end the guard first: "
        """kubectl patch gwm ssg -n team-a --type merge -p '{"spec":{"enabled":false}}'"""
    )


def test_an_image_is_quoted_for_the_shell() -> None:
    message = decide(rollout(deployment(container(image="x'; rm -rf ~")), OLD)).message
    words = shlex.split(message.partition("start it: ")[2])
    assert words == ["schemagate", "migrate", "ssg", "-n", "team-a", "--image", "x'; rm -rf ~", "--wait"]


def test_what_only_a_stored_template_can_announce_is_told_to_be_held() -> None:
    moved = deployment(container(image=NEXT_IMAGE), spec={"template": {"spec": {"hostNetwork": True}}})
    message = decide(rollout(moved, OLD, stored=record(spec={"image": NEXT_IMAGE}))).message
    assert "on its way" not in message
    assert message.endswith(f"""{PATCH} '{{"spec":{{"mode":"Hold"}}}}'""")


def test_a_new_deployment_is_told_to_be_held_as_nothing_is_stored_to_migrate_by() -> None:
    for spec in ({"firstInstall": "Migrate"}, {"firstInstall": "Migrate", "image": NEXT_IMAGE}):
        message = decide(rollout(NEXT, None, stored=record(spec=spec))).message
        assert f"has not run; the Deployment is new, which only a stored template can announce; {HOLD}" in message


def test_a_deployment_that_had_no_database_is_told_to_be_held() -> None:
    old = deployment(container(envFrom=[]))
    assert decide(rollout(NEXT, old)).message.endswith(
        f"more than the image changes, which only a stored template can announce; {HOLD}"
    )


@given(st.text(), st.text())
def test_whatever_is_in_it_a_message_is_one_printable_line(image: str, failure: str) -> None:
    status = {"specHash": NEXT_HASH, "phase": "Failed", "job": JOB, "failure": {"message": failure}}
    for new, stored in ((deployment(container(image=f"r/{image}")), record()), (NEXT, record(status=status))):
        message = decide(rollout(new, OLD, stored=stored)).message
        assert message.isprintable()
        assert len(message) <= MESSAGE_LIMIT
