"""Why the pod of a migration Job does not run: told while it waits, and remembered when it never did.

Told, and no more: who may write Events or pods chooses these words, so nothing is decided by them.
"""

import re
from collections.abc import Iterable

from webhook.policy.decision import printable
from webhook.policy.migration.job_views import JobEvent, JobPod
from webhook.policy.redaction import safe

LIMIT = 300
_READ_LIMIT = 1024
"""Of what was said, so much is looked at: the longest note of an Event."""

# States that every pod passes through; they say nothing.
_PASSING = frozenset({"", "ContainerCreating", "PodInitializing"})


_CREATED, _NOT_CREATED = "SuccessfulCreate", "FailedCreate"
# What the Job controller says first, and the end of a pod's name, which every try has anew: with it in the message
# each try would be another status.
_TRIED = re.compile(r"^Error creating: ")
_POD_NAME = re.compile(r'(pods? "[^"\s]{1,253}-)[a-z0-9]{5}(?=")')


def has_ended(pod: JobPod) -> bool:
    """Tell whether the pod has run, or will never."""
    return pod.status.phase in {"Succeeded", "Failed"}


def obstacle_of(pod: JobPod) -> str:
    """Give ``REASON: what was said``, one line without credentials; empty when the pod runs or has ended."""
    if has_ended(pod):
        return ""
    status = pod.status
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        waiting = container.state.waiting
        if waiting is not None and waiting.reason not in _PASSING:
            return obstacle(waiting.reason, waiting.message)
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return obstacle(condition.reason or "Unschedulable", condition.message)
    return ""


def obstacle_of_job(events: Iterable[JobEvent]) -> str:
    """Give why a Job has no pod, by what the Job controller told of it; empty when its last try made one."""
    tries = (event for event in events if event.reason in {_CREATED, _NOT_CREATED})
    # Of one second, the one that was made: asking again later costs less than telling what is over.
    last = max(tries, key=lambda event: (event.deprecated_last_timestamp or "", event.reason), default=None)
    if last is None or last.reason == _CREATED:
        return ""
    return obstacle(last.reason, _POD_NAME.sub(r"\1…", _TRIED.sub("", last.note)))


def obstacle(reason: str, message: str) -> str:
    """Put a reason and what was said of it into one line."""
    said = f": {safe(message, LIMIT, _READ_LIMIT)}" if message else ""
    return printable(f"{reason}{said}", LIMIT)
