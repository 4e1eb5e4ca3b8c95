"""How Jobs are observed: by copies while they run, live and once when they have ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.controller.test_reconcile import WHERE, CrashError, Fragile, World, condition
from tests.support import builders as make
from tests.support.builders import NEXT_IMAGE, NOW
from webhook.controller.reconcile import Reconciler
from webhook.embedded.jobs import LOCKED, SUCCESS, Ending, JobRunner
from webhook.policy.migration.job_views import Job
from webhook.policy.record import Evidence, FailureClass, Phase, Record

OPERATORS = "ssg-db-migration"


class Watched(Fragile):
    """Counts what is read live, and may hold copies back."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.copies: list[Job] | None = None
        self.stuck = ""

    async def job(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        self.reads["job"] += 1
        return await super().job(namespace, name)

    async def job_pods(self, namespace: str, uid: str) -> Sequence[Mapping[str, Any]]:
        self.reads["job_pods"] += 1
        return await super().job_pods(namespace, uid)

    def jobs(self, namespace: str) -> list[Job]:
        return super().jobs(namespace) if self.copies is None else self.copies

    def obstacle(self, namespace: str, job_uid: str) -> str:
        return self.stuck if namespace == "team-a" and job_uid else ""


class Seen(World):
    def __init__(self) -> None:
        self.cluster: Watched = Watched()
        self.runner = JobRunner(self.cluster)
        self.reconciler = Reconciler(self.cluster, lambda: NOW)

    async def running(self) -> Record:
        """A Job of ours that runs; reads are counted from here."""
        await self.baseline()
        record = await self.announce().record()
        self.cluster.reads.clear()
        return record

    def finish(self, ending: Ending = SUCCESS) -> None:
        ((namespace, name),) = self.runner.active()
        self.runner.finish(namespace, name, ending)

    async def failing(self, ending: Ending, reason: str = "DeadlineExceeded") -> None:
        """The Job controller has decided that the Job fails, and its pod is still there."""
        job = self.job()
        self.finish(ending)
        doomed = {"type": "FailureTarget", "status": "True", "reason": reason}
        self.put({**job, "status": {"active": 1, "conditions": [doomed]}})

    def vanished(self) -> None:
        """The pods are deleted, and the Job says Failed."""
        for key in self.cluster.keys("Pod"):
            self.cluster.delete(*key)
        job = self.job()
        doomed = job["status"]["conditions"][0]
        self.put({**job, "status": {"conditions": [doomed, {**doomed, "type": "Failed"}]}})


@pytest.fixture
def world() -> Seen:
    return Seen()


async def test_a_job_that_runs_is_not_read_live(world: Seen) -> None:
    await world.running()
    assert (await world.record()).status.phase is Phase.RUNNING
    assert not world.cluster.reads


@pytest.mark.parametrize("ending", [SUCCESS, LOCKED], ids=["succeeded", "failed"])
async def test_a_job_that_ended_is_read_live_with_its_pods_exactly_once(world: Seen, ending: Ending) -> None:
    await world.running()
    world.finish(ending)
    for _ in range(3):
        await world.record()
    assert world.cluster.reads == {"job": 1, "job_pods": 1}


async def test_a_failure_that_did_not_tell_is_looked_at_again(world: Seen) -> None:
    await world.running()
    world.finish(Ending(exit_code=1, log="?\n"))
    record = await world.record()
    assert record.status.failure
    assert record.status.failure.classification is FailureClass.UNKNOWN
    before = world.cluster.reads["job_pods"]
    await world.settle()
    assert world.cluster.reads["job_pods"] > before


async def test_a_copy_that_lags_does_not_say_that_a_job_is_gone(world: Seen) -> None:
    await world.running()
    world.cluster.copies = []
    assert (await world.record()).status.phase is Phase.RUNNING
    world.finish()
    assert (await world.record()).status.complete
    assert len(world.jobs()) == 1


async def test_a_copy_that_lags_behind_the_end_changes_nothing(world: Seen) -> None:
    record = await world.running()
    world.cluster.copies = world.cluster.jobs("team-a")
    world.finish()
    assert (await world.record()) == record
    assert not world.cluster.reads


async def test_what_keeps_a_pod_from_running_is_told_while_it_waits(world: Seen) -> None:
    await world.running()
    world.cluster.stuck = "ImagePullBackOff: no such image"
    told = condition(await world.record(), "Progressing")
    assert told[2].endswith("is Running: ImagePullBackOff: no such image")
    world.cluster.stuck = ""
    assert condition(await world.record(), "Progressing")[2].endswith("is Running")


async def test_what_kept_a_pod_from_running_is_why_it_failed(world: Seen) -> None:
    await world.running()
    world.cluster.stuck = "ImagePullBackOff: no such image"
    world.finish(Ending(exit_code=1, log="", reason="DeadlineExceeded"))
    failure = (await world.record()).status.failure
    assert failure
    assert failure.classification is FailureClass.IMAGE_PULL
    assert "no such image" in failure.message


# Condition FailureTarget: the pods go before the Job says Failed.


async def test_a_job_at_its_deadline_is_classified_while_its_pods_are_there(world: Seen) -> None:
    await world.running()
    await world.failing(LOCKED)
    record = await world.record()
    assert record.status.phase is Phase.RUNNING, "it counts as active: nothing else may begin"
    assert record.status.failure
    assert record.status.failure.classification is FailureClass.LOCK_HELD
    world.vanished()
    record = await world.record()
    assert record.status.phase is Phase.FAILED
    assert record.status.failure
    assert record.status.failure.classification is FailureClass.LOCK_HELD
    assert "ssg-7c5d8" in record.status.failure.message
    assert "changelog lock" in record.status.failure.log_tail
    assert world.cluster.reads == {"job_pods": 1}


async def test_without_that_only_the_deadline_is_known(world: Seen) -> None:
    await world.running()
    await world.failing(LOCKED)
    world.vanished()
    failure = (await world.record()).status.failure
    assert failure
    assert failure.classification is FailureClass.DEADLINE_EXCEEDED


async def test_a_job_that_fails_does_not_let_another_begin(world: Seen) -> None:
    await world.running()
    await world.failing(LOCKED)
    record = await world.announce("gateway:11.4.0").record()
    assert record.status.phase is Phase.SUPERSEDED
    assert len(world.jobs()) == 1
    world.vanished()
    record = await world.record()
    assert (record.status.phase, record.status.image) == (Phase.RUNNING, "gateway:11.4.0")


async def test_a_success_forged_after_its_failure_was_noted_counts_for_nothing(world: Seen) -> None:
    await world.running()
    await world.failing(LOCKED)
    await world.record()
    job = world.job()
    job["status"] = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
    world.put(job)
    record = await world.record()
    assert not record.status.complete
    assert record.status.phase is Phase.FAILED


# Jobs that say they are ours.


async def forged(world: Seen, name: str = "forged", *, ended: bool = True) -> Record:
    record = await world.running()
    copy = make.merged(world.job(), {"metadata": {"name": name, "uid": None, "ownerReferences": None}})
    world.put(copy)
    if ended:
        world.runner.finish("team-a", name)
    return record


async def test_a_forged_success_makes_the_record_degraded_and_counts_for_nothing(world: Seen) -> None:
    await forged(world)
    record = await world.record()
    assert record.status.phase is Phase.RUNNING
    told = condition(record, "Degraded")
    assert told[:2] == ("True", "ForeignJob")
    assert "Job forged is not ours" in told[2]
    world.runner.finish("team-a", record.status.job.name if record.status.job else "")
    record = await world.record()
    assert record.status.complete
    assert condition(record, "Degraded")[0] == "False"


async def test_one_that_has_not_ended_is_no_impostor(world: Seen) -> None:
    await forged(world, ended=False)
    assert condition(await world.record(), "Degraded")[0] == "False"


@pytest.mark.parametrize("label", ["app.kubernetes.io/managed-by", "schemagate.io/hash"])
async def test_one_that_does_not_say_it_is_ours_is_no_impostor(world: Seen, label: str) -> None:
    await forged(world)
    world.change("Job", name="forged", metadata={"labels": {label: "other"}})
    assert condition(await world.record(), "Degraded")[0] == "False"


async def test_ours_is_none_before_its_uid_is_written(world: Seen) -> None:
    await world.baseline()
    world.cluster.after = "create_job"
    world.announce()
    with pytest.raises(CrashError):
        await world.settle()
    world.finish()
    record = await world.record()
    assert record.status.complete
    assert condition(record, "Degraded")[0] == "False"


# The Job of an operator.


async def operated(world: Seen) -> Seen:
    world.put(make.namespace(), make.config_map(), make.gateway_with_job(), make.deployment())
    assert (await world.record()).status.complete
    world.announce()
    return world


async def test_the_job_of_an_operator_is_followed_and_is_the_evidence(world: Seen) -> None:
    await operated(world)
    record = await world.record()
    assert record.status.phase is Phase.PENDING
    said = condition(record, "Progressing")[2]
    assert f"there is no Job {OPERATORS}; waiting for the operator" in said
    world.put(make.operators_job())
    assert (await world.record()).status.phase is Phase.RUNNING
    assert world.jobs() == [OPERATORS], "none of ours"
    world.finish()
    record = await world.record()
    done = record.status.completion(record.status.spec_hash)
    assert done
    assert (done.evidence, done.job_uid) == (Evidence.EXTERNAL, world.job()["metadata"]["uid"])
    world.cluster.delete("Job", "team-a", OPERATORS)
    assert (await world.record()).status.complete, "once is for ever"


WRONG = {
    "another image": (make.operators_job("gateway:11.9.0"), "runs image gateway:11.9.0"),
    "not the Gateway's": (make.operators_job(metadata={"ownerReferences": []}), "belongs neither to"),
    "a command": (
        make.merged(
            make.operators_job(),
            {"spec": {"template": {"spec": {"containers": [make.container(image=NEXT_IMAGE, command=["true"])]}}}},
        ),
        "overrides the entrypoint",
    ),
}


@pytest.mark.parametrize(("job", "said"), WRONG.values(), ids=WRONG.keys())
async def test_a_job_that_does_not_count_is_told(world: Seen, job: Any, said: str) -> None:
    await operated(world)
    world.put(job)
    world.runner.finish("team-a", OPERATORS)
    record = await world.record()
    assert record.status.phase is Phase.PENDING
    assert said in condition(record, "Progressing")[2]
    assert not record.status.complete


async def test_the_pods_of_an_operators_job_are_checked_too(world: Seen) -> None:
    await operated(world)
    world.put(make.operators_job())
    world.finish()
    ((_, _, name),) = world.cluster.keys("Pod")
    world.change("Pod", name=name, spec={"hostNetwork": True})
    failure = (await world.record()).status.failure
    assert failure
    assert failure.classification is FailureClass.EVIDENCE_TAMPERED


async def test_an_operators_job_that_fails_and_is_made_anew(world: Seen) -> None:
    await operated(world)
    world.put(make.operators_job())
    world.finish(LOCKED)
    record = await world.record()
    assert record.status.phase is Phase.FAILED
    assert record.status.failure
    assert record.status.failure.classification is FailureClass.LOCK_HELD
    world.cluster.delete("Job", "team-a", OPERATORS)
    world.put(make.operators_job())
    assert (await world.record()).status.phase is Phase.RUNNING
    world.finish()
    assert (await world.record()).status.complete


async def test_a_record_may_ask_for_ours_beside_such_an_operator(world: Seen) -> None:
    await operated(world)
    await world.record()
    world.change("GatewayMigration", spec={"runner": "Schemagate"})
    record = await world.record()
    assert record.status.job
    assert world.jobs() == [record.status.job.name]


async def test_an_operators_job_before_its_first_deployment(world: Seen) -> None:
    world.put(make.namespace(), make.config_map(), make.gateway_with_job(spec={"app": {"image": NEXT_IMAGE}}))
    assert (await world.record()).status.phase is Phase.PENDING
    world.put(make.operators_job())
    world.finish()
    assert (await world.record()).status.complete
    assert world.cluster.deployment(*WHERE) is None
