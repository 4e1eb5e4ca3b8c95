"""What a controller observes of a migration, to be tweaked: by default a fresh record and a settled Deployment."""

from dataclasses import replace
from typing import Any

from tests.support.builders import IMAGE, NEXT_IMAGE, NOW, URL
from webhook.policy.governance import Governance, Source
from webhook.policy.inputs import MigrationInputs
from webhook.policy.migration.job import job_name
from webhook.policy.migration.observed import JobPhase, Observed, ObservedJob
from webhook.policy.migration.target import Target
from webhook.policy.record import (
    Completion,
    Evidence,
    FirstInstall,
    JobReference,
    Mode,
    Phase,
    Record,
    RecordSpec,
    RecordStatus,
    Runner,
)

DATABASE = "mysql-primary:3306/ssg"


def inputs(image: str = IMAGE, **tweak: Any) -> MigrationInputs:
    """The inputs of a Gateway with this image."""
    return replace(MigrationInputs(image=image, jdbc_url=URL, database=DATABASE), **tweak)


A, B, C = inputs(IMAGE), inputs(NEXT_IMAGE), inputs("docker.io/caapim/gateway:11.4.0")


def governance(
    *, problem: str | None = None, first_install: FirstInstall = FirstInstall.MIGRATE, **spec: Any
) -> Governance:
    """Governed by a record of its own."""
    return Governance(
        source=Source.RECORD,
        spec=RecordSpec(**spec),
        status=RecordStatus(),
        mode=Mode.REJECT,
        first_install=first_install,
        problem=problem,
        runner=spec.get("runner") or Runner.SCHEMAGATE,
    )


def target(desired: MigrationInputs | None, running: MigrationInputs | None = A, **tweak: Any) -> Target:
    """A settled Deployment that runs ``running``."""
    return Target(desired=desired, running=running, **{"settled": True, **tweak})


def reference(wanted: MigrationInputs, *, uid: str = "", attempts: int = 1) -> JobReference:
    """The Job of an attempt, as the status holds it."""
    return JobReference(
        name=job_name("team-a", "ssg", wanted.spec_hash, attempts),
        uid=uid,
        hash=wanted.spec_hash,
        attempts=attempts,
        image=wanted.image,
        database=wanted.database or "",
    )


def done(wanted: MigrationInputs, evidence: Evidence = Evidence.JOB) -> Completion:
    """A completed hash."""
    return Completion(hash=wanted.spec_hash, image=wanted.image, database=DATABASE, time=NOW, evidence=evidence)


def status_for(wanted: MigrationInputs, phase: Phase, **tweak: Any) -> RecordStatus:
    """A status that is about these inputs; A is complete from before, by adoption."""
    base = RecordStatus(
        phase=phase,
        spec_hash=wanted.spec_hash,
        image=wanted.image,
        jdbc_url=wanted.jdbc_url,
        completed_hashes=(done(A, Evidence.ADOPTED),),
    )
    return replace(base, **tweak)


def job(held: JobReference, phase: JobPhase, uid: str = "j-1", **tweak: Any) -> ObservedJob:
    """The observed Job of that name."""
    return replace(ObservedJob(name=held.name, uid=uid, phase=phase, pod_uid="p-1", image_id="sha256:1"), **tweak)


def observed(status: RecordStatus | None = None, *, retry: str = "", **tweak: Any) -> Observed:
    """An observation: by default B is announced for a settled Deployment that runs A."""
    record = Record(
        namespace="team-a", name="ssg", uid="m-1", generation=3, retry=retry, status=status or RecordStatus()
    )
    base = Observed(record=record, governance=governance(), target=target(B), job=None, now=NOW)
    return replace(base, **tweak)
