"""What is told beside the phase: remarks in conditions, and the Gateway resource's status."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.observations import (
    A,
    B,
    done,
    governance,
    job,
    observed,
    reference,
    status_for,
    target,
)
from webhook.policy.gateway_resource import MigrationStatus
from webhook.policy.inputs import short
from webhook.policy.migration.conditions import Remarks
from webhook.policy.migration.lifecycle import plan
from webhook.policy.migration.observed import JobPhase, Mirror, Observed, Refusal
from webhook.policy.migration.telling import mirrored, remarks
from webhook.policy.record import Phase, RecordStatus, Runner

MADE = reference(B, uid="j-1")
AVOIDED = replace(reference(B, uid="j-1", attempts=2), avoided="ssg-db-migration")
RUNNING = status_for(B, Phase.RUNNING, job=MADE)
COMPLETE = status_for(B, Phase.COMPLETE, complete=True, completed_hashes=(done(B),))
STUCK = job(MADE, JobPhase.ACTIVE, obstacle="ImagePullBackOff: no such image")
REFUSED = Refusal(MADE.name, "JobNotCreated: exceeded quota")
TAKEN = ("JobNameTaken", "the name ssg-db-migration is taken by a Job that is not ours")

REMARKS: dict[str, tuple[dict[str, Any], RecordStatus, Remarks]] = {
    "nothing": ({}, RUNNING, Remarks()),
    "waits for a database": (
        {"busy": "team-b/other"},
        status_for(B, Phase.WAITING),
        Remarks("team-b/other migrates the same database"),
    ),
    "a database that is busy with another, while ours runs": ({"busy": "team-b/other"}, RUNNING, Remarks()),
    "waits for the Job of an operator": (
        {"external_problem": "there is no Job x"},
        status_for(B, Phase.PENDING),
        Remarks("there is no Job x"),
    ),
    "Jobs that say they are ours, once it is complete": ({"impostors": ("a",)}, COMPLETE, Remarks()),
    "its Job is refused": (
        {"refused": REFUSED, "impostors": ("a",)},
        status_for(B, Phase.PENDING, job=reference(B)),
        Remarks(REFUSED.said, ("JobNotCreated", REFUSED.said)),
    ),
    "its Job was refused, and runs now": ({"refused": REFUSED}, RUNNING, Remarks()),
    "another attempt was refused": (
        {"refused": REFUSED},
        status_for(B, Phase.PENDING, job=reference(B, attempts=2)),
        Remarks(),
    ),
    "what its Deployment will need is not there yet": (
        {"awaited": ("a", "b")},
        RecordStatus(phase=Phase.PENDING),
        Remarks("waits for ConfigMap a, b"),
    ),
    "its pods roll out": (
        {"target": target(B, B, settled=False, rolling=True)},
        status_for(B, Phase.PENDING),
        Remarks("its pods roll out already, and migrate by themselves"),
    ),
    "complete, whatever the operator's Job is now": ({"external_problem": "x"}, COMPLETE, Remarks()),
    "its pod does not run": ({"job": STUCK}, RUNNING, Remarks("ImagePullBackOff: no such image")),
    "the pod of a Job that is superseded": (
        {"job": STUCK},
        replace(RUNNING, phase=Phase.SUPERSEDED),
        Remarks(),
    ),
    "Jobs that say they are ours": (
        {"impostors": ("a", "b")},
        RUNNING,
        Remarks(doubt=("ForeignJob", "Job a, b is not ours, whatever it says; it counts for nothing")),
    ),
    "a name that was taken": ({}, replace(RUNNING, job=AVOIDED), Remarks(doubt=TAKEN)),
    "a name that was taken, and that did not matter": ({}, replace(COMPLETE, job=AVOIDED), Remarks()),
}


@pytest.mark.parametrize(("seen", "status", "said"), REMARKS.values(), ids=REMARKS.keys())
def test_remarks(seen: dict[str, Any], status: RecordStatus, said: Remarks) -> None:
    assert remarks(observed(status, **seen), status) == said


def test_a_forger_chooses_no_length() -> None:
    doubt = remarks(observed(RUNNING, impostors=tuple("x" * 63 for _ in range(500))), RUNNING).doubt
    assert doubt
    assert len(doubt[1]) <= 512


def test_forged_evidence_makes_it_degraded_and_changes_nothing_else() -> None:
    before = observed(RUNNING, job=job(MADE, JobPhase.ACTIVE))
    plain, doubted = plan(before), plan(replace(before, impostors=("forged",)))
    assert doubted.steps == plain.steps
    assert replace(doubted.status, conditions=()) == replace(plain.status, conditions=())
    changed = [
        new for new, old in zip(doubted.status.conditions, plain.status.conditions, strict=True) if new != old
    ]
    assert [(item.type, item.status, item.reason) for item in changed] == [("Degraded", "True", "ForeignJob")]


WANTED = MigrationStatus(short(B.spec_hash), complete=False)
DONE = MigrationStatus(short(B.spec_hash), complete=True)
MIRRORED: dict[str, tuple[dict[str, Any], RecordStatus, tuple[Mirror, ...]]] = {
    "no Gateway, or no room": ({}, RUNNING, ()),
    "nothing told yet": ({"mirror": MigrationStatus()}, RUNNING, (Mirror(WANTED),)),
    "told already": ({"mirror": WANTED}, RUNNING, ()),
    "complete": (
        {"mirror": WANTED},
        COMPLETE,
        (Mirror(DONE),),
    ),
    "complete, and told": ({"mirror": DONE}, COMPLETE, ()),
    "nothing known yet": ({"mirror": MigrationStatus()}, RecordStatus(), ()),
    "the operator writes there": (
        {"mirror": MigrationStatus(), "governance": governance(runner=Runner.EXTERNAL)},
        RUNNING,
        (),
    ),
    "nothing asks any more": ({"mirror": MigrationStatus(), "governance": None}, RUNNING, ()),
}


@pytest.mark.parametrize(("seen", "status", "steps"), MIRRORED.values(), ids=MIRRORED.keys())
def test_the_gateway_resource_is_told(
    seen: dict[str, Any], status: RecordStatus, steps: tuple[Mirror, ...]
) -> None:
    assert mirrored(observed(status, **seen), status) == steps


def told(before: Observed) -> MigrationStatus:
    (step,) = (step for step in plan(before).steps if isinstance(step, Mirror))
    return step.status


def test_it_is_told_of_what_the_plan_decides_and_once() -> None:
    before = observed(target=target(A), mirror=MigrationStatus())
    first = told(before)
    assert first == MigrationStatus(short(A.spec_hash), complete=True)
    after = replace(before, record=replace(before.record, status=plan(before).status), mirror=first)
    assert plan(after).steps == ()
