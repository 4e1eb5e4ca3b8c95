"""How a record stands, in words, and under names that stay for programs. It asks nobody."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from webhook.policy.decision import MESSAGE_LIMIT
from webhook.policy.migration.notices import next_step
from webhook.policy.record import Phase, Record
from webhook.policy.redaction import safe

Row = Mapping[str, Any]


def row(record: Record) -> Row:
    """Give all that is shown of a record; keys stay, what is unknown is None or empty."""
    spec, status = record.spec, record.status
    done = status.completion(status.spec_hash)
    return {
        "namespace": record.namespace,
        "name": record.name,
        "phase": status.phase.value if status.phase else None,
        "complete": status.complete,
        "hash": status.spec_hash or None,
        "image": status.image or None,
        "jdbcUrl": _safe(status.jdbc_url) or None,
        "clearLocks": spec.clear_locks,
        "activeDeadlineSeconds": spec.active_deadline_seconds,
        "announced": spec.image or None,
        "enabled": spec.enabled,
        "mode": spec.mode.value if spec.mode else None,
        "runner": spec.runner.value if spec.runner else None,
        "managed": record.managed,
        "evidence": done.evidence.value if done else None,
        "since": _since(record),
        "message": told(record),
        "next": _next(record),
        "job": {"name": status.job.name, "uid": status.job.uid, "attempts": status.job.attempts}
        if status.job
        else None,
        "failure": {
            "class": status.failure.classification.value,
            "message": _safe(status.failure.message),
            "logTail": [_safe(line) for line in status.failure.log_tail.splitlines()],
        }
        if status.failure
        else None,
        "completed": [
            {"hash": item.hash, "image": item.image, "evidence": item.evidence.value, "time": item.time}
            for item in status.completed_hashes
        ],
        "conditions": [
            {
                "type": item.type,
                "status": item.status,
                "reason": item.reason,
                "message": _safe(item.message),
                "since": item.last_transition_time,
            }
            for item in status.conditions
        ],
        "rejected": status.rejections.count,
        "rejections": [
            {
                "hash": item.hash,
                "reason": item.reason,
                "user": item.user,
                "from": item.from_image,
                "to": item.to_image,
                "times": item.count,
                "last": item.last,
            }
            for item in status.rejections.newest
        ],
    }


def told(record: Record) -> str:
    """Give in one line how a record stands, as its conditions say."""
    status = record.status
    said = next((item.message for item in status.conditions if item.type == "Ready"), "")
    if not said:
        return "the controller has not looked at it yet"
    job = f", Job {status.job.name}" if status.job and status.phase is Phase.RUNNING else ""
    return _safe(f"{said}{job}")


def failure_lines(record: Record) -> list[str]:
    """Give class and message of a failure, the end of the log, and what to do next."""
    failure = record.status.failure
    if failure is None:
        return [f"next: {_next(record)}"]
    lines = [f"{failure.classification.value}: {_safe(failure.message) or 'nothing more is known'}"]
    lines += [f"  | {_safe(line)}" for line in failure.log_tail.splitlines()]
    return [*lines, f"next: {_next(record)}"]


def _since(record: Record) -> datetime | None:
    """Give when the record last became ready, or ceased to be, or began to move."""
    times = [item.last_transition_time for item in record.status.conditions if item.last_transition_time]
    return max(times, default=None)


def _next(record: Record) -> str:
    """Give the one thing to do next."""
    status, where = record.status, f"{record.name} -n {record.namespace}"
    match status.phase:
        case None:
            return "wait a moment; if this stays so, see whether schemagate's controller runs"
        case Phase.COMPLETE:
            return "nothing; a rollout passes"
        case Phase.DISABLED:
            return "nothing; a rollout passes" if record.spec.enabled else "nothing; it is disabled"
        case Phase.FAILED if status.failure is not None:
            return next_step(status, status.failure.classification, record.namespace, record.name)
        case Phase.FAILED:
            return f"schemagate retry {where}"
        case Phase.SUPERSEDED:
            # The image that the status names is that of the old Job: to announce it would lead back.
            return f"wait: the old Job ends first; then see: schemagate status {where}"
    return f"wait for it: schemagate migrate {where} --image {status.image} --wait"


def _safe(text: str) -> str:
    return safe(text, MESSAGE_LIMIT)
