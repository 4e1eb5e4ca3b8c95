"""Why the pod of a Job does not run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.policy.migration.job_views import JobPod
from webhook.policy.migration.obstacles import LIMIT, obstacle, obstacle_of
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


def test_credentials_are_not_told() -> None:
    said = obstacle("FailedCreate", "quota; jdbc:mysql://root:hunter2@db/ssg?password=hunter2")
    assert said.startswith("FailedCreate: quota")
    assert "hunter2" not in said


@given(st.text(), st.text(max_size=2000))
def test_whatever_is_in_it_is_one_short_line(reason: str, message: str) -> None:
    said = obstacle(reason, message)
    assert len(said) <= LIMIT
    assert said.isprintable()
