"""Why the pod of a Job does not run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.policy.migration.job_views import JobEvent, JobPod
from webhook.policy.migration.obstacles import LIMIT, obstacle, obstacle_of, obstacle_of_job
from webhook.policy.objects import view


def waiting(reason: str, message: str = "", kind: str = "containerStatuses") -> dict[str, Any]:
    return {"phase": "Pending", kind: [{"state": {"waiting": {"reason": reason, "message": message}}}]}


def scheduled(status: str, reason: str = "Unschedulable", message: str = "0/3 nodes") -> dict[str, Any]:
    return {"conditions": [{"type": "PodScheduled", "status": status, "reason": reason, "message": message}]}


PULL = waiting("ImagePullBackOff", "Back-off pulling image")
CASES: dict[str, tuple[dict[str, Any] | None, str]] = {
    "nothing known": (None, ""),
    "runs": ({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}, ""),
    "no image": (PULL, "ImagePullBackOff: Back-off pulling image"),
    "a reason without words": (waiting("CreateContainerConfigError"), "CreateContainerConfigError"),
    "being created": (waiting("ContainerCreating", "soon"), ""),
    "being initialized": (waiting("PodInitializing"), ""),
    "no reason": (waiting(""), ""),
    "an init container": (
        waiting("ErrImagePull", "x", "initContainerStatuses"),
        "ErrImagePull: x",
    ),
    "init containers before others": (
        {**PULL, "initContainerStatuses": [{"state": {"waiting": {"reason": "First"}}}]},
        "First",
    ),
    "initializing because of an init container": (
        {**waiting("PodInitializing"), "initContainerStatuses": [{"state": {"waiting": {"reason": "First"}}}]},
        "First",
    ),
    "no node": (scheduled("False"), "Unschedulable: 0/3 nodes"),
    "no node and no reason": (scheduled("False", ""), "Unschedulable: 0/3 nodes"),
    "a node": (scheduled("True"), ""),
    "another condition": ({"conditions": [{"type": "Ready", "status": "False", "reason": "x"}]}, ""),
    "a container before the node": ({**PULL, **scheduled("False")}, "ImagePullBackOff: Back-off pulling image"),
    "ended well": ({**PULL, "phase": "Succeeded"}, ""),
    "ended badly": ({**PULL, **scheduled("False"), "phase": "Failed"}, ""),
}


@pytest.mark.parametrize(("status", "said"), CASES.values(), ids=CASES.keys())
def test_what_is_told(status: dict[str, Any] | None, said: str) -> None:
    assert obstacle_of(view(JobPod, {"metadata": {"name": "p"}, "status": status})) == said


def event(reason: str, note: str = "", second: int = 0) -> JobEvent:
    return JobEvent(reason=reason, note=note, deprecated_last_timestamp=f"2026-01-01T00:00:0{second}Z")


QUOTA = 'Error creating: pods "ssg-db-migration-fe79c52f-{}" is forbidden: exceeded quota: none'
TOLD = 'FailedCreate: pods "ssg-db-migration-fe79c52f-…" is forbidden: exceeded quota: none'
EVENTS: dict[str, tuple[list[JobEvent], str]] = {
    "nothing was told": ([], ""),
    "a pod was made": ([event("SuccessfulCreate", "Created pod: x")], ""),
    "no pod": ([event("FailedCreate", QUOTA.format("x7k2p"))], TOLD),
    "again no pod, under another name": (
        [event("FailedCreate", QUOTA.format("x7k2p")), event("FailedCreate", QUOTA.format("9w8zz"), 3)],
        TOLD,
    ),
    "a pod after all": ([event("FailedCreate", "quota"), event("SuccessfulCreate", "Created pod: x", 5)], ""),
    "no pod any more": (
        [event("FailedCreate", "quota", 5), event("SuccessfulCreate", "Created pod: x")],
        "FailedCreate: quota",
    ),
    "both in one second": ([event("FailedCreate", "quota"), event("SuccessfulCreate", "Created pod: x")], ""),
    "the end": ([event("FailedCreate", "quota"), event("DeadlineExceeded", "too long", 9)], "FailedCreate: quota"),
    "no time": ([JobEvent(reason="FailedCreate", note="quota")], "FailedCreate: quota"),
}


@pytest.mark.parametrize(("events", "said"), EVENTS.values(), ids=EVENTS.keys())
def test_what_was_told_of_a_job_without_a_pod(events: list[JobEvent], said: str) -> None:
    assert obstacle_of_job(events) == said


def test_credentials_are_not_told() -> None:
    said = obstacle("FailedCreate", "quota; jdbc:mysql://root:hunter2@db/ssg?password=hunter2")
    assert said.startswith("FailedCreate: quota")
    assert "hunter2" not in said


@given(st.text(), st.text(max_size=2000))
def test_whatever_is_in_it_is_one_short_line(reason: str, message: str) -> None:
    said = obstacle(reason, message)
    assert len(said) <= LIMIT
    assert said.isprintable()
