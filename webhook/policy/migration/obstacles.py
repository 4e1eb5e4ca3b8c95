"""Why the pod of a migration Job does not run: told while it waits, and remembered when it never did."""

from webhook.policy.decision import printable
from webhook.policy.migration.job_views import JobPod
from webhook.policy.migration.redaction import redact

LIMIT = 300

# States that every pod passes through; they say nothing.
_PASSING = frozenset({"", "ContainerCreating", "PodInitializing"})


def obstacle_of(pod: JobPod) -> str:
    """Give ``REASON: what was said``, one line without credentials; empty when the pod runs or has ended."""
    status = pod.status
    if status.phase in {"Succeeded", "Failed"}:
        return ""
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        waiting = container.state.waiting
        if waiting is not None and waiting.reason not in _PASSING:
            return obstacle(waiting.reason, waiting.message)
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return obstacle(condition.reason or "Unschedulable", condition.message)
    return ""


def obstacle(reason: str, message: str) -> str:
    """Put a reason and what was said of it into one line."""
    said = f": {redact(message)}" if message else ""
    return printable(f"{reason}{said}", LIMIT)
