"""What the rollouts of one Gateway wait for, in one line, and what to do next. It asks nobody."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from webhook.policy.decision import MESSAGE_LIMIT
from webhook.policy.governance import Governance
from webhook.policy.inputs import short
from webhook.policy.migration.notices import next_step
from webhook.policy.reasons import BEYOND_MIGRATION, Reason
from webhook.policy.record import STOPPED, Phase, Record, RecordStatus, Rejection
from webhook.policy.redaction import safe


class State(StrEnum):
    """How one Gateway stands, most urgent first (closed set). ``meaning`` is a sentence for a legend."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> "State":
        """Make a member that carries its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    FAILED = "Failed", "The migration failed; rollouts wait until somebody mends it."
    BLOCKED = "Blocked", "A rollout was turned away, and no migration runs for it."
    AGAIN = "Send again", "The migration is complete; the rollout that was turned away has to be sent again."
    RUNNING = "Running", "The migration runs; the rollout passes when it is done."
    WAITING = "Waiting", "The migration is about to run, or follows another one of the same database."
    UNGOVERNED = "Ungoverned", "Nothing asks schemagate to guard it."
    READY = "Ready", "What is wanted is migrated; rollouts pass."
    OFF = "Off", "There is nothing to migrate, or its record turns the guard off."

    @property
    def needs_somebody(self) -> bool:
        """Whether nothing moves until a person does something."""
        return self in {State.FAILED, State.BLOCKED, State.AGAIN}

    @property
    def waits(self) -> bool:
        """Whether a rollout waits, for a person or for a migration."""
        return self.needs_somebody or self in {State.RUNNING, State.WAITING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What a Gateway waits for: ``line`` and ``next_step`` are printable and hold no credentials.

    ``since`` is None where that is not known. ``image`` is the one that is waited for, empty where none is.
    """

    state: State
    line: str
    next_step: str = ""
    since: datetime | None = None
    image: str = ""


_ANNOUNCED = {Reason.MIGRATION_PENDING, Reason.MIGRATION_RUNNING, Reason.MIGRATION_FAILED}
_UNDER_WAY: Mapping[Phase, str] = {
    Phase.PENDING: "its migration is about to begin",
    Phase.WAITING: "another migration of the same database runs",
    Phase.RUNNING: "its migration runs",
    Phase.SUPERSEDED: "the migration of other inputs runs to its end first",
}


def is_open(entry: Rejection) -> bool:
    """Tell whether a rollout was really turned away, and has not come to an end since."""
    return entry.ended is None and entry.decision in STOPPED


def wait_of(
    namespace: str, name: str, record: Record | None, governance: Governance | None, *, database: bool = True
) -> Wait:
    """Give how a Gateway stands.

    ``governance`` is None where nothing asks for it, or its record turns it off; ``database`` says whether it
    keeps a schema in one.
    """
    if governance is None:
        if record is None and not database:
            return Wait(state=State.OFF, line="it keeps no schema in MySQL")
        if record is None:
            return Wait(state=State.UNGOVERNED, line="nothing asks schemagate to guard it")
        return Wait(state=State.OFF, line="its record turns the guard off")
    status = governance.status
    if status.phase is Phase.FAILED:
        return _failed(namespace, name, status)
    if status.phase is not None and status.phase in _UNDER_WAY:
        return _under_way(status, status.phase)
    turned_away = [entry for entry in status.rejections.newest if is_open(entry)]
    if turned_away:
        return _turned_away(namespace, name, status, turned_away[0])
    if status.phase is None:
        line = "the controller has not looked at it yet"
        return Wait(
            state=State.WAITING, line=line, next_step="wait a moment; else see whether the controller runs"
        )
    if status.phase is Phase.COMPLETE:
        done = status.completion(status.spec_hash)
        return Wait(state=State.READY, line="rollouts pass", since=done.time if done else None)
    return Wait(state=State.OFF, line="nothing to migrate")


def _failed(namespace: str, name: str, status: RecordStatus) -> Wait:
    failure, line, step = status.failure, "the migration failed", f"schemagate retry {name} -n {namespace}"
    if failure is not None:
        line = f"{failure.classification.value}: {failure.message or line}"
        step = next_step(status, failure.classification, namespace, name)
    return Wait(
        state=State.FAILED, line=_safe(line), next_step=step, since=_since(status, "Degraded"), image=status.image
    )


def _under_way(status: RecordStatus, phase: Phase) -> Wait:
    line = _UNDER_WAY[phase]
    said = next((item.message for item in status.conditions if item.type == "Progressing"), "")
    # Beside the phase the condition says who has the database, or what a pod waits for.
    detail = said.partition(f" is {phase.value}: ")[2]
    if phase in {Phase.RUNNING, Phase.SUPERSEDED} and status.job:
        attempt = f", attempt {status.job.attempts}" if status.job.attempts > 1 else ""
        line = f"{line}: Job {status.job.name}{attempt}"
    if detail:
        line = detail if phase is Phase.WAITING else f"{line}: {detail}"
    running = phase is Phase.RUNNING
    return Wait(
        state=State.RUNNING if running else State.WAITING,
        line=_safe(line),
        next_step="wait for it",
        since=(status.start_time if running else None) or _since(status, "Progressing"),
        image=status.image,
    )


def _turned_away(namespace: str, name: str, status: RecordStatus, entry: Rejection) -> Wait:
    if entry.passes:
        done = next((done for done in status.completed_hashes if short(done.hash) == entry.hash), None)
        line = "the rollout passes now, and was not sent again"
        return Wait(
            state=State.AGAIN,
            line=f"migrated; {line}" if done else line,
            next_step="apply it once more, as it was applied before",
            since=done.time if done else entry.last,
            image=entry.to_image,
        )
    step = f"schemagate status {name} -n {namespace}"
    if entry.reason in _ANNOUNCED and entry.from_image and entry.to_image:
        step = f"schemagate migrate {name} -n {namespace} --image {shlex.quote(entry.to_image)} --wait"
    lacks = "no migration lets it pass" if entry.reason in BEYOND_MIGRATION else "no migration runs for it"
    return Wait(
        state=State.BLOCKED,
        line=_safe(f"turned away {_times(entry.count)} ({entry.reason}); {lacks}"),
        next_step=_safe(step),
        since=entry.first,
        image=entry.to_image,
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _since(status: RecordStatus, kind: str) -> datetime | None:
    return next((item.last_transition_time for item in status.conditions if item.type == kind), None)


def _safe(text: str) -> str:
    return safe(text, MESSAGE_LIMIT)
