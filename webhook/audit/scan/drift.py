"""Whether a ConfigMap changed under a Deployment or pod: told by the times that the API server notes."""

from datetime import datetime

from webhook.audit.scan.judgement import Judged, JudgedPod
from webhook.policy.record import Completion


def drifted(judged: Judged) -> str:
    """Say what drifted since the newest migration, for the image that was migrated; empty where nothing did."""
    governance, inputs = judged.governance, judged.inputs
    if governance is None or inputs is None or not judged.incomplete:
        return ""
    done = next(iter(governance.status.completed_hashes), None)
    if done is None or done.image != inputs.image:
        return ""
    changed = [
        name for name, stored in judged.config_maps.items() if stored and _later(stored.metadata.changed, done)
    ]
    if changed:
        return f"ConfigMap {', '.join(changed)} changed"
    moved = done.database and inputs.database and done.database != inputs.database
    return "the database was changed" if moved else ""


def changed_since(item: JudgedPod) -> bool:
    """Tell whether a ConfigMap changed after the pod was made: what it said then is not known any more."""
    created = _time(item.pod.metadata.creation_timestamp or "")
    changes = (_time(stored.metadata.changed) for stored in item.config_maps.values() if stored)
    return created is not None and any(at is not None and at > created for at in changes)


def _later(changed: str, done: Completion) -> bool:
    at = _time(changed)
    return at is not None and done.time is not None and at > done.time


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None
