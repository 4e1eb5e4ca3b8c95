"""Which completion on record stands for which inputs."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile

from webhook.policy.inputs import MigrationInputs
from webhook.policy.record import Completion, RecordSpec, RecordStatus


def completion_of(status: RecordStatus, inputs: MigrationInputs) -> Completion | None:
    """Give the completion of exactly these inputs, or one that the schema has left behind.

    Once another image took the schema further, how the Job ran is no matter any more: a lock to be cleared or a
    deadline that was raised for the next migration must not bar the way back.
    """
    return status.completion(inputs.spec_hash) or _left_behind(status, inputs)


def ahead_of(status: RecordStatus, done: Completion) -> Completion | None:
    """Give the completion that took the schema of its database further than this one of the status, or None.

    Another database has another schema, and the same image brings the same changes, whatever else differs.
    """
    newest = next(item for item in status.completed_hashes if item.database == done.database)
    same = newest.hash == done.hash or (newest.image == done.image != "")
    return None if same else newest


def _left_behind(status: RecordStatus, inputs: MigrationInputs) -> Completion | None:
    """Give the completion of the same image on the same known database, if another image came after it."""
    if not inputs.database:
        return None
    done = next(filter(None, map(status.completion, _otherwise_run(inputs))), None)
    if done is None or (done.image, done.database) != (inputs.image, inputs.database):
        return None
    later = takewhile(lambda item: item is not done, status.completed_hashes)
    moved = any(item.database == done.database and item.image not in {"", done.image} for item in later)
    return done if moved else None


def _otherwise_run(inputs: MigrationInputs) -> Iterator[str]:
    """Give the hashes of inputs that differ in nothing but how their Job ran.

    A hash does not tell its deadline: one that was neither this one nor the default is not found.
    """
    for deadline in dict.fromkeys((inputs.active_deadline_seconds, RecordSpec().active_deadline_seconds)):
        for clear in (inputs.clear_locks, not inputs.clear_locks):
            yield replace(inputs, clear_locks=clear, active_deadline_seconds=deadline).spec_hash
