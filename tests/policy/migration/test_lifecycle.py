"""The life of a migration, arrow by arrow."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import NOW
from tests.support.observations import (
    A,
    B,
    C,
    done,
    governance,
    inputs,
    job,
    observed,
    reference,
    status_for,
    target,
)
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.migration.lifecycle import plan
from webhook.policy.migration.observed import (
    ClearRetry,
    CreateJob,
    DeleteJob,
    JobPhase,
    MarkMigrated,
    Observed,
    Plan,
    Unpause,
)
from webhook.policy.record import (
    KEPT,
    Completion,
    Evidence,
    Failure,
    FailureClass,
    FirstInstall,
    Phase,
    RecordStatus,
    Runner,
)

INTENT, MADE = reference(B), reference(B, uid="j-1")
SECOND = reference(B, attempts=2)
BROKEN = Failure(classification=FailureClass.CHANGESET_FAILED, message="changeset 7 failed", log_tail="tail")
VANISHED = Failure(classification=FailureClass.JOB_VANISHED, message="gone")
ACTIVE, SUCCEEDED, FAILED = JobPhase.ACTIVE, JobPhase.SUCCEEDED, JobPhase.FAILED

FIRST_PODS = governance(first_install=FirstInstall.GATEWAY)
RELEASED = target(B, B, held=True, released=True, rolling=True, settled=False, version="7")
AWAITING = RecordStatus(phase=Phase.PENDING, spec_hash=A.spec_hash, image=A.image, jdbc_url=A.jdbc_url)
MOVED = inputs(jdbc_url="jdbc:mysql://other:3306/ssg")


def failed(failure: Failure = BROKEN) -> RecordStatus:
    return status_for(B, Phase.FAILED, job=MADE, failure=failure)


def running() -> RecordStatus:
    return status_for(B, Phase.RUNNING, job=MADE, start_time=NOW)


def after(first: Plan, before: Observed, **tweak: Any) -> Observed:
    """What is observed once the status of a plan is stored."""
    return replace(before, record=replace(before.record, status=first.status), **tweak)


# What is observed, the phase that follows, and the steps.
ARROWS = {
    # new record
    "baseline adopted, the announced image created in the same pass": (
        observed(),
        Phase.PENDING,
        (CreateJob(INTENT),),
    ),
    "baseline adopted, nothing else wanted": (observed(target=target(A)), Phase.COMPLETE, ()),
    "no baseline amid a rollout: what is wanted is migrated": (
        observed(target=target(A, settled=False)),
        Phase.PENDING,
        (CreateJob(reference(A)),),
    ),
    "the first pods are on their way and migrate by themselves": (
        observed(target=target(A, settled=False, rolling=True), governance=FIRST_PODS),
        Phase.PENDING,
        (),
    ),
    "first pods are on their way that nobody held back": (
        observed(target=target(A, settled=False, rolling=True)),
        Phase.PENDING,
        (),
    ),
    "a rollout that nobody held back": (
        observed(target=target(B, B, settled=False, rolling=True)),
        Phase.PENDING,
        (),
    ),
    "a rollout that nobody held back, the Job failed before": (
        observed(failed(), job=job(MADE, FAILED), target=target(B, B, settled=False, rolling=True)),
        Phase.FAILED,
        (),
    ),
    "a retry waits for such a rollout": (
        observed(failed(), retry=B.spec_hash, target=target(B, B, settled=False, rolling=True)),
        Phase.PENDING,
        (ClearRetry(),),
    ),
    "such a rollout beside a Job that runs": (
        observed(running(), job=job(MADE, ACTIVE), target=target(B, B, settled=False, rolling=True)),
        Phase.RUNNING,
        (),
    ),
    "such a rollout that waited for the database": (
        observed(
            status_for(B, Phase.WAITING, job=INTENT),
            busy="x",
            target=target(B, B, settled=False, rolling=True),
        ),
        Phase.PENDING,
        (),
    ),
    "such pods that are overdue": (
        observed(status_for(B, Phase.PENDING), target=target(B, B, settled=False)),
        Phase.PENDING,
        (CreateJob(INTENT),),
    ),
    "such pods that came": (
        observed(status_for(B, Phase.PENDING), target=target(B, B), self_migrated=True),
        Phase.COMPLETE,
        (),
    ),
    "such pods that came, some in skip": (
        observed(status_for(B, Phase.PENDING), target=target(B, B), skipping=True),
        Phase.PENDING,
        (CreateJob(INTENT),),
    ),
    "no baseline from pods that are older than their ConfigMap": (
        observed(target=target(A), outdated=True),
        Phase.PENDING,
        (CreateJob(reference(A)),),
    ),
    "a ConfigMap to come": (observed(target=None, awaited=("ssg",)), Phase.PENDING, ()),
    "a ConfigMap to come while a Job runs": (
        observed(running(), job=job(MADE, ACTIVE), target=None, awaited=("ssg",)),
        Phase.SUPERSEDED,
        (),
    ),
    "first pods that never came": (
        observed(AWAITING, target=target(A, settled=False), governance=FIRST_PODS),
        Phase.PENDING,
        (CreateJob(reference(A)),),
    ),
    "first pods that came": (observed(AWAITING, target=target(A), governance=FIRST_PODS), Phase.COMPLETE, ()),
    "first pods that came in skip": (
        observed(AWAITING, target=target(A), governance=FIRST_PODS, skipping=True),
        Phase.PENDING,
        (CreateJob(reference(A)),),
    ),
    "a database that moved while the first pods were on their way": (
        observed(AWAITING, target=target(MOVED, MOVED), governance=FIRST_PODS),
        Phase.PENDING,
        (CreateJob(reference(MOVED)),),
    ),
    "another image announced while the first pods are on their way": (
        observed(AWAITING, target=target(B, settled=False, rolling=True), governance=FIRST_PODS),
        Phase.PENDING,
        (CreateJob(INTENT),),
    ),
    "no baseline from pods in skip": (
        observed(target=target(A), skipping=True),
        Phase.PENDING,
        (CreateJob(reference(A)),),
    ),
    "no Deployment": (observed(target=None), Phase.DISABLED, ()),
    "no database": (observed(target=target(None, None)), Phase.DISABLED, ()),
    "a Gateway that cannot be told to skip": (
        observed(target=target(inputs("docker.io/caapim/gateway:11.2.1"))),
        Phase.DISABLED,
        (),
    ),
    "a version declared for an image that does not tell": (
        observed(target=target(inputs("gateway:latest")), governance=governance(gateway_version="11.1.00")),
        Phase.DISABLED,
        (),
    ),
    "an image that does not tell counts as supported": (
        observed(target=target(inputs("gateway:latest"))),
        Phase.PENDING,
        (CreateJob(reference(inputs("gateway:latest"))),),
    ),
    "inputs that cannot be told": (
        observed(target=target(replace(B, problem="jdbcUrl: no host"))),
        Phase.FAILED,
        (),
    ),
    "settings that cannot be read": (observed(governance=governance(problem="bad")), Phase.FAILED, ()),
    # Pending
    "intent found after a crash, no Job": (
        observed(status_for(B, Phase.PENDING, job=INTENT)),
        Phase.PENDING,
        (CreateJob(INTENT),),
    ),
    "intent found after a crash, the Job is there": (
        observed(status_for(B, Phase.PENDING, job=INTENT), job=job(INTENT, ACTIVE)),
        Phase.RUNNING,
        (),
    ),
    "intent found after a crash, the Job is done already": (
        observed(status_for(B, Phase.PENDING, job=INTENT), job=job(INTENT, SUCCEEDED)),
        Phase.COMPLETE,
        (MarkMigrated(short(B.spec_hash)),),
    ),
    "name taken by a Job that is not ours": (
        observed(status_for(B, Phase.PENDING, job=INTENT), job=job(INTENT, SUCCEEDED, ours=False)),
        Phase.PENDING,
        (CreateJob(replace(SECOND, avoided=INTENT.name)),),
    ),
    "other inputs wanted before the Job was made": (
        observed(status_for(B, Phase.PENDING, job=INTENT), target=target(C)),
        Phase.PENDING,
        (CreateJob(reference(C)),),
    ),
    # Waiting
    "database busy": (observed(busy="team-b/other"), Phase.WAITING, ()),
    "database still busy": (
        observed(status_for(B, Phase.WAITING, job=INTENT), busy="team-b/other"),
        Phase.WAITING,
        (),
    ),
    "database free again": (
        observed(status_for(B, Phase.WAITING, job=INTENT)),
        Phase.PENDING,
        (CreateJob(INTENT),),
    ),
    "a second attempt that waited stays the second": (
        observed(status_for(B, Phase.WAITING, job=SECOND)),
        Phase.PENDING,
        (CreateJob(SECOND),),
    ),
    # Running
    "running": (observed(running(), job=job(MADE, ACTIVE)), Phase.RUNNING, ()),
    "running, database busy with us or not": (
        observed(running(), job=job(MADE, ACTIVE), busy="team-b/other"),
        Phase.RUNNING,
        (),
    ),
    "succeeded": (
        observed(running(), job=job(MADE, SUCCEEDED)),
        Phase.COMPLETE,
        (MarkMigrated(short(B.spec_hash)),),
    ),
    "succeeded, Deployment held": (
        observed(running(), job=job(MADE, SUCCEEDED), target=target(B, B, held=True, settled=False)),
        Phase.COMPLETE,
        (Unpause(),),
    ),
    "tampered": (observed(running(), job=job(MADE, SUCCEEDED, tampered="image")), Phase.FAILED, ()),
    "failed": (observed(running(), job=job(MADE, FAILED, failure=BROKEN)), Phase.FAILED, ()),
    "about to fail, which is noted while it counts as active": (
        observed(running(), job=job(MADE, ACTIVE, failure=BROKEN)),
        Phase.RUNNING,
        (),
    ),
    "about to fail, database asked for by others too": (
        observed(running(), job=job(MADE, ACTIVE, failure=BROKEN), busy="team-b/other"),
        Phase.RUNNING,
        (),
    ),
    "about to fail, other inputs wanted": (
        observed(running(), job=job(MADE, ACTIVE, failure=BROKEN), target=target(C)),
        Phase.SUPERSEDED,
        (),
    ),
    "about to fail, retry asked too early": (
        observed(running(), job=job(MADE, ACTIVE, failure=BROKEN), retry=B.spec_hash),
        Phase.RUNNING,
        (ClearRetry(),),
    ),
    "vanished while it ran": (observed(running()), Phase.FAILED, ()),
    "replaced by another while it ran": (observed(running(), job=job(MADE, ACTIVE, uid="j-2")), Phase.FAILED, ()),
    "replaced by one that names our record as owner": (
        observed(running(), job=job(MADE, SUCCEEDED, uid="j-2", ours=True)),
        Phase.FAILED,
        (),
    ),
    # Failed
    "failed blocks": (observed(failed(), job=job(MADE, FAILED, failure=BROKEN)), Phase.FAILED, ()),
    "Job deleted by a person": (observed(failed()), Phase.PENDING, (CreateJob(SECOND),)),
    "Job deleted and its name taken": (
        observed(failed(), job=job(MADE, ACTIVE, uid="j-2", ours=False)),
        Phase.PENDING,
        (CreateJob(SECOND),),
    ),
    "retry for this hash": (
        observed(failed(), job=job(MADE, FAILED), retry=short(B.spec_hash)),
        Phase.PENDING,
        (ClearRetry(), CreateJob(SECOND)),
    ),
    "retry for this hash in full": (
        observed(failed(), retry=B.spec_hash),
        Phase.PENDING,
        (ClearRetry(), CreateJob(SECOND)),
    ),
    "retry for another hash": (
        observed(failed(), job=job(MADE, FAILED), retry=short(A.spec_hash)),
        Phase.FAILED,
        (),
    ),
    "retry for too short a hash": (
        observed(failed(), job=job(MADE, FAILED), retry=B.spec_hash[:15]),
        Phase.FAILED,
        (),
    ),
    "retry with more than the hash": (
        observed(failed(), job=job(MADE, FAILED), retry=B.spec_hash + "0"),
        Phase.FAILED,
        (),
    ),
    "retry while the database is busy": (
        observed(failed(), job=job(MADE, FAILED), retry=B.spec_hash, busy="x"),
        Phase.WAITING,
        (ClearRetry(),),
    ),
    "retry of a crashed pass is used up": (
        observed(status_for(B, Phase.PENDING, job=SECOND), retry=B.spec_hash),
        Phase.PENDING,
        (ClearRetry(), CreateJob(SECOND)),
    ),
    "retry while it runs stands for no attempt": (
        observed(running(), job=job(MADE, ACTIVE), retry=B.spec_hash),
        Phase.RUNNING,
        (ClearRetry(),),
    ),
    "retry and failure seen at once": (
        observed(running(), job=job(MADE, FAILED), retry=B.spec_hash),
        Phase.PENDING,
        (ClearRetry(), CreateJob(SECOND)),
    ),
    "vanished stays held": (observed(failed(VANISHED)), Phase.FAILED, ()),
    "vanished stays held when its name is taken": (
        observed(failed(VANISHED), job=job(MADE, ACTIVE, uid="j-2", ours=False)),
        Phase.FAILED,
        (),
    ),
    "vanished, retried": (
        observed(failed(VANISHED), retry=B.spec_hash),
        Phase.PENDING,
        (ClearRetry(), CreateJob(SECOND)),
    ),
    "other inputs after a failure": (
        observed(failed(), job=job(MADE, FAILED), target=target(C)),
        Phase.PENDING,
        (CreateJob(reference(C)),),
    ),
    "settings repaired, the Job runs on": (
        observed(
            failed(Failure(classification=FailureClass.INVALID_INPUTS, message="bad")), job=job(MADE, ACTIVE)
        ),
        Phase.RUNNING,
        (),
    ),
    "settings repaired, the Job vanished meanwhile": (
        observed(failed(Failure(classification=FailureClass.INVALID_INPUTS, message="bad"))),
        Phase.FAILED,
        (),
    ),
    # Complete
    "complete before there is a Deployment": (
        observed(running(), job=job(MADE, SUCCEEDED), target=target(B, None, settled=False)),
        Phase.COMPLETE,
        (),
    ),
    "complete, the Job vanished": (
        observed(status_for(B, Phase.COMPLETE, job=MADE, completed_hashes=(done(B),)), target=target(B, B)),
        Phase.COMPLETE,
        (),
    ),
    "complete, the Job turned into another": (
        observed(
            status_for(B, Phase.COMPLETE, job=MADE, completed_hashes=(done(B),)),
            target=target(B, B),
            job=job(MADE, FAILED, uid="j-2"),
        ),
        Phase.COMPLETE,
        (),
    ),
    "complete and marked": (
        observed(status_for(B, Phase.COMPLETE, completed_hashes=(done(B),)), migrated_mark=short(B.spec_hash)),
        Phase.COMPLETE,
        (),
    ),
    "complete, marked with an older hash": (
        observed(status_for(B, Phase.COMPLETE, completed_hashes=(done(B),)), migrated_mark=short(A.spec_hash)),
        Phase.COMPLETE,
        (MarkMigrated(short(B.spec_hash)),),
    ),
    "held before the restart of the controller": (
        observed(
            status_for(B, Phase.COMPLETE, completed_hashes=(done(B),)),
            target=target(B, B, held=True, settled=False),
        ),
        Phase.COMPLETE,
        (Unpause(),),
    ),
    "paused by a person": (
        observed(
            status_for(B, Phase.COMPLETE, completed_hashes=(done(B),)),
            target=target(B, B, held=False, settled=False),
        ),
        Phase.COMPLETE,
        (),
    ),
    # Superseded
    "superseded is never killed": (
        observed(running(), job=job(MADE, ACTIVE), target=target(C)),
        Phase.SUPERSEDED,
        (),
    ),
    "superseded by inputs that cannot be told": (
        observed(running(), job=job(MADE, ACTIVE), target=target(replace(C, problem="x"))),
        Phase.SUPERSEDED,
        (),
    ),
    "superseded before its UID was written": (
        observed(status_for(B, Phase.PENDING, job=INTENT), job=job(INTENT, ACTIVE), target=target(C)),
        Phase.SUPERSEDED,
        (),
    ),
    "superseded, then done": (
        observed(replace(running(), phase=Phase.SUPERSEDED), job=job(MADE, SUCCEEDED), target=target(C)),
        Phase.PENDING,
        (CreateJob(reference(C)),),
    ),
    "superseded, then failed": (
        observed(replace(running(), phase=Phase.SUPERSEDED), job=job(MADE, FAILED), target=target(C)),
        Phase.PENDING,
        (CreateJob(reference(C)),),
    ),
    "superseded, then wanted again": (
        observed(replace(running(), phase=Phase.SUPERSEDED), job=job(MADE, ACTIVE)),
        Phase.RUNNING,
        (),
    ),
    "rollback to a complete hash goes through at once": (
        observed(running(), job=job(MADE, ACTIVE), target=target(A, A, held=True, settled=False, version="7")),
        Phase.COMPLETE,
        (Unpause("7"),),
    ),
    "complete beside another's Job, which fails": (
        observed(
            status_for(A, Phase.COMPLETE, complete=True, job=MADE),
            job=job(MADE, FAILED, failure=BROKEN),
            target=target(A, A),
        ),
        Phase.COMPLETE,
        (),
    ),
    "complete beside a Job that is wanted again": (
        observed(status_for(A, Phase.COMPLETE, complete=True, job=MADE), job=job(MADE, ACTIVE)),
        Phase.RUNNING,
        (),
    ),
    "rollback to a Gateway that migrates by itself goes through at once": (
        observed(
            running(),
            job=job(MADE, ACTIVE),
            target=target(inputs("gateway:11.1.00"), inputs("gateway:11.1.00"), held=True, settled=False),
        ),
        Phase.SUPERSEDED,
        (Unpause(),),
    ),
    "Deployment deleted while the Job runs": (
        observed(running(), job=job(MADE, ACTIVE), target=None),
        Phase.SUPERSEDED,
        (),
    ),
    # A mode that stops nothing
    "released before its Job began, it migrates by itself": (
        observed(status_for(B, Phase.PENDING, job=INTENT), target=RELEASED),
        Phase.PENDING,
        (Unpause("7"),),
    ),
    "released while its Job runs, which goes on": (
        observed(running(), job=job(MADE, ACTIVE), target=RELEASED),
        Phase.RUNNING,
        (Unpause("7"),),
    ),
    "released after its Job failed": (
        observed(failed(), job=job(MADE, FAILED), target=RELEASED),
        Phase.FAILED,
        (Unpause("7"),),
    ),
    "released although its inputs cannot be told": (
        observed(status_for(B, Phase.PENDING), target=RELEASED, governance=governance(problem="no such key")),
        Phase.FAILED,
        (Unpause("7"),),
    ),
    "released when it is complete, once": (
        observed(running(), job=job(MADE, SUCCEEDED), target=RELEASED),
        Phase.COMPLETE,
        (Unpause("7"),),
    ),
    # Disabled
    "disabled lets go of what it held": (
        observed(status_for(B, Phase.PENDING), governance=None, target=target(B, B, held=True, settled=False)),
        Phase.DISABLED,
        (Unpause(),),
    ),
    "disabled deletes a finished Job": (
        observed(failed(), job=job(MADE, FAILED), governance=None),
        Phase.DISABLED,
        (DeleteJob(MADE),),
    ),
    "disabled deletes a Job whose UID was never written, by UID": (
        observed(status_for(B, Phase.PENDING, job=INTENT), job=job(INTENT, SUCCEEDED), governance=None),
        Phase.DISABLED,
        (DeleteJob(MADE),),
    ),
    "disabled leaves a running Job alone": (
        observed(running(), job=job(MADE, ACTIVE), governance=None),
        Phase.DISABLED,
        (),
    ),
    "disabled leaves a Job of another alone": (
        observed(running(), job=job(MADE, FAILED, uid="j-2"), governance=None),
        Phase.DISABLED,
        (),
    ),
    "disabled, then enabled after a failure": (
        observed(replace(failed(), phase=Phase.DISABLED)),
        Phase.PENDING,
        (CreateJob(SECOND),),
    ),
    "disabled while it ran, vanished, then enabled": (
        observed(replace(running(), phase=Phase.DISABLED)),
        Phase.FAILED,
        (),
    ),
}


@pytest.mark.parametrize("case", ARROWS)
def test_phase_and_steps(case: str) -> None:
    observation, phase, steps = ARROWS[case]
    given = plan(observation)
    assert (given.status.phase, given.steps) == (phase, steps)
    assert given.status.observed_generation == observation.record.generation
    assert given.status.complete is (phase is Phase.COMPLETE)


@pytest.mark.parametrize("case", ARROWS)
def test_a_status_that_is_stored_asks_for_no_other(case: str) -> None:
    # While the steps fail (a quota, a webhook) the status stays as it is: a changing one would wake us for ever.
    observation, _, _ = ARROWS[case]
    first = plan(observation)
    second = plan(after(first, observation, now=NOW + timedelta(minutes=1)))
    third = plan(after(second, observation, now=NOW + timedelta(minutes=2)))
    assert second.status == third.status
    assert second.steps == third.steps


def test_the_baseline_is_adopted_once() -> None:
    first = plan(observed(target=target(A)))
    assert first.status.completed_hashes == (done(A, Evidence.ADOPTED),)
    assert first.status.completion_time == NOW
    later = plan(after(first, observed(target=target(B, B))))
    assert later.status.phase is Phase.PENDING
    assert later.status.completion(B.spec_hash) is None


def test_a_baseline_with_a_problem_is_none() -> None:
    given = plan(observed(target=target(B, replace(A, problem="no such ConfigMap"))))
    assert given.status.completed_hashes == ()


@pytest.mark.parametrize(
    ("case", "tweak", "adopted"),
    [
        ("pods migrated by themselves", {}, True),
        ("pods in skip", {"self_migrated": False, "skipping": True}, False),
        ("pods of unknown mode", {"self_migrated": False}, False),
        ("rollout under way", {"target": target(B, B, settled=False)}, False),
        ("pods older than their ConfigMap", {"outdated": True}, False),
        ("a Job runs", {"job": job(MADE, ACTIVE)}, False),
        # The pods migrated what the ConfigMap named when they started.
        (
            "database changed under running pods",
            {"target": target(inputs(jdbc_url="x"), inputs(jdbc_url="x"))},
            False,
        ),
    ],
)
def test_later_adoption(case: str, tweak: dict[str, Any], adopted: bool) -> None:
    before = observed(failed(), job=job(MADE, FAILED), target=target(B, B), self_migrated=True)
    given = plan(replace(before, **tweak))
    fresh = [completion for completion in given.status.completed_hashes if completion.hash != A.spec_hash]
    assert [completion.evidence for completion in fresh] == ([Evidence.ADOPTED] if adopted else [])
    assert (given.status.phase is Phase.COMPLETE) is adopted


def test_an_adoption_keeps_the_failure_of_what_is_wanted() -> None:
    # A rollout of A was let through by Warn while the migration of the announced B stands failed.
    status = replace(failed(), completed_hashes=(done(C),))
    given = plan(observed(status, job=job(MADE, FAILED, failure=BROKEN), self_migrated=True))
    assert given.status.completion(A.spec_hash)
    assert (given.status.phase, given.status.failure) == (Phase.FAILED, BROKEN)


def test_success_records_its_witnesses_once() -> None:
    first = plan(observed(running(), job=job(MADE, SUCCEEDED)))
    assert first.status.completed_hashes[0] == Completion(
        hash=B.spec_hash,
        image=B.image,
        image_id="sha256:1",
        database=B.database or "",
        time=NOW,
        evidence=Evidence.JOB,
        job_uid="j-1",
        pod_uid="p-1",
    )
    assert (first.status.spec_hash, first.status.image, first.status.jdbc_url) == (
        B.spec_hash,
        B.image,
        B.jdbc_url,
    )
    again = plan(after(first, observed(job=job(MADE, SUCCEEDED)), now=NOW + timedelta(hours=1)))
    assert again.status.completed_hashes == first.status.completed_hashes


def test_only_the_newest_completions_are_kept() -> None:
    old = tuple(done(inputs(f"gateway:12.0.{patch}")) for patch in range(KEPT))
    given = plan(observed(replace(running(), completed_hashes=old), job=job(MADE, SUCCEEDED)))
    assert given.status.completed_hashes == (given.status.completed_hashes[0], *old[:-1])
    assert given.status.completed_hashes[0].hash == B.spec_hash


def test_a_superseded_success_counts_for_its_own_hash() -> None:
    superseded = replace(running(), phase=Phase.SUPERSEDED)
    given = plan(observed(superseded, job=job(MADE, SUCCEEDED), target=target(C)))
    assert given.status.completion(B.spec_hash)
    assert given.status.completion(C.spec_hash) is None
    assert given.status.spec_hash == C.spec_hash


def test_a_success_seen_when_disabled_is_not_lost() -> None:
    given = plan(observed(running(), job=job(MADE, SUCCEEDED), governance=None))
    assert given.status.completion(B.spec_hash)
    assert given.steps == (DeleteJob(MADE),)


def test_a_failure_is_kept_when_the_pods_and_the_log_are_gone() -> None:
    first = plan(observed(running(), job=job(MADE, FAILED, failure=BROKEN)))
    assert first.status.failure == BROKEN
    again = plan(after(first, observed(job=job(MADE, FAILED, failure=Failure()))))
    assert again.status.failure == BROKEN


def test_a_failure_noted_before_the_end_outlives_the_pods() -> None:
    # At a deadline the pods are deleted before the Job says Failed, and then nothing but the deadline is known.
    late = Failure(classification=FailureClass.DEADLINE_EXCEEDED, message="the Job ran into its deadline")
    first = plan(observed(running(), job=job(MADE, ACTIVE, failure=BROKEN)))
    assert (first.status.phase, first.status.failure) == (Phase.RUNNING, BROKEN)
    still = plan(after(first, observed(job=job(MADE, ACTIVE, failure=late))))
    assert still.status.failure == BROKEN
    ended = plan(after(still, observed(job=job(MADE, FAILED, failure=late))))
    assert (ended.status.phase, ended.status.failure) == (Phase.FAILED, BROKEN)


def test_a_success_seen_after_a_failure_was_noted_is_none() -> None:
    first = plan(observed(running(), job=job(MADE, ACTIVE, failure=BROKEN)))
    given = plan(after(first, observed(job=job(MADE, SUCCEEDED))))
    assert (given.status.phase, given.status.failure) == (Phase.FAILED, BROKEN)
    assert given.status.completion(B.spec_hash) is None


def test_an_avoided_name_is_kept_until_its_attempt_is_over() -> None:
    taken = job(INTENT, SUCCEEDED, ours=False)
    first = plan(observed(status_for(B, Phase.PENDING, job=INTENT), job=taken))
    avoided = replace(SECOND, avoided=INTENT.name)
    assert first.status.job == avoided
    crashed = plan(after(first, observed()))
    assert crashed.steps == (CreateJob(avoided),)
    waited = plan(after(first, observed(busy="team-b/other")))
    assert (waited.status.phase, waited.status.job) == (Phase.WAITING, avoided)
    made = replace(avoided, uid="j-1")
    retried = plan(observed(status_for(B, Phase.FAILED, job=made, failure=BROKEN), retry=B.spec_hash))
    assert retried.steps == (ClearRetry(), CreateJob(reference(B, attempts=3)))


def test_a_failure_that_did_not_tell_is_told_later() -> None:
    first = plan(observed(running(), job=job(MADE, FAILED)))
    assert first.status.failure == Failure()
    again = plan(after(first, observed(job=job(MADE, FAILED, failure=BROKEN))))
    assert again.status.failure == BROKEN


def test_evidence_once_found_wrong_stays_wrong() -> None:
    first = plan(observed(running(), job=job(MADE, SUCCEEDED, tampered="image of the pod")))
    assert first.status.failure == Failure(
        classification=FailureClass.EVIDENCE_TAMPERED, message="image of the pod"
    )
    again = plan(after(first, observed(job=job(MADE, SUCCEEDED))))
    assert (again.status.phase, again.status.failure) == (Phase.FAILED, first.status.failure)
    assert again.status.completion(B.spec_hash) is None
    asked = observed(again.status, job=job(MADE, SUCCEEDED), retry=B.spec_hash)
    assert plan(asked).steps == (ClearRetry(), CreateJob(SECOND))


@pytest.mark.parametrize(
    ("observation", "problem"),
    [
        (observed(target=target(replace(B, problem="jdbcUrl: no host"))), "jdbcUrl: no host"),
        (
            observed(governance=governance(problem="Gateway settings: spec.x: bad")),
            "Gateway settings: spec.x: bad",
        ),
    ],
)
def test_invalid_inputs_say_what_is_wrong(observation: Observed, problem: str) -> None:
    failure = plan(observation).status.failure
    assert failure == Failure(classification=FailureClass.INVALID_INPUTS, message=problem)


def test_vanished_names_the_job() -> None:
    failure = plan(observed(running())).status.failure
    assert failure
    assert failure.classification is FailureClass.JOB_VANISHED
    assert MADE.name in failure.message


def test_the_intent_says_when_it_started() -> None:
    first = plan(observed())
    assert (first.status.job, first.status.start_time) == (INTENT, NOW)
    retried = plan(after(first, observed(), now=NOW + timedelta(minutes=1)))
    assert retried.status.start_time == NOW


EXTERNAL = reference(B)


@pytest.mark.parametrize(
    ("phase", "tampered", "expected"),
    [
        (None, None, Phase.PENDING),
        (ACTIVE, None, Phase.RUNNING),
        (FAILED, None, Phase.FAILED),
        (SUCCEEDED, "image", Phase.FAILED),
        (SUCCEEDED, None, Phase.COMPLETE),
    ],
)
def test_the_job_of_another_runner(phase: JobPhase | None, tampered: str | None, expected: Phase) -> None:
    external = job(EXTERNAL, phase, tampered=tampered) if phase else None
    before = observed(governance=governance(runner=Runner.EXTERNAL), external=external)
    given = plan(before)
    assert given.status.phase is expected
    assert given.status.job is None
    assert not any(isinstance(step, CreateJob | DeleteJob) for step in given.steps)
    evidence = given.status.completion(B.spec_hash)
    assert (evidence.evidence if evidence else None) == (Evidence.EXTERNAL if expected is Phase.COMPLETE else None)


def test_a_job_of_ours_runs_on_when_the_runner_changes() -> None:
    given = plan(observed(running(), job=job(MADE, ACTIVE), governance=governance(runner=Runner.EXTERNAL)))
    assert (given.status.phase, given.status.job) == (Phase.RUNNING, MADE)


@pytest.mark.parametrize("wanted", [inputs(jdbc_url="secret:db/url", database=None), B])
def test_each_database_has_a_key_and_only_a_known_one_is_told(wanted: MigrationInputs) -> None:
    first = plan(observed(target=target(wanted)))
    assert first.status.job
    assert first.status.job.database == (wanted.database or "team-a/secret:db/url")
    made = replace(first.status, job=replace(first.status.job, uid="j-1"))
    ended = plan(observed(made, job=job(first.status.job, SUCCEEDED), target=target(wanted)))
    assert ended.status.completed_hashes[0].database == (wanted.database or "")


WORSE = Failure(message="the migration pod failed", log_tail="")


@pytest.mark.parametrize("runner", Runner)
@pytest.mark.parametrize(
    ("known", "found", "kept"),
    [
        (Failure(message="exit code 1", log_tail="tail"), WORSE, True),
        (Failure(message="exit code 1", log_tail="tail"), BROKEN, False),
        (BROKEN, WORSE, True),
        (BROKEN, Failure(classification=FailureClass.DEADLINE_EXCEEDED), True),
        (VANISHED, WORSE, False),
    ],
)
def test_a_failure_never_gets_worse(runner: Runner, known: Failure, found: Failure, kept: bool) -> None:
    status = failed(known)
    external = None
    if runner is Runner.EXTERNAL:
        status, external = replace(status, job=None), job(EXTERNAL, FAILED, failure=found)
    seen = observed(
        status, governance=governance(runner=runner), job=job(MADE, FAILED, failure=found), external=external
    )
    assert plan(seen).status.failure == (known if kept else found)


def test_times_are_those_of_one_attempt() -> None:
    later = NOW + timedelta(minutes=5)
    ended = plan(observed(running(), job=job(MADE, SUCCEEDED), now=later)).status
    assert (ended.start_time, ended.completion_time) == (NOW, later)
    again = plan(observed(ended, target=target(B, B), now=later + timedelta(hours=1))).status
    assert (again.start_time, again.completion_time) == (NOW, later)
    back = plan(observed(replace(ended, start_time=later), target=target(A, A))).status
    assert (back.phase, back.start_time, back.completion_time) == (Phase.COMPLETE, None, NOW)
    asked = governance(runner=Runner.EXTERNAL)
    for external in (None, job(EXTERNAL, ACTIVE), job(EXTERNAL, FAILED)):
        other = plan(observed(ended, target=target(C), governance=asked, external=external)).status
        assert (other.start_time, other.completion_time) == (None, None)


def test_what_is_complete_keeps_the_job_of_others_in_sight() -> None:
    beside = observed(running(), job=job(MADE, ACTIVE), target=target(A, A))
    first = plan(beside)
    assert (first.status.phase, first.status.spec_hash, first.status.job) == (Phase.COMPLETE, A.spec_hash, MADE)
    ended = plan(after(first, replace(beside, job=job(MADE, SUCCEEDED))))
    assert (ended.status.phase, ended.status.spec_hash, ended.status.job) == (Phase.COMPLETE, A.spec_hash, None)
    assert ended.status.completion(B.spec_hash)


def test_no_job_of_what_was_rolled_back_to_runs_for_another_way_to_run_it() -> None:
    """It would take the newest completion's place, and the schema would pass for older than it is."""
    back, old, new = replace(A, clear_locks=True), replace(done(A), time=NOW - timedelta(days=1)), done(B)
    status = status_for(B, Phase.COMPLETE, completed_hashes=(new, old))
    given = plan(observed(status, target=target(back, back)))
    assert (given.status.phase, given.status.complete, given.steps) == (Phase.COMPLETE, True, ())
    assert given.status.completion_time == old.time
    assert given.status.completed_hashes == (new, old)
    # The newest itself is migrated anew when that is asked for.
    again = replace(B, clear_locks=True)
    assert plan(observed(status, target=target(again, again))).status.phase is Phase.PENDING


def test_a_retry_that_waits_for_pods_keeps_its_number() -> None:
    coming = target(B, B, settled=False, rolling=True)
    first = plan(observed(failed(), job=job(MADE, FAILED), retry=B.spec_hash, target=coming))
    assert (first.status.phase, first.status.job) == (Phase.PENDING, SECOND)
    assert plan(after(first, observed(target=target(B, B, settled=False)))).steps == (CreateJob(SECOND),)
