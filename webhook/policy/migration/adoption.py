"""Adoption: taking what runs for complete, since its pods migrated by themselves."""

from webhook.policy.inputs import MigrationInputs
from webhook.policy.migration.noting import completed
from webhook.policy.migration.observed import Observed, awaits_first_pods
from webhook.policy.record import Completion, Evidence, RecordStatus


def adopt(observed: Observed) -> RecordStatus:
    """Take what runs for complete: once as the baseline, later only where pods migrated by themselves.

    Later it takes a rollout, which brings another image. Otherwise a database that a ConfigMap changed under
    running pods would count as migrated by them; what changed before we came is told by its time (``outdated``).
    """
    target, status = observed.target, observed.record.status
    running = target.running if target else None
    if target is None or running is None or running.problem or not target.settled or observed.outdated:
        return status
    if status.completion(running.spec_hash) is not None:
        return status
    baseline = _unknown(observed, running) and not observed.skipping
    rolled_out = all(done.image != running.image for done in status.completed_hashes)
    if not baseline and not (observed.self_migrated and rolled_out):
        return status
    done = Completion(
        hash=running.spec_hash,
        image=running.image,
        database=running.database or "",
        time=observed.now,
        evidence=Evidence.ADOPTED,
    )
    return completed(status, done)


def _unknown(observed: Observed, inputs: MigrationInputs) -> bool:
    """Tell whether the record is new, or has done nothing yet but wait for the first pods of these inputs."""
    status = observed.record.status
    waited = awaits_first_pods(observed, status) and status.spec_hash == inputs.spec_hash
    return not status.completed_hashes and (not status.spec_hash or waited)
