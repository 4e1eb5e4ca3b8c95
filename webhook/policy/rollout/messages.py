"""What a person reads when a rollout is turned away: what, why, and the one command to run next."""

import shlex
from dataclasses import replace

import msgspec

from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.migration.external import external_name
from webhook.policy.names import GATEWAY_CONTAINER
from webhook.policy.reasons import Reason
from webhook.policy.record import Mode, Phase, Rollback, Runner
from webhook.policy.rollout.change import Rollout

_FAILURE_LIMIT = 300
"""Longest part of a failure's message: the command behind it must not be cut off."""


def blocked(rollout: Rollout, governance: Governance, reason: Reason) -> str:
    """Give the message of a denial: one printable line that stands alone, at most 1024 characters."""
    change = rollout.change
    subject = f"rollout of deployment {change.namespace}/{change.name}"
    if reason is Reason.GATEWAY_CONTAINER_LOST:
        text = (
            f"{subject} is blocked: it takes the Gateway container out of a governed Deployment; keep container"
            f"{_lost(rollout)} with its license or annotation, or end the guard first: "
            f"{_patch(rollout, {'enabled': False})}"
        )
    elif rollout.inputs is None:
        text = f"{subject} is blocked: {reason.meaning}"
    elif reason is Reason.INVALID_INPUTS:
        text = f"{subject} is blocked: {governance.problem_with(rollout.inputs)}"
    elif reason is Reason.ROLLBACK_REFUSED:
        text = (
            f"{subject} to {rollout.inputs.image} is blocked: {_ahead(rollout.inputs, governance)}, and the "
            "record denies rollbacks; roll forward, or allow them: "
            f"{_patch(rollout, {'rollback': Rollback.ALLOW.value})}"
        )
    else:
        text = (
            f"{subject} to {rollout.inputs.image} is blocked: migration {short(rollout.inputs.spec_hash)} "
            f"{_state(rollout.inputs, governance)}; {_next(rollout, rollout.inputs, governance, reason)}"
        )
    return printable(text, MESSAGE_LIMIT)


def _ahead(inputs: MigrationInputs, governance: Governance) -> str:
    newest = governance.ahead_of(inputs)
    at = f"{short(newest.hash)}{f' ({newest.image})' if newest.image else ''}" if newest else "another hash"
    return f"the schema is at {at}, ahead of {short(inputs.spec_hash)}"


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
    """Give what to do next; a command is one that leads on from here, whatever else is done."""
    change = rollout.change
    current = _current(inputs, governance)
    if reason is Reason.HOLD_NOT_APPLIED:
        return "mode is Hold but the Deployment is not paused, try again: the mutating webhook was not reached"
    if not change.main and not _announced(rollout, inputs, governance):
        return _of_another_container(rollout)
    if governance.runner is Runner.EXTERNAL:
        return _next_of_another(rollout, inputs, governance)
    if current and governance.status.phase is Phase.FAILED:
        return f"mend it, then: schemagate retry {change.name} -n {change.namespace} --wait"
    if _announced(rollout, inputs, governance):
        return f"the migration is on its way, watch it: {_watch(rollout)}"
    if change.old is not None and _by_image(rollout, inputs):
        return f"start it: {_migrate(rollout, inputs)} --wait"
    return _hold(rollout)


def _lost(rollout: Rollout) -> str:
    old = rollout.change.old
    return f" {old.gateway.name}" if old is not None and old.gateway is not None else ""


def _of_another_container(rollout: Rollout) -> str:
    """Give what to do where a container waits that nothing is ever migrated for."""
    new = rollout.change.new
    own = gateway_container(new.template.spec, (new.meta,))
    name = new.gateway.name if new.gateway is not None else ""
    return (
        f"these are the inputs of container {name}, and nothing is migrated but for container "
        f"{own.name if own is not None else 'none'}; take the database's URL from {name}, or name the one that is "
        f"the Gateway in {GATEWAY_CONTAINER}"
    )


def _next_of_another(rollout: Rollout, inputs: MigrationInputs, governance: Governance) -> str:
    """Give what to do next where an operator or chart runs the Job: nothing of ours would start another.

    It counts for what is announced alone, so that what is not has to be announced here too.
    """
    change = rollout.change
    job = external_name(change.name)
    if _current(inputs, governance) and governance.status.phase is Phase.FAILED:
        # Operator and chart make theirs anew once it is gone; a retry would ask for one of ours.
        return f"mend it, then: kubectl delete job {job} -n {change.namespace}"
    waiting = f"waiting for the operator's or chart's own migration Job {job}"
    if _announced(rollout, inputs, governance):
        return f"{waiting}, watch it: {_watch(rollout)}"
    if change.old is not None and _by_image(rollout, inputs):
        return f"{waiting}; say what it migrates for: {_migrate(rollout, inputs)}"
    return f"{waiting}; {_hold(rollout)}"


def _current(inputs: MigrationInputs, governance: Governance) -> bool:
    return governance.status.spec_hash == inputs.spec_hash


def _announced(rollout: Rollout, inputs: MigrationInputs, governance: Governance) -> bool:
    """Tell whether the controller knows already that these inputs are wanted."""
    # As long as there is no Deployment, a Gateway resource alone tells how to migrate.
    record = governance.announced if rollout.change.old is not None else ""
    announced = inputs.image in {record, governance.gateway_image}
    return _current(inputs, governance) or (announced and _by_image(rollout, inputs))


def _by_image(rollout: Rollout, inputs: MigrationInputs) -> bool:
    """Tell whether nothing but the image changes; of what is new there is nothing else that could."""
    if rollout.change.old is None:
        return True
    old = rollout.old_inputs
    return old is not None and _with_image(old, inputs.image) == inputs.spec_hash


def _hold(rollout: Rollout) -> str:
    # The controller migrates for stored templates, and of a refused one it knows nothing but the image.
    more = "the Deployment is new" if rollout.change.old is None else "more than the image changes"
    return (
        f"{more}, which only a stored template can announce; hold it there, and apply it again: "
        f"{_patch(rollout, {'mode': Mode.HOLD.value})}"
    )


def _watch(rollout: Rollout) -> str:
    return f"schemagate status {rollout.change.name} -n {rollout.change.namespace}"


def _migrate(rollout: Rollout, inputs: MigrationInputs) -> str:
    change = rollout.change
    return f"schemagate migrate {change.name} -n {change.namespace} --image {shlex.quote(inputs.image)}"


def _with_image(inputs: MigrationInputs, image: str) -> str:
    return replace(inputs, image=image).spec_hash


def _patch(rollout: Rollout, spec: dict[str, str | bool]) -> str:
    body = shlex.quote(msgspec.json.encode({"spec": spec}).decode())
    return f"kubectl patch gwm {rollout.change.name} -n {rollout.change.namespace} --type merge -p {body}"
