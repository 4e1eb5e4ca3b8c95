"""What a person reads when a rollout is turned away: what, why, and the one command to run next."""

import shlex

from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.reasons import Reason
from webhook.policy.record import Phase
from webhook.policy.rollout.change import Rollout

_FAILURE_LIMIT = 300
"""Longest part of a failure's message: the command behind it must not be cut off."""


def blocked(rollout: Rollout, governance: Governance, reason: Reason) -> str:
    """Give the message of a denial: one printable line that stands alone, at most 1024 characters."""
    change = rollout.change
    subject = f"rollout of deployment {change.namespace}/{change.name}"
    if reason is Reason.GATEWAY_CONTAINER_LOST:
        text = (
            f"{subject} is blocked: it takes the Gateway container out of a governed Deployment; keep it, or "
            f"end the guard first: kubectl patch gwm {change.name} -n {change.namespace} --type merge "
            """-p '{"spec":{"enabled":false}}'"""
        )
    elif rollout.inputs is None:
        text = f"{subject} is blocked: {reason.meaning}"
    elif reason is Reason.INVALID_INPUTS:
        text = f"{subject} is blocked: {rollout.inputs.problem or governance.problem}"
    else:
        text = (
            f"{subject} to {rollout.inputs.image} is blocked: migration {short(rollout.inputs.spec_hash)} "
            f"{_state(rollout.inputs, governance)}; {_next(rollout, rollout.inputs, governance, reason)}"
        )
    return printable(text, MESSAGE_LIMIT)


def _state(inputs: MigrationInputs, governance: Governance) -> str:
    status = governance.status
    if status.spec_hash != inputs.spec_hash or status.phase is None:
        return "has not run"
    job = f", Job {status.job.name}" if status.job else ""
    if status.phase is Phase.FAILED and status.failure:
        failure = status.failure
        said = f": {printable(failure.message, _FAILURE_LIMIT)}" if failure.message else ""
        return f"is {status.phase} ({failure.classification}{said}{job})"
    return f"is {status.phase}{job}"


def _next(rollout: Rollout, inputs: MigrationInputs, governance: Governance, reason: Reason) -> str:
    name, namespace = rollout.change.name, rollout.change.namespace
    current = governance.status.spec_hash == inputs.spec_hash
    if reason is Reason.HOLD_NOT_APPLIED:
        return "mode is Hold but the Deployment is not paused, try again: the mutating webhook was not reached"
    if current and governance.status.phase is Phase.FAILED and governance.status.job:
        return f"mend it, then: kubectl delete job {governance.status.job.name} -n {namespace}"
    if current or governance.announced == inputs.image:
        return f"the migration is on its way, watch it: kubectl get gwm {name} -n {namespace} -w"
    return f"start it: schemagate migrate {name} -n {namespace} --image {shlex.quote(inputs.image)} --wait"
