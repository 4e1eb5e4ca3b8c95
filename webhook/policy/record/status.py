"""What schemagate observed, as a record's status: what ``kubectl explain gwm.status`` describes."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from webhook.policy.record.attempt import Completion, Failure, JobReference
from webhook.policy.record.rejections import Rejections
from webhook.policy.record.wire import (
    HASH_LIMIT,
    IMAGE_LIMIT,
    KEPT,
    MESSAGE_LIMIT,
    SHORT_HASH_LIMIT,
    URL_LIMIT,
    Wire,
    lenient,
)


class Phase(StrEnum):
    """Where a migration stands."""

    PENDING = "Pending"
    WAITING = "Waiting"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Wire):
    """A metav1.Condition."""

    type: Annotated[
        str,
        Field(
            max_length=316,
            description="What it is about: Ready, MigrationComplete, Progressing, Degraded or Stalled.",
        ),
    ]
    status: Annotated[str, Field(max_length=16, description="Whether it holds: True, False or Unknown.")]
    reason: Annotated[str, Field(max_length=1024, description="Why, in one CamelCase word for programs to read.")]
    message: Annotated[
        str, Field(max_length=MESSAGE_LIMIT, description="Why, in one line for people to read.")
    ] = ""
    observed_generation: Annotated[
        int, Field(description="The metadata.generation of the record that the condition is about.")
    ] = 0
    last_transition_time: Annotated[
        AwareDatetime | None, Field(description="When status last went from one value to another.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStatus(Wire):
    """What schemagate observed; nobody else may write it. ``completed_hashes`` is newest first."""

    observed_generation: Annotated[
        int,
        Field(description="The metadata.generation of the record that the status is about."),
    ] = 0
    phase: Annotated[
        Phase | None,
        lenient(Phase, None),
        Field(
            description=(
                "Where the migration of specHash stands.\n"
                "- Pending: its Job is about to be made, or the Job of another runner is waited for.\n"
                "- Waiting: another migration of the same database runs; this one follows.\n"
                "- Running: its Job runs.\n"
                "- Complete: rollouts with this hash pass.\n"
                "- Failed: see failure. Nothing runs until the Job is deleted, the record is annotated "
                "schemagate.io/retry: HASH, or the inputs change.\n"
                "- Superseded: the Job of an earlier hash still runs and is let finish; then this one starts.\n"
                "- Disabled: nothing to migrate, or nobody asks for it."
            )
        ),
    ] = None
    spec_hash: Annotated[
        str,
        Field(
            max_length=HASH_LIMIT,
            description=(
                "The hash of the inputs that are wanted (image, jdbcUrl, clearLocks, activeDeadlineSeconds, and "
                "what decides where a host name leads): SHA-256 in 64 hex digits."
            ),
        ),
    ] = ""
    short_hash: Annotated[
        str,
        Field(
            max_length=SHORT_HASH_LIMIT,
            description="The first 16 digits of specHash, as shown in messages and names. Never compare by it.",
        ),
    ] = ""
    complete: Annotated[
        bool, Field(description="Whether the migration of specHash is complete. Default: false.")
    ] = False
    image: Annotated[str, Field(max_length=IMAGE_LIMIT, description="The Gateway image that is wanted.")] = ""
    jdbc_url: Annotated[
        str,
        Field(
            max_length=URL_LIMIT,
            description=(
                "The URL of the database, without credentials; node.properties:SECRET or secret:NAME/KEY where "
                "it lies in a place that schemagate does not read."
            ),
        ),
    ] = ""
    completed_hashes: Annotated[
        tuple[Completion, ...],
        Field(
            max_length=KEPT,
            description=(
                "The newest 20 hashes whose migration is complete, newest first. A rollout with one of them "
                "passes."
            ),
        ),
    ] = ()
    job: Annotated[
        JobReference | None,
        Field(description="The Job of the attempt under way, or of the last one; none with the runner External."),
    ] = None
    start_time: Annotated[AwareDatetime | None, Field(description="When the last attempt was begun.")] = None
    completion_time: Annotated[AwareDatetime | None, Field(description="When specHash was found complete.")] = None
    failure: Annotated[Failure | None, Field(description="Why the last attempt failed.")] = None
    rejections: Annotated[
        Rejections,
        Field(description="The rollouts of this Deployment that were turned away, so that none is lost."),
    ] = field(default_factory=Rejections)
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16,
            description=(
                "Ready (nothing has to be done), MigrationComplete, Progressing, Degraded and Stalled (failed), "
                "as kstatus, Argo CD and kubectl wait read them."
            ),
        ),
    ] = ()

    def completion(self, spec_hash: str) -> Completion | None:
        """Give the completion of exactly this hash (64 hex digits), or None."""
        return next((done for done in self.completed_hashes if done.hash == spec_hash), None)
