"""What schemagate observed, as a record's status: what ``kubectl explain gwm.status`` describes."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from webhook.policy.record_attempt import Completion, Failure, JobReference
from webhook.policy.record_spec import Mode
from webhook.policy.record_wire import (
    BYPASS_REASON_LIMIT,
    GROUP_LIMIT,
    GROUPS_KEPT,
    HASH_LIMIT,
    IMAGE_LIMIT,
    KEPT,
    MESSAGE_LIMIT,
    REASON_LIMIT,
    SHORT_HASH_LIMIT,
    UID_LIMIT,
    URL_LIMIT,
    USER_LIMIT,
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


class RejectionDecision(StrEnum):
    """What was done about a rollout whose migration is not complete."""

    DENIED = "denied"
    HELD = "held"
    WARNED = "warned"
    NOTED = "noted"
    BYPASSED = "bypassed"


class RejectionEnd(StrEnum):
    """How the story of a rollout that was turned away ended."""

    MIGRATED = "Migrated"
    ABANDONED = "Abandoned"
    BYPASSED = "Bypassed"
    OPENED = "Opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection(Wire):
    """One rollout that was, or would have been, turned away: how often and by whom it was tried, how it ended."""

    hash: Annotated[
        str,
        Field(max_length=HASH_LIMIT, description="The hash that was not complete: its first 16 hex digits."),
    ] = ""
    reason: Annotated[
        str,
        Field(max_length=REASON_LIMIT, description="Why the rollout was turned away, such as MigrationPending."),
    ] = ""
    user: Annotated[
        str, Field(max_length=USER_LIMIT, description="The user or service account that asked for the rollout.")
    ] = ""
    from_image: Annotated[
        str, Field(max_length=IMAGE_LIMIT, description="The image before. Empty for a new Deployment.")
    ] = ""
    to_image: Annotated[str, Field(max_length=IMAGE_LIMIT, description="The image that was asked for.")] = ""
    groups: Annotated[
        tuple[Annotated[str, Field(max_length=GROUP_LIMIT)], ...],
        Field(
            max_length=GROUPS_KEPT,
            description=(
                "The first 5 groups of the user, without those that say nothing of a person: "
                "system:authenticated and system:serviceaccounts."
            ),
        ),
    ] = ()
    mode: Annotated[
        Mode | None, lenient(Mode, None), Field(description="The mode that held then. Empty: not known.")
    ] = None
    decision: Annotated[
        RejectionDecision | None,
        lenient(RejectionDecision, None),
        Field(
            description=(
                "What was done about it. Empty in what an older version wrote.\n"
                "- denied: the request was turned away.\n"
                "- held: the Deployment was stored paused.\n"
                "- warned: it was let through with a warning, since the mode is Warn.\n"
                "- noted: it was let through, since the mode is Audit.\n"
                "- bypassed: it was let through on a person's word (break-glass)."
            )
        ),
    ] = None
    bypass_reason: Annotated[
        str,
        Field(max_length=BYPASS_REASON_LIMIT, description="The reason that a person gave for breaking glass."),
    ] = ""
    count: Annotated[int, Field(description="How often exactly this was turned away. Default: 1.")] = 1
    first: Annotated[AwareDatetime | None, Field(description="When it was turned away for the first time.")] = None
    last: Annotated[AwareDatetime | None, Field(description="When it was turned away for the last time.")] = None
    passes: Annotated[bool, Field(description="Whether such a rollout would pass now. Default: false.")] = False
    ended: Annotated[
        RejectionEnd | None,
        lenient(RejectionEnd, None),
        Field(
            description=(
                "How it ended. Empty while it is open.\n"
                "- Migrated: the hash was migrated, and the Deployment goes on with the image.\n"
                "- Abandoned: the Deployment went another way, or is gone.\n"
                "- Bypassed: it was let through by break-glass.\n"
                "- Opened: it was let through unmigrated, by Warn, Audit, or because nothing guards it any more."
            )
        ),
    ] = None
    ended_at: Annotated[AwareDatetime | None, Field(description="When it was found to have ended.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejections(Wire):
    """All rollouts turned away: the count is of all, ``newest`` holds the last distinct ones, newest first."""

    count: Annotated[int, Field(description="How many requests were turned away in all; it never falls.")] = 0
    first: Annotated[
        AwareDatetime | None, Field(description="When a rollout was turned away for the first time.")
    ] = None
    last: Annotated[
        AwareDatetime | None, Field(description="When a rollout was turned away for the last time.")
    ] = None
    newest: Annotated[
        tuple[Rejection, ...],
        Field(
            max_length=KEPT,
            description=(
                "The last 20 distinct rollouts that were turned away, newest first. Once there are 20, only 5 "
                "others a minute come in; more are counted alone."
            ),
        ),
    ] = ()
    folded: Annotated[
        tuple[Annotated[str, Field(max_length=UID_LIMIT)], ...],
        Field(
            max_length=64,
            description="UIDs of the newest batches of rejections counted in here, so that none counts twice.",
        ),
    ] = ()


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
