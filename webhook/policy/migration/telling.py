"""What is told of a migration beside its phase: remarks in conditions, and the Gateway resource's status."""

from webhook.policy.decision import printable
from webhook.policy.gateway_resource import MigrationStatus
from webhook.policy.inputs import short
from webhook.policy.migration.conditions import FOREIGN_JOB, JOB_NOT_CREATED, Remarks
from webhook.policy.migration.observed import Mirror, Observed, Refusal, Step, rolls_out
from webhook.policy.record import Phase, RecordStatus, Runner

_DOUBT_LIMIT = 512


def mirrored(observed: Observed, status: RecordStatus) -> tuple[Step, ...]:
    """Tell the Gateway resource, where it has room for it and no other writes there."""
    governance = observed.governance
    if observed.mirror is None or governance is None or governance.runner is not Runner.SCHEMAGATE:
        return ()
    wanted = MigrationStatus(short(status.spec_hash), status.complete)
    return (Mirror(wanted),) if status.spec_hash and observed.mirror != wanted else ()


def remarks(observed: Observed, status: RecordStatus) -> Remarks:
    """Say what is waited for, and what looks forged."""
    detail, doubt = "", None
    refused = _refused(observed, status)
    if status.phase is Phase.WAITING and observed.busy:
        detail = f"{observed.busy} migrates the same database"
    elif status.phase is Phase.PENDING and observed.external_problem:
        detail = observed.external_problem
    elif status.phase is Phase.PENDING and observed.awaited:
        detail = f"waits for ConfigMap {', '.join(observed.awaited)}"
    elif status.phase is Phase.PENDING and rolls_out(observed, status.spec_hash):
        detail = "its pods roll out already, and migrate by themselves"
    elif refused is not None:
        detail = refused.said
    elif status.phase is Phase.RUNNING and observed.job is not None and observed.job.obstacle:
        detail = observed.job.obstacle
    if refused is not None:
        doubt = (JOB_NOT_CREATED, printable(refused.said, _DOUBT_LIMIT))
    elif observed.impostors and not status.complete:
        named = ", ".join(observed.impostors)
        said = f"Job {named} is not ours, whatever it says; it counts for nothing"
        doubt = (FOREIGN_JOB, printable(said, _DOUBT_LIMIT))
    elif status.job is not None and status.job.avoided and not status.complete:
        doubt = ("JobNameTaken", f"the name {status.job.avoided} is taken by a Job that is not ours")
    return Remarks(detail, doubt)


def _refused(observed: Observed, status: RecordStatus) -> Refusal | None:
    """Give the refusal of the very Job that the status is about to make."""
    refused = observed.refused
    told = refused is not None and status.job is not None and status.job.name == refused.job
    return refused if told and status.phase is Phase.PENDING else None
