"""The lifecycle in a small world that does its worst: whatever the order, no harm and an end.

The world stores the record by its wire form, runs Jobs, lets them vanish, lets others take their names, moves
what is wanted, and kills the controller between any two writes. After every pass the promises are checked.
"""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.builders import NOW
from tests.support.observations import governance, inputs, reference, target
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.migration.lifecycle import plan
from webhook.policy.migration.observed import (
    ClearRetry,
    CreateJob,
    DeleteJob,
    JobPhase,
    MarkMigrated,
    Observed,
    ObservedJob,
    Plan,
    Step,
    Unpause,
    end_is_noted,
)
from webhook.policy.record import (
    Completion,
    Evidence,
    Failure,
    FailureClass,
    Phase,
    Record,
    RecordStatus,
)

VARIANTS = {
    wanted.spec_hash: wanted
    for wanted in (
        inputs("gateway:11.2.2"),
        inputs("gateway:11.3.0"),
        inputs("gateway:11.4.0"),
        inputs("gateway:11.4.0", clear_locks=True),
        inputs("gateway:11.1.00"),
        inputs("gateway:11.5.0", problem="jdbcUrl: no host"),
    )
}
wanted_inputs = st.sampled_from(list(VARIANTS.values()))
STEPS_AT_MOST = 3
DOOM = Failure(classification=FailureClass.LOCK_HELD, message="held")


@dataclass(frozen=True)
class StoredJob:
    uid: str
    hash: str
    phase: JobPhase = JobPhase.ACTIVE
    ours: bool = True
    honest: bool = True
    doomed: bool = False


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.manifest = Record(namespace="team-a", name="ssg", uid="m-1").to_manifest()
        self.jobs: dict[str, StoredJob] = {}
        self.made: list[str] = []
        self.uids = 0
        self.desired: MigrationInputs | None = inputs("gateway:11.2.2")
        self.running: MigrationInputs = inputs("gateway:11.2.2")
        self.settled = True
        self.held = False
        self.enabled = True
        self.busy = False
        self.self_migrated = False
        self.mark = ""
        self.may_be_complete: set[str] = set()
        self.complete: set[str] = set()
        self.first = True

    # The controller.

    @property
    def record(self) -> Record:
        return Record.from_manifest(self.manifest)

    def observe(self) -> Observed:
        record = self.record
        held = record.status.job
        stored = self.jobs.get(held.name) if held else None
        job = None
        if held and stored:
            job = ObservedJob(
                name=held.name,
                uid=stored.uid,
                phase=stored.phase,
                ours=stored.ours,
                # What the controller does not look at again it has not checked either.
                tampered=None if stored.honest or end_is_noted(record.status) else "image",
                failure=DOOM if stored.doomed else None,
                pod_uid="p",
            )
        if self.settled and not self.held and (self.first or self.self_migrated):
            self.may_be_complete.add(self.running.spec_hash)
        return Observed(
            record=record,
            governance=governance() if self.enabled else None,
            target=target(self.desired, self.running, held=self.held, settled=self.settled and not self.held),
            job=job,
            now=NOW,
            self_migrated=self.self_migrated,
            busy="team-b/other" if self.busy else None,
            migrated_mark=self.mark,
        )

    def store(self, status: RecordStatus) -> None:
        record = replace(self.record, status=status)
        self.manifest = record.to_manifest()
        assert self.record == record
        if status.spec_hash or status.completed_hashes:
            self.first = False

    def apply(self, step: Step) -> None:
        match step:
            case CreateJob(job):
                if job.name not in self.jobs:
                    self.uids += 1
                    uid = f"j-{self.uids}"
                    self.jobs[job.name] = StoredJob(uid, job.hash)
                    self.made.append(job.name)
            case DeleteJob(job):
                stored = self.jobs.get(job.name)
                if stored and stored.uid == job.uid:
                    assert stored.ours
                    assert stored.phase is not JobPhase.ACTIVE
                    del self.jobs[job.name]
            case Unpause():
                assert self.held
                self.held = False
            case MarkMigrated(mark):
                assert not self.held
                self.mark = mark
            case ClearRetry():
                self.manifest["metadata"].pop("annotations", None)

    def one_pass(self, alive_for: int = STEPS_AT_MOST) -> Plan:
        """Write the status, then take steps until the controller dies."""
        given = plan(self.observe())
        assert len(given.steps) <= STEPS_AT_MOST
        self.store(given.status)
        for step in given.steps[:alive_for]:
            self.apply(step)
        return given

    @rule(alive_for=st.sampled_from([*[STEPS_AT_MOST] * 3, *range(STEPS_AT_MOST)]))
    def controller(self, alive_for: int) -> None:
        self.one_pass(alive_for)

    @rule()
    def controller_until_nothing_is_left(self) -> None:
        for _ in range(6):
            given = self.one_pass()
            if not given.steps and plan(self.observe()).status == given.status:
                return
        raise AssertionError(f"no end: {given}")

    # The world.

    def end(self, name: str, phase: JobPhase, honest: bool) -> None:
        stored = self.jobs[name]
        if stored.phase is JobPhase.ACTIVE:
            self.jobs[name] = replace(stored, phase=phase, honest=honest)
            # A doomed one only fails, but for who may write its status: that success may count while unseen.
            if phase is JobPhase.SUCCEEDED and honest and stored.ours:
                self.may_be_complete.add(stored.hash)

    @property
    def current(self) -> str:
        """The name of the Job that the status holds, or nothing."""
        held = self.record.status.job
        return held.name if held else ""

    @precondition(lambda self: self.current in self.jobs)
    @rule(honest=st.booleans())
    def our_job_succeeds(self, honest: bool) -> None:
        self.end(self.current, JobPhase.SUCCEEDED, honest)

    @precondition(lambda self: self.current in self.jobs)
    @rule()
    def our_job_fails(self) -> None:
        self.end(self.current, JobPhase.FAILED, honest=True)

    @precondition(lambda self: self.current in self.jobs)
    @rule()
    def our_job_is_about_to_fail(self) -> None:
        stored = self.jobs[self.current]
        if stored.phase is JobPhase.ACTIVE:
            self.jobs[self.current] = replace(stored, doomed=True)

    @precondition(lambda self: self.current)
    @rule(phase=st.sampled_from(JobPhase), named_as_owner=st.booleans())
    def our_job_is_replaced(self, phase: JobPhase, named_as_owner: bool) -> None:
        held = self.record.status.job
        assert held
        self.uids += 1
        # Before its UID is written, a Job that names our record as owner is told from ours by its work.
        ours = named_as_owner and bool(held.uid) and phase is not JobPhase.ACTIVE
        self.jobs[held.name] = StoredJob(f"j-{self.uids}", held.hash, phase, ours=ours)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def job_vanishes(self, data: st.DataObject) -> None:
        del self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]

    @rule(wanted=wanted_inputs, attempt=st.integers(1, 3), phase=st.sampled_from(JobPhase))
    def name_is_taken(self, wanted: MigrationInputs, attempt: int, phase: JobPhase) -> None:
        name = reference(wanted, attempts=attempt).name
        if name not in self.jobs:
            self.uids += 1
            self.jobs[name] = StoredJob(f"j-{self.uids}", wanted.spec_hash, phase, ours=False)

    @rule(wanted=st.none() | wanted_inputs)
    def announce(self, wanted: MigrationInputs | None) -> None:
        if not self.held:
            self.desired = wanted

    @rule(wanted=wanted_inputs, held=st.booleans(), self_migrated=st.booleans())
    def rollout(self, wanted: MigrationInputs, held: bool, self_migrated: bool) -> None:
        self.desired = self.running = wanted
        self.held, self.settled, self.self_migrated = held, False, self_migrated and not held

    @precondition(lambda self: not self.held)
    @rule()
    def rolled_out(self) -> None:
        self.settled = True

    @rule(enabled=st.sampled_from([True, True, False]))
    def enable(self, enabled: bool) -> None:
        self.enabled = enabled

    @rule(busy=st.sampled_from([False, False, True]))
    def database(self, busy: bool) -> None:
        self.busy = busy

    @rule(wanted=wanted_inputs)
    def retry(self, wanted: MigrationInputs) -> None:
        self.manifest["metadata"]["annotations"] = {"schemagate.io/retry": short(wanted.spec_hash)}

    # What holds at every moment.

    @invariant()
    def one_active_job_at_most(self) -> None:
        active = [name for name, job in self.jobs.items() if job.ours and job.phase is JobPhase.ACTIVE]
        assert len(active) <= 1, active

    @invariant()
    def complete_by_evidence_alone_and_for_ever(self) -> None:
        now = {done.hash for done in self.record.status.completed_hashes}
        assert now >= self.complete
        assert now <= self.may_be_complete, "complete without evidence"
        self.complete = now

    @invariant()
    def a_complete_status_is_about_a_complete_hash(self) -> None:
        status = self.record.status
        assert status.complete is (status.phase is Phase.COMPLETE)
        assert not status.complete or status.completion(status.spec_hash)
        assert (status.phase is not Phase.FAILED) or status.failure


World.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestWorld = World.TestCase

text = st.text(max_size=8)
hashes = st.sampled_from([*VARIANTS, ""])
failures = st.builds(Failure, classification=st.sampled_from(FailureClass), message=text)
references = st.builds(
    reference,
    wanted_inputs,
    uid=st.sampled_from(["", "j-1"]),
    attempts=st.integers(1, 3),
)
statuses = st.builds(
    RecordStatus,
    phase=st.none() | st.sampled_from(Phase),
    spec_hash=hashes | text,
    complete=st.booleans(),
    image=text,
    completed_hashes=st.lists(
        st.builds(Completion, hash=st.sampled_from(list(VARIANTS)), evidence=st.sampled_from(Evidence)), max_size=3
    ).map(tuple),
    job=st.none() | references,
    failure=st.none() | failures,
    start_time=st.none() | st.just(NOW),
)


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    status = draw(statuses)
    named = status.job.name if status.job else "other"
    jobs: Any = st.builds(
        ObservedJob,
        name=st.sampled_from([named, "other"]),
        uid=st.sampled_from(["j-1", "j-2"]),
        phase=st.sampled_from(JobPhase),
        ours=st.booleans(),
        tampered=st.none() | text,
        failure=st.none() | failures,
    )
    return Observed(
        record=Record(
            namespace="team-a", name="ssg", uid="m-1", retry=draw(st.just("") | hashes | text), status=status
        ),
        governance=draw(st.none() | st.builds(governance, problem=st.none() | text)),
        target=draw(
            st.none()
            | st.builds(
                target,
                st.none() | wanted_inputs,
                st.none() | wanted_inputs,
                held=st.booleans(),
                settled=st.booleans(),
                rolling=st.booleans(),
            )
        ),
        job=draw(st.none() | jobs),
        now=NOW,
        self_migrated=draw(st.booleans()),
        skipping=draw(st.booleans()),
        outdated=draw(st.booleans()),
        awaited=draw(st.sampled_from([(), ("ssg",)])),
        busy=draw(st.none() | text),
        migrated_mark=draw(hashes.map(short)),
    )


def noted(status: RecordStatus) -> bool:
    return status.job is not None and end_is_noted(status)


@given(
    observations(), statuses.filter(noted), st.sampled_from([JobPhase.SUCCEEDED, JobPhase.FAILED]), st.booleans()
)
def test_an_end_that_is_noted_is_never_evidence(
    observation: Observed, status: RecordStatus, phase: JobPhase, ours: bool
) -> None:
    # The controller does not look at such a Job and its pods again: whatever it says is unchecked.
    assert status.job
    unchecked = ObservedJob(status.job.name, status.job.uid or "j-1", phase, ours)
    given_plan = plan(replace(observation, record=replace(observation.record, status=status), job=unchecked))
    before = {done.hash for done in status.completed_hashes}
    new = [done for done in given_plan.status.completed_hashes if done.hash not in before]
    assert all(done.evidence is Evidence.ADOPTED and not done.job_uid for done in new)
    assert not given_plan.status.complete or given_plan.status.completion(given_plan.status.spec_hash)


@given(statuses)
def test_no_end_is_noted_before_a_job_has_ended(status: RecordStatus) -> None:
    fresh = replace(status, failure=None, completed_hashes=())
    assert not end_is_noted(fresh)
    for kind in (FailureClass.UNKNOWN, FailureClass.INVALID_INPUTS, FailureClass.JOB_VANISHED):
        assert not end_is_noted(replace(fresh, failure=Failure(classification=kind)))


@given(observations())
def test_any_stored_state_gives_a_plan(observation: Observed) -> None:
    given_plan = plan(observation)
    status, job = given_plan.status, observation.job
    record = replace(observation.record, status=status)
    assert Record.from_manifest(record.to_manifest()) == record
    assert status.phase is not None
    for step in given_plan.steps:
        if isinstance(step, CreateJob):
            assert status.job == step.job
            assert not step.job.uid
        if isinstance(step, DeleteJob):
            assert job
            assert job.phase is not JobPhase.ACTIVE
            assert (job.name, job.uid) == (step.job.name, step.job.uid)
    before = observation.record.status.job
    ours = before and job and job.name == before.name and (job.uid == before.uid if before.uid else job.ours)
    if ours and job and job.phase is JobPhase.ACTIVE:
        assert status.job, "a running Job must not get out of sight"
        assert status.job.uid == job.uid
        assert not any(isinstance(step, CreateJob) for step in given_plan.steps)
