"""What a user asks for in a record: what ``kubectl explain gwm.spec`` describes."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from webhook.policy.record.wire import IMAGE_LIMIT, Wire

JDBC_URL_PATTERN = r"^[ \t\r\n]*((?i:jdbc):([^#\x00-\x1f\x7f]*[^#\x00-\x20\x7f])?[ \t\r\n]*)?$"
"""Empty or a JDBC URL, at first sight; never stricter than ``database.jdbc``, which judges it later.

Read alike by Python and by the API server's CEL.
"""
JDBC_URL_ADVICE = (
    "write jdbc:mysql://HOST:3306/SCHEMA: it starts with jdbc: and has no '#' and no control characters"
)


class Mode(StrEnum):
    """What happens to a rollout whose migration is not complete."""

    REJECT = "Reject"
    HOLD = "Hold"
    WARN = "Warn"
    AUDIT = "Audit"


class Runner(StrEnum):
    """Who runs the migration Job."""

    SCHEMAGATE = "Schemagate"
    EXTERNAL = "External"


class FirstInstall(StrEnum):
    """Who migrates for a Deployment that does not exist yet."""

    MIGRATE = "Migrate"
    GATEWAY = "Gateway"


class Rollback(StrEnum):
    """What happens to a rollout that goes back to an image which was migrated before, but not last."""

    ALLOW = "Allow"
    DENY = "Deny"


class LogLevel(StrEnum):
    """``LIQUIBASE_LOG_LEVEL`` of a Gateway."""

    OFF = "off"
    FINE = "fine"
    INFO = "info"
    WARNING = "warning"
    SEVERE = "severe"


def _plausible(url: str) -> str:
    if re.match(JDBC_URL_PATTERN, url) is None:
        raise PydanticCustomError("jdbc_url", "{advice}", {"advice": JDBC_URL_ADVICE})
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSpec(Wire):
    """What the user asks for."""

    enabled: Annotated[
        bool,
        Field(
            description=(
                "Whether rollouts of the Deployment of this name are guarded. Default: true. When false, every "
                "rollout passes, no migration runs, a Deployment that schemagate paused is resumed and its Job "
                "is deleted, but never while it runs. Set it to false to take one Gateway out of schemagate's "
                "care."
            )
        ),
    ] = True
    jdbc_url: Annotated[
        str,
        Field(
            max_length=4096,
            description=(
                "The database to migrate, when the Job must reach it by another URL than the pods do: locks of "
                "MySQL do not survive a connection proxy, so a Gateway behind one needs the direct URL here. "
                "Default: empty, the SSG_DATABASE_JDBC_URL of the Deployment's own pods. Credentials in it are "
                "dropped, the pods' own are used, and createDatabaseIfNotExist=false is added. It is ignored, "
                "with a warning, where a mounted node.properties names the database (DISKLESS_CONFIG=false). "
                "Part of the hash: a change asks for a new migration."
            ),
        ),
        AfterValidator(_plausible),
    ] = ""
    clear_locks: Annotated[
        bool,
        Field(
            description=(
                "Whether the migration releases the Liquibase lock by force before it starts. Default: false. "
                "Set it when status.failure.class is LockHeld and it is certain that no other process migrates "
                "this database, and set it back afterwards. Part of the hash: a change asks for a new migration."
            )
        ),
    ] = False
    active_deadline_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=86400,
            description=(
                "How long the migration Job may take, in seconds from its start, all attempts of its pods and "
                "the pull of the image included; then Kubernetes ends it, and it counts as failed "
                "(DeadlineExceeded). Default: 300. Raise it for large databases, before the rollout: a Job ended "
                "amid its changes leaves the lock set. Part of the hash: a change asks for a new migration."
            ),
        ),
    ] = 300
    liquibase_log_level: Annotated[
        LogLevel | None,
        Field(
            description=(
                "How much Liquibase logs: LIQUIBASE_LOG_LEVEL of the migration Job and of new Gateway pods. "
                "Default: info for the Job, and pods are left as they are. From least to most it is off, severe, "
                "warning, info, fine; choose fine to find out what a migration does. Not part of the hash."
            )
        ),
    ] = None
    mode: Annotated[
        Mode | None,
        Field(
            description=(
                "What happens to a rollout whose migration is not complete. Default: that of the namespace's "
                "label schemagate.io/enforce, else the one that schemagate was started with (Reject if none was "
                "given).\n"
                "- Reject: the request is denied, with the command to run next; it passes once the migration is "
                "complete.\n"
                "- Hold: the Deployment is stored but paused, and resumed when the migration is complete. Choose "
                "it where a denied request is not sent again, and where a tool should wait rather than fail.\n"
                "- Warn: the rollout passes with a warning, and its pods migrate by themselves.\n"
                "- Audit: the rollout passes and is only on record: in status.rejections, Events, metrics and the "
                "audit log."
            )
        ),
    ] = None
    runner: Annotated[
        Runner | None,
        Field(
            description=(
                "Who runs the migration Job. Default: External where a Gateway resource asks its own operator for "
                "one (migrationJob.enabled is stored), else Schemagate.\n"
                "- Schemagate: schemagate makes the Job and checks the pod that ran.\n"
                "- External: an operator or Helm chart has a migration Job of its own; schemagate runs none and "
                "waits for that one to complete. Weaker evidence, since whoever may create Jobs may imitate it. "
                "Where that Job reaches the database by another URL than the pods, name it in jdbcUrl.\n"
                "Choose Schemagate where the other Job is not to be relied on, and has been turned off."
            )
        ),
    ] = None
    first_install: Annotated[
        FirstInstall | None,
        Field(
            description=(
                "Who migrates when the Deployment does not exist yet. Default: Migrate where a Gateway resource "
                "makes the Deployment, else Gateway.\n"
                "- Migrate: the first rollout waits for a migration like any other.\n"
                "- Gateway: the first pods migrate by themselves; there are no older pods to protect, and a Helm "
                "install that is refused can never converge."
            )
        ),
    ] = None
    rollback: Annotated[
        Rollback,
        Field(
            description=(
                "What happens to a rollout that goes back to an image whose migration is complete, but not the "
                "newest. Default: Allow.\n"
                "- Allow: it passes at once, with a warning that the schema is ahead of the image.\n"
                "- Deny: it is turned away as the mode says, though Hold denies it too: no migration is to wait "
                "for. Choose it where an older Gateway must never meet a newer schema; break-glass opens it. To "
                "take back a held rollout is such a way back, too, once another image was migrated: what runs "
                "cannot be seen from a Deployment that is paused."
            )
        ),
    ] = Rollback.ALLOW
    pod_attempts: Annotated[
        int,
        Field(
            ge=1,
            le=10,
            description=(
                "How often the pod of one migration Job is started before the Job fails. Default: 2. Pods that "
                "were evicted do not count. Use 1 where a failed changeset must be looked at before it is tried "
                "again."
            ),
        ),
    ] = 2
    image: Annotated[
        str,
        Field(
            max_length=IMAGE_LIMIT,
            description=(
                "The image that the Gateway is about to be upgraded to: its migration runs now, ahead of the "
                "rollout, which then passes at once. Default: empty, the image of the Gateway resource or of the "
                "held Deployment. Needed with Helm and plain Deployments in mode Reject, where a denied image is "
                "stored nowhere; a Gateway resource that moves on to another image wins."
            ),
        ),
    ] = ""
    gateway_version: Annotated[
        str,
        Field(
            max_length=64,
            description=(
                "The version of the Gateway, for images whose tag does not tell it (a digest, latest), such as "
                "11.2.2. Default: empty; a version that nobody tells counts as 11.2.2 or later. A tag that tells "
                "a version wins. Below 11.2.2 nothing is guarded: such a Gateway cannot skip its own migration."
            ),
        ),
    ] = ""
