"""Rollouts that were turned away, in a record's status."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from webhook.policy.record.spec import Mode
from webhook.policy.record.wire import (
    BATCHES_KEPT,
    BYPASS_REASON_LIMIT,
    GROUP_LIMIT,
    GROUPS_KEPT,
    HASH_LIMIT,
    IMAGE_LIMIT,
    KEPT,
    REASON_LIMIT,
    UID_LIMIT,
    USER_LIMIT,
    Wire,
    lenient,
)


class RejectionDecision(StrEnum):
    """What was done about a rollout whose migration is not complete."""

    DENIED = "denied"
    HELD = "held"
    WARNED = "warned"
    NOTED = "noted"
    BYPASSED = "bypassed"


STOPPED: Final = frozenset({None, RejectionDecision.DENIED, RejectionDecision.HELD})
"""Decisions that kept a rollout from happening; None is what an older version wrote."""


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
            max_length=BATCHES_KEPT,
            description="UIDs of the newest batches of rejections counted in here, so that none counts twice.",
        ),
    ] = ()
