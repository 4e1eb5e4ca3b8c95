"""Jobs that get nowhere: without a pod, suspended, or refused by the API server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.controller.test_jobs import Seen, Watched
from tests.controller.test_reconcile import condition, second
from tests.support import builders as make
from tests.support.builders import NEXT_IMAGE, NOW
from webhook.controller.jobs import AWAITED_SECONDS, awaits_pod
from webhook.controller.reconcile import Reconciler
from webhook.embedded.jobs import JobRunner
from webhook.errors import ForbiddenError, RejectedError
from webhook.policy.migration.job_views import JobEvent
from webhook.policy.record import FailureClass, Phase

QUOTA = "exceeded quota: none"
DENIED = "POST /apis/batch/v1/namespaces/team-a/jobs: 403 denied by policy"


class Stubborn(Watched):
    """Makes no pods, says why, and may refuse Jobs altogether."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[JobEvent] = [JobEvent(reason="FailedCreate", note=f"Error creating: {QUOTA}")]
        self.refusal: Exception | None = None

    async def job_events(self, namespace: str, uid: str) -> Sequence[JobEvent]:  # type: ignore[override]
        assert namespace == "team-a"
        assert uid
        self.reads["job_events"] += 1
        return self.told

    async def create_job(self, manifest: Mapping[str, Any]) -> str:
        self.reads["create_job"] += 1
        if self.refusal is not None:
            raise self.refusal
        return await super().create_job(manifest)


class Stuck(Seen):
    def __init__(self) -> None:
        self.cluster: Stubborn = Stubborn()
        self.runner = JobRunner(self.cluster)
        self.now = NOW
        self.reconciler = Reconciler(self.cluster, lambda: self.now)

    def podless(self, **status: Any) -> None:
        self.put({**self.job(), "status": status})


@pytest.fixture
def world() -> Stuck:
    return Stuck()


async def test_why_there_is_no_pod_is_asked_for_after_a_while(world: Stuck) -> None:
    await world.running()
    world.podless()
    assert awaits_pod(world.cluster, await world.record())
    assert not world.cluster.reads["job_events"]

    world.now += timedelta(seconds=AWAITED_SECONDS)
    record = await world.record()
    assert condition(record, "Progressing")[2].endswith(f"is Running: FailedCreate: {QUOTA}")
    assert awaits_pod(world.cluster, record)


async def test_nobody_asks_once_there_is_a_pod(world: Stuck) -> None:
    await world.running()
    world.podless(active=1)
    world.now += timedelta(seconds=60)
    record = await world.record()
    assert condition(record, "Progressing")[2].endswith("is Running")
    assert not awaits_pod(world.cluster, record)
    assert not world.cluster.reads["job_events"]


async def test_a_job_whose_copy_is_late_is_looked_at_soon(world: Stuck) -> None:
    record = await world.running()
    world.podless(active=1)
    assert not awaits_pod(world.cluster, record)
    world.cluster.copies = []
    assert awaits_pod(world.cluster, record)


async def test_no_job_is_waited_for_that_there_is_not_yet(world: Stuck) -> None:
    record = await (await world.baseline()).record()
    assert record.status.job is None
    assert not awaits_pod(world.cluster, record)


async def test_why_there_never_was_a_pod_is_why_it_failed(world: Stuck) -> None:
    await world.running()
    world.podless(conditions=[{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}])
    failure = (await world.record()).status.failure
    assert failure
    assert failure.classification is FailureClass.JOB_NOT_STARTED
    assert QUOTA in failure.message


async def test_a_job_that_somebody_suspended_says_so(world: Stuck) -> None:
    await world.running()
    world.podless(conditions=[{"type": "Suspended", "status": "True", "reason": "JobSuspended"}])
    world.now += timedelta(seconds=60)
    assert "is Running: JobSuspended: " in condition(await world.record(), "Progressing")[2]
    assert not world.cluster.reads["job_events"]


@pytest.mark.parametrize("kind", [ForbiddenError, RejectedError])
async def test_a_job_that_is_refused_is_told_and_tried_again(world: Stuck, kind: type[Exception]) -> None:
    await world.baseline()
    world.cluster.refusal = kind(f"{DENIED} password=hunter2")
    world.announce()
    for _ in range(3):
        with pytest.raises(kind):
            await world.settle()
    record = world.cluster.record("team-a", "ssg")
    assert record is not None
    assert record.status.phase is Phase.PENDING
    message = condition(record, "Progressing")[2]
    assert f"is Pending: JobNotCreated: {DENIED}" in message
    assert "hunter2" not in message
    assert world.cluster.reads["create_job"] == 4, "once more at first, to tell it; then once a try"

    world.cluster.refusal = None
    record = await world.record()
    assert record.status.phase is Phase.RUNNING
    assert condition(record, "Progressing")[2].endswith("is Running")
    assert condition(record, "Degraded")[0] == "False"


async def test_a_refusal_that_varies_is_told_once(world: Stuck) -> None:
    # Each status that we write wakes us: one a try would make us try for ever, without a pause.
    await world.baseline()
    world.announce()
    versions = set()
    for number in range(5):
        world.cluster.refusal = ForbiddenError(f"{DENIED}, request {number}")
        with pytest.raises(ForbiddenError):
            await world.settle()
        versions |= {item.resource_version for item in world.cluster.records()}
    assert len(versions) == 1
    (record,) = world.cluster.records()
    assert condition(record, "Degraded")[:2] == ("True", "JobNotCreated")
    assert "request 0" in condition(record, "Degraded")[2]
    for _ in range(2):
        world.cluster.refusal = RejectedError("422 another kind")
        with pytest.raises(RejectedError):
            await world.settle()
    (record,) = world.cluster.records()
    assert "422 another kind" in condition(record, "Degraded")[2]


async def test_who_is_refused_keeps_nobody_from_the_database(world: Stuck) -> None:
    await world.baseline()
    world.put(make.namespace("team-b"), *second())
    await world.record(namespace="team-b")
    world.announce()
    world.cluster.refusal = ForbiddenError(DENIED)
    with pytest.raises(ForbiddenError):
        await world.settle()
    world.cluster.refusal = None
    world.change("Gateway", namespace="team-b", spec={"app": {"image": NEXT_IMAGE}})
    assert (await world.record(namespace="team-b")).status.phase is Phase.RUNNING
    assert (await world.record()).status.phase is Phase.WAITING, "and takes its turn like any other"
