"""What is observed of a migration, and the steps that may follow: the values that go into a plan and come out."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from webhook.policy.gateway_resource import MigrationStatus
from webhook.policy.governance import Governance
from webhook.policy.migration.target import Target
from webhook.policy.record import Failure, FailureClass, JobReference, Phase, Record, RecordStatus, Runner


class JobPhase(StrEnum):
    """Where an observed Job stands."""

    ACTIVE = "Active"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """The Job of the name that the status holds, read live while the status holds no UID.

    ``ours`` means that the record owns it and that it does the work of the one that we would make
    (``evidence.is_made_by``): anyone who may create Jobs can write our name into ``ownerReferences``.
    ``tampered`` says what the evidence check found wrong with a Job that succeeded. ``failure`` is the
    classified failure of one that failed, or is about to: its pods and their log go before it ends.
    ``obstacle`` says why the pod of an active one does not run.
    """

    name: str
    uid: str
    phase: JobPhase
    ours: bool = True
    tampered: str | None = None
    failure: Failure | None = None
    pod_uid: str = ""
    image_id: str = ""
    obstacle: str = ""


_NOT_OF_A_JOB = frozenset({FailureClass.INVALID_INPUTS, FailureClass.JOB_VANISHED})


def ended_badly(status: RecordStatus) -> bool:
    """Tell whether the status holds how its Job ended, and that it was not well."""
    return status.failure is not None and status.failure.classification not in _NOT_OF_A_JOB


def end_is_noted(status: RecordStatus) -> bool:
    """Tell whether another look at the ended Job of a status would change nothing.

    The first look had the pods and the log; evidence once found wrong is not mended by a later one.
    """
    if status.job is not None and status.completion(status.job.hash) is not None:
        return True
    classified = status.failure is not None and status.failure.classification is not FailureClass.UNKNOWN
    return classified and ended_badly(status)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Job of this name could not be created, and what was said of it."""

    job: str
    said: str


@dataclass(frozen=True, slots=True)
class Observed:
    """All that the next step depends on.

    ``governance`` is None when nothing asks for the record any more or it is disabled. ``target`` is None
    without a stored Deployment. ``self_migrated`` says that all pods of the stored template run in mode
    default, ``skipping`` that one at least runs in mode skip: such pods tell nothing about the schema.
    ``outdated`` says that a ConfigMap of theirs changed after one of them had started: what they migrated may not
    be what it names. ``busy`` names the record, or the Job of one that is gone, that migrates the same database
    now. ``external`` is the Job of an operator or chart that migrates the wanted inputs, for the runner External;
    ``external_problem`` says why there is none.
    ``impostors`` are Jobs that say they are ours, for the wanted hash, and are not. ``mirror`` is what the
    Gateway resource says of the migration, None where there is none or its kind has no room for it. ``refused``
    says which Job could not be created. ``awaited`` names the ConfigMaps without which it cannot be told what the
    Deployment to come will need.
    """

    record: Record
    governance: Governance | None
    target: Target | None
    job: ObservedJob | None
    now: datetime
    self_migrated: bool = False
    busy: str | None = None
    migrated_mark: str = ""
    skipping: bool = False
    external: ObservedJob | None = None
    external_problem: str = ""
    impostors: tuple[str, ...] = ()
    mirror: MigrationStatus | None = None
    refused: Refusal | None = None
    outdated: bool = False
    awaited: tuple[str, ...] = ()


def rolls_out(observed: Observed, spec_hash: str) -> bool:
    """Tell whether pods for these inputs are on their way: they migrate by themselves, and a Job is in the way."""
    target = observed.target
    running = target.running if target is not None and target.rolling else None
    return running is not None and running.spec_hash == spec_hash


def awaits_first_pods(observed: Observed, status: RecordStatus) -> bool:
    """Tell whether the status waits for pods that migrate by themselves: ours for a Job says which one."""
    waits = status.phase is Phase.PENDING and status.job is None and not status.completed_hashes
    return waits and observed.governance is not None and observed.governance.runner is Runner.SCHEMAGATE


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Create the Job that the status names; a name that is taken by another is told by the next observation."""

    job: JobReference


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete our Job, by name and UID."""

    job: JobReference


@dataclass(frozen=True, slots=True)
class Unpause:
    """Let a Deployment that we hold go on, if it is still as it was when that was decided."""

    version: str = ""


@dataclass(frozen=True, slots=True)
class MarkMigrated:
    """Annotate the Deployment with the completed hash: that wakes the stock operator out of its back-off."""

    mark: str


@dataclass(frozen=True, slots=True)
class ClearRetry:
    """Take the retry annotation off the record: it stands for one attempt."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Tell the Gateway resource how its migration stands."""

    status: MigrationStatus


Step = CreateJob | DeleteJob | Unpause | MarkMigrated | ClearRetry | Mirror


@dataclass(frozen=True, slots=True)
class Plan:
    """The status to write first, and the steps to take then, in order."""

    status: RecordStatus
    steps: tuple[Step, ...] = ()
