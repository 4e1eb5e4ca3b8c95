"""Conditions of a record, by metav1's rules: a time of transition that moves only when the status does.

Ready is what kstatus and people read: True when nothing has to be done, and False with a reason otherwise, which
kstatus takes for progress. Stalled is its word for what will not get on by itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.inputs import short
from webhook.policy.record import Condition, Phase, RecordStatus

FOREIGN_JOB = "ForeignJob"
"""Reason of a doubt: a Job that carries our labels and the wanted hash says Complete, and is not ours."""

JOB_NOT_CREATED = "JobNotCreated"
"""Reason of a doubt: the API server, a quota or another webhook refuses our Job; it is tried again for ever."""

_PROGRESSING = frozenset({Phase.PENDING, Phase.WAITING, Phase.RUNNING, Phase.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class Remarks:
    """What is to be said beside the phase: ``detail`` of what is waited for, ``doubt`` of what looks wrong.

    ``doubt`` is a reason and a message; it makes the record Degraded, and changes nothing else.
    """

    detail: str = ""
    doubt: tuple[str, str] | None = None


def with_conditions(
    status: RecordStatus, previous: RecordStatus, now: datetime, remarks: Remarks = Remarks()
) -> RecordStatus:
    """Give the status with its conditions; ``previous`` is what was stored before."""
    phase = status.phase or Phase.PENDING
    reason, message = _reason(status, phase), _message(status, phase)
    if remarks.detail:
        message = printable(f"{message}: {remarks.detail}", MESSAGE_LIMIT)
    settled = phase in {Phase.COMPLETE, Phase.DISABLED}
    states = {
        "Ready": settled,
        "MigrationComplete": phase is Phase.COMPLETE,
        "Progressing": phase in _PROGRESSING,
        "Degraded": phase is Phase.FAILED or remarks.doubt is not None,
        "Stalled": phase is Phase.FAILED,
    }
    told = dict.fromkeys(states, (reason, message))
    if remarks.doubt is not None and phase is not Phase.FAILED:
        told["Degraded"] = remarks.doubt
    before = {condition.type: condition for condition in previous.conditions}
    return replace(
        status,
        short_hash=short(status.spec_hash),
        conditions=tuple(
            _condition(
                Condition(
                    type=kind,
                    status="True" if on else "False",
                    reason=told[kind][0],
                    message=told[kind][1],
                    observed_generation=status.observed_generation,
                ),
                before.get(kind),
                now,
            )
            for kind, on in states.items()
        ),
    )


def _condition(condition: Condition, before: Condition | None, now: datetime) -> Condition:
    since = before.last_transition_time if before and before.status == condition.status else None
    return replace(condition, last_transition_time=since or now)


def _reason(status: RecordStatus, phase: Phase) -> str:
    if phase is Phase.FAILED and status.failure:
        return status.failure.classification.value
    return f"Migration{phase.value}"


def _message(status: RecordStatus, phase: Phase) -> str:
    if phase is Phase.DISABLED:
        return "nothing to migrate"
    if phase is Phase.FAILED and status.failure:
        return status.failure.message or "the migration failed"
    if not status.spec_hash:
        return f"the migration is {phase.value}"
    return f"migration {short(status.spec_hash)} of {status.image} is {phase.value}"
