"""Waiting for a migration: when it has ended, and how."""

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Protocol

import click

from webhook.cli.progress import Progress
from webhook.cli.standing import failure_lines, told
from webhook.errors import NotFoundError, UnreachableError
from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.inputs import short
from webhook.policy.record import FailureClass, Phase, Record

POLL_SECONDS = 1.0
GRACE_SECONDS = 15.0
"""How long a status may be about something else: the controller takes note of a Gateway or Deployment later."""
SPARE_SECONDS = 60
"""What a wait lasts beyond the deadline of the Job, which has to be made first and looked at afterwards."""
_LOG_EVERY = 2.0


@dataclass(frozen=True, slots=True)
class Goal:
    """What is waited for: the migration for an image, as it stands after a write.

    ``generation`` is the record's after the write, ``attempts`` the number of the attempt that failed before.
    """

    namespace: str
    name: str
    image: str
    generation: int
    attempts: int = -1

    def attained_by(self, record: Record) -> bool:
        """Tell whether the status is about this goal, and not about what was before."""
        status = record.status
        return status.observed_generation >= self.generation and status.image == self.image


@dataclass(frozen=True, slots=True)
class Ending:
    """How a wait ended: the exit code, and what to print."""

    code: int
    text: str


class Followed(Protocol):
    """What a wait asks of the cluster."""

    async def live_record(self, namespace: str, name: str) -> Record | None:
        """Give the record as it is stored now."""

    async def log_tail(self, record: Record) -> list[str]:
        """Give the last lines of its Job's log."""


def ending(record: Record, goal: Goal, waited: float) -> Ending | None:
    """Give how the migration ended, or None while it may still end otherwise; ``waited`` in seconds."""
    status, where = record.status, f"{goal.namespace}/{goal.name}"
    if status.observed_generation < goal.generation or status.phase in {None, Phase.SUPERSEDED}:
        return None
    if status.phase is Phase.DISABLED:
        why = "no database, or a Gateway too old to skip its own migration; a rollout passes"
        return Ending(0, f"{where}: nothing to migrate: {why}") if waited > GRACE_SECONDS else None
    if status.image != goal.image:
        text = f"{where}: what is wanted by now is {status.image}, not {goal.image}"
        return Ending(1, printable(text, MESSAGE_LIMIT)) if waited > GRACE_SECONDS else None
    what = f"{where}: migration {short(status.spec_hash)} for {status.image}"
    if status.phase is Phase.COMPLETE and status.complete:
        return Ending(0, printable(f"{what} is complete; a rollout passes now", MESSAGE_LIMIT))
    attempts = status.job.attempts if status.job else 0
    useless = status.failure is not None and status.failure.classification is FailureClass.INVALID_INPUTS
    if status.phase is Phase.FAILED and (attempts > goal.attempts or useless):
        return Ending(1, "\n".join([printable(f"{what} failed", MESSAGE_LIMIT), *failure_lines(record)]))
    return None


async def wait_for(cluster: Followed, goal: Goal, timeout: int) -> int:  # noqa: ASYNC109 # it is the user's
    """Follow a migration to its end, telling on stderr how it goes; gives the exit code.

    Lost connections are waited out. Whoever interrupts it is told that the migration goes on.
    """
    progress = Progress(terminal=sys.stderr.isatty())
    try:
        found = await _follow(cluster, goal, timeout, progress)
    except asyncio.CancelledError:
        progress.close()
        click.echo(f"interrupted; the migration goes on. {_look(goal)}", err=True)
        raise
    progress.close()
    click.echo(found.text)
    return found.code


async def _follow(cluster: Followed, goal: Goal, timeout: int, progress: Progress) -> Ending:  # noqa: ASYNC109
    started, looked = time.monotonic(), 0.0
    log: list[str] = []
    text = "nothing is known yet"
    while (waited := time.monotonic() - started) < timeout:
        try:
            record = await cluster.live_record(goal.namespace, goal.name)
        except UnreachableError as error:
            progress.tell(waited, f"the API server cannot be reached, trying on: {error}")
        else:
            if record is None:
                raise NotFoundError(f"the record {goal.namespace}/{goal.name} was deleted, and its Job with it")
            if (found := ending(record, goal, waited)) is not None:
                return found
            text = told(record) if goal.attained_by(record) else _not_yet(record, goal, waited)
            if record.status.phase is Phase.RUNNING and time.monotonic() - looked > _LOG_EVERY:
                looked, log = time.monotonic(), await cluster.log_tail(record)
            progress.tell(waited, f"{text} (deadline {record.spec.active_deadline_seconds} s)", log)
        await asyncio.sleep(min(POLL_SECONDS, max(0.0, started + timeout - time.monotonic())))
    where = f"{goal.namespace}/{goal.name}"
    return Ending(1, f"{where}: not complete within {timeout} s: {text}; the migration goes on. {_look(goal)}")


def _not_yet(record: Record, goal: Goal, waited: float) -> str:
    if record.status.phase is Phase.SUPERSEDED:
        return "the Job of other inputs runs to its end first"
    late = "; is schemagate's controller running?" if waited > GRACE_SECONDS else ""
    return f"waiting for the controller to take note of {goal.image}{late}"


def _look(goal: Goal) -> str:
    return f"Look after it: schemagate status {goal.name} -n {goal.namespace}"
