"""Attempts at a migration in a record's status: the Job, how it failed, and what is complete."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from webhook.policy.record.wire import (
    DATABASE_LIMIT,
    HASH_LIMIT,
    IMAGE_LIMIT,
    LOG_LIMIT,
    MESSAGE_LIMIT,
    NAME_LIMIT,
    UID_LIMIT,
    Wire,
    lenient,
)


class Evidence(StrEnum):
    """How it is known that a hash is complete."""

    JOB = "Job"
    ADOPTED = "Adopted"
    EXTERNAL = "External"


class FailureClass(StrEnum):
    """What kind of failure stopped a migration."""

    IMAGE_PULL = "ImagePull"
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    AUTH_FAILED = "AuthFailed"
    LOCK_HELD = "LockHeld"
    CHANGESET_FAILED = "ChangesetFailed"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    EVICTED = "Evicted"
    EVIDENCE_TAMPERED = "EvidenceTampered"
    INVALID_INPUTS = "InvalidInputs"
    JOB_NOT_STARTED = "JobNotStarted"
    JOB_VANISHED = "JobVanished"
    CONFIGURATION = "Configuration"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(Wire):
    """A hash whose migration is complete, and how that is known."""

    hash: Annotated[
        str,
        Field(
            pattern="^[0-9a-f]{64}$",
            max_length=HASH_LIMIT,
            description="The hash of the inputs that are complete: SHA-256 in 64 hex digits.",
        ),
    ]
    image: Annotated[
        str,
        Field(max_length=IMAGE_LIMIT, description="The Gateway image that migrated, as its Deployment names it."),
    ] = ""
    image_id: Annotated[
        str,
        Field(
            alias="imageID",
            max_length=IMAGE_LIMIT,
            description="The image that really ran, with its digest, as the kubelet reported it.",
        ),
    ] = ""
    database: Annotated[
        str,
        Field(
            max_length=DATABASE_LIMIT,
            description=(
                "The database that was migrated, as HOST:PORT/SCHEMA. Empty when it is not known, since its URL "
                "lies in a Secret or in node.properties."
            ),
        ),
    ] = ""
    time: Annotated[AwareDatetime | None, Field(description="When schemagate took note of it.")] = None
    evidence: Annotated[
        Evidence,
        Field(
            description=(
                "How it is known that the migration is complete. Default: Job.\n"
                "- Job: schemagate's own Job succeeded, and its pod was checked.\n"
                "- Adopted: pods that migrated by themselves were fully rolled out.\n"
                "- External: the Job of an operator or Helm chart succeeded; weaker, since its maker is not "
                "known."
            )
        ),
    ] = Evidence.JOB
    job_uid: Annotated[
        str, Field(alias="jobUID", max_length=UID_LIMIT, description="The UID of the Job. Empty when adopted.")
    ] = ""
    pod_uid: Annotated[
        str,
        Field(
            alias="podUID",
            max_length=UID_LIMIT,
            description="The UID of the pod that migrated. Empty when adopted.",
        ),
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReference(Wire):
    """The Job of the attempt under way, or of the last one. ``uid`` is empty until the Job is created."""

    name: Annotated[
        str, Field(max_length=NAME_LIMIT, description="The name of the Job, in the namespace of the record.")
    ]
    uid: Annotated[
        str,
        Field(
            max_length=UID_LIMIT,
            description="The UID of the Job: only this one counts. Empty until it is created.",
        ),
    ] = ""
    hash: Annotated[
        str, Field(max_length=HASH_LIMIT, description="The hash that the Job migrates for, in 64 hex digits.")
    ] = ""
    attempts: Annotated[int, Field(description="The number of this attempt at the hash. Default: 1.")] = 1
    image: Annotated[str, Field(max_length=IMAGE_LIMIT, description="The Gateway image that the Job runs.")] = ""
    database: Annotated[
        str,
        Field(
            max_length=DATABASE_LIMIT,
            description=(
                "The database that the Job migrates, as HOST:PORT/SCHEMA; one Job at a time may. Empty when it "
                "is not known."
            ),
        ),
    ] = ""
    avoided: Annotated[
        str,
        Field(
            max_length=NAME_LIMIT,
            description=(
                "The name of a Job that is not ours and had taken the name that this attempt would have had. "
                "Find out who made it: its success counts for nothing."
            ),
        ),
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Wire):
    """Why a migration failed; ``log_tail`` is redacted. ``classification`` is ``class`` on the wire."""

    classification: Annotated[
        FailureClass,
        lenient(FailureClass, FailureClass.UNKNOWN),
        Field(
            alias="class",
            description=(
                "What kind of failure it is. Default: Unknown.\n"
                "- ImagePull: the image could not be pulled.\n"
                "- DatabaseUnreachable: the database did not answer.\n"
                "- AuthFailed: the database refused the credentials.\n"
                "- LockHeld: the Liquibase lock is held; release it, or set spec.clearLocks.\n"
                "- ChangesetFailed: a change to the schema failed.\n"
                "- DeadlineExceeded: spec.activeDeadlineSeconds was not enough.\n"
                "- Evicted: the pod was evicted.\n"
                "- EvidenceTampered: the pod that ran is not the one that the Job asked for.\n"
                "- InvalidInputs: the database cannot be told; nothing runs until what the message names is "
                "mended.\n"
                "- JobNotStarted: the Job's pod could not be created or started.\n"
                "- JobVanished: the Job was deleted while it ran.\n"
                "- Configuration: a Secret, ConfigMap or key that the pod needs is missing.\n"
                "- Unknown: none of these; see message and logTail."
            ),
        ),
    ] = FailureClass.UNKNOWN
    message: Annotated[
        str, Field(max_length=MESSAGE_LIMIT, description="What failed, in one line for people to read.")
    ] = ""
    log_tail: Annotated[
        str,
        Field(
            max_length=LOG_LIMIT,
            description="The last lines of the pod's log, without the credentials that were found in it.",
        ),
    ] = ""
