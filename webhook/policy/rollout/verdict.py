"""The verdict on a Deployment request: an ordered list of checks, the first that speaks wins.

To add a check: write a function that takes a Rollout and gives a Decision or None, put it into CHECKS where it
belongs, give it a Reason, and add a golden case.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from webhook.policy.decision import MESSAGE_LIMIT, WARNING_LIMIT, Decision, printable
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.names import FIRST_SUPPORTED, HELD
from webhook.policy.reasons import Reason
from webhook.policy.record import FirstInstall, Mode, Phase, Rollback
from webhook.policy.rollout import messages
from webhook.policy.rollout.change import Rollout

Check = Callable[[Rollout], Decision | None]


def decide(rollout: Rollout) -> Decision:
    """Judge a rollout. Total: the last check always speaks."""
    for check in CHECKS:
        decision = check(rollout)
        if decision is not None:
            return decision
    raise AssertionError("the last check decides every rollout")


def not_judged(rollout: Rollout) -> Decision | None:
    """Other operations than create and update, and objects on their way out, are none of our business."""
    going = any(meta.deletion_timestamp for meta in rollout.change.metas)
    return _allow(rollout, Reason.NOT_JUDGED, "not_judged") if going or not rollout.change.judged else None


def not_a_gateway(rollout: Rollout) -> Decision | None:
    """Without a gateway container before or after there is nothing to guard."""
    change = rollout.change
    gone = change.new.gateway is None
    if not change.loses_gateway:
        return _allow(rollout, Reason.NOT_A_GATEWAY, "not_a_gateway") if gone else None
    if rollout.governance is None:
        return _allow(rollout, Reason.NOT_GOVERNED, "not_a_gateway")
    if rollout.old_inputs is None:
        return _allow(rollout, Reason.NO_DATABASE, "not_a_gateway") if gone else None
    # Neither renaming the container away nor hiding what it is known by is a way around the gate.
    return _blocked(rollout, rollout.governance, Reason.GATEWAY_CONTAINER_LOST, "not_a_gateway")


def not_governed(rollout: Rollout) -> Decision | None:
    """Nobody asked."""
    return _allow(rollout, Reason.NOT_GOVERNED, "not_governed") if rollout.governance is None else None


def template_unchanged(rollout: Rollout) -> Decision | None:
    """Scaling, annotations and an operator's no-op patches start no pod of another kind."""
    unchanged = not rollout.change.starts_pods
    return _allow(rollout, Reason.TEMPLATE_UNCHANGED, "template_unchanged") if unchanged else None


def no_database(rollout: Rollout) -> Decision | None:
    """Without a schema in MySQL there is nothing to migrate."""
    return _allow(rollout, Reason.NO_DATABASE, "no_database") if rollout.inputs is None else None


def inputs_unchanged(rollout: Rollout) -> Decision | None:
    """A restart, other Java arguments or other resources need no migration."""
    if rollout.inputs != rollout.old_inputs or rollout.change.resumes:
        return None
    return _allow(rollout, Reason.INPUTS_UNCHANGED, "inputs_unchanged", _moved(*_judged(rollout)))


def unsupported_version(rollout: Rollout) -> Decision | None:
    """Older Gateways ignore the modes, so that their pods migrate by themselves as ever."""
    inputs, governance = _judged(rollout)
    version = governance.too_old(inputs)
    if version is None:
        return None
    first = ".".join(str(part) for part in FIRST_SUPPORTED)
    warning = f"schemagate: Gateway {version} is older than {first} and migrates its database at start, unguarded"
    return _allow(rollout, Reason.UNSUPPORTED_GATEWAY_VERSION, "unsupported_version", warning)


def migration_complete(rollout: Rollout) -> Decision | None:
    """What is migrated may start."""
    inputs, governance = _judged(rollout)
    if governance.completed(inputs) is None or governance.ahead_of(inputs) is not None:
        return None
    return _allow(rollout, Reason.MIGRATION_COMPLETE, "migration_complete")


def rolled_back(rollout: Rollout) -> Decision | None:
    """What was migrated earlier may start too, since an emergency never waits, unless its record says no.

    Even so a resume of what was paused goes back to nothing: its template was judged when it came.
    """
    inputs, governance = _judged(rollout)
    newest = governance.ahead_of(inputs)
    if newest is None:
        return None
    if governance.spec.rollback is Rollback.DENY and inputs != rollout.old_inputs:
        honoured = rollout.bypass is not None and rollout.bypass_refusal is None
        return None if honoured else _blocked(rollout, governance, Reason.ROLLBACK_REFUSED, "rolled_back")
    warning = (
        f"schemagate: rolled back to {short(inputs.spec_hash)}; the schema is at {short(newest.hash)}, ahead of it"
    )
    return _allow(rollout, Reason.ROLLED_BACK, "rolled_back", warning)


def held(rollout: Rollout) -> Decision | None:
    """A paused Deployment starts no pod; what we paused goes on for the container alone that is migrated for."""
    change = rollout.change
    waits = change.new.paused and (change.main or change.new.meta.annotation(HELD) is None)
    return _allow(rollout, Reason.HELD, "held") if waits else None


def first_install(rollout: Rollout) -> Decision | None:
    """A first install has no old pods to protect, and refused it could never converge under Helm."""
    new = rollout.change.old is None and _judged(rollout)[1].first_install is FirstInstall.GATEWAY
    return _allow(rollout, Reason.FIRST_INSTALL, "first_install") if new else None


def bypassed(rollout: Rollout) -> Decision | None:
    """Break-glass, honoured or not: a refused one is told together with the denial."""
    inputs, _ = _judged(rollout)
    if rollout.bypass is None or rollout.bypass_refusal is not None:
        return None
    warning = f"schemagate: gate bypassed for {short(inputs.spec_hash)}: {rollout.bypass.reason}"
    decision = _allow(rollout, Reason.BYPASSED, "bypassed", warning)
    return msgspec.structs.replace(decision, audit={**decision.audit, "bypass": "honoured"})


def by_mode(rollout: Rollout) -> Decision:
    """Nothing spoke for the rollout: what happens now is what the mode says."""
    inputs, governance = _judged(rollout)
    if governance.problem_with(inputs):
        reason = Reason.INVALID_INPUTS
    elif governance.mode is Mode.HOLD and rollout.change.main:
        reason = Reason.HOLD_NOT_APPLIED
    else:
        reason = _REASON_BY_PHASE.get(_phase(inputs, governance) or Phase.PENDING, Reason.MIGRATION_PENDING)
    return _blocked(rollout, governance, reason, "by_mode")


CHECKS: tuple[Check, ...] = (
    not_judged,  # 1. other operations, deletion
    not_a_gateway,  # 2. no gateway container, or one that the update loses or hides
    not_governed,  # 3. nobody asked
    template_unchanged,  # 4. before all that needs a ConfigMap: most requests end here
    no_database,  # 3, second half. Needs the environment; allows like its neighbours
    inputs_unchanged,  # 5. restart, Java arguments, resources
    unsupported_version,  # 6. before 11.2.2
    migration_complete,  # 7. complete
    rolled_back,  # 7, second half. Complete, but not the newest
    held,  # 8. paused
    first_install,  # 9. CREATE where pods migrate by themselves
    bypassed,  # 10. break-glass
    by_mode,  # 11. Reject, Hold, Warn, Audit
)

_REASON_BY_PHASE = {
    Phase.RUNNING: Reason.MIGRATION_RUNNING,
    Phase.FAILED: Reason.MIGRATION_FAILED,
}


def _judged(rollout: Rollout) -> tuple[MigrationInputs, Governance]:
    """Give what the checks before have made certain."""
    if rollout.inputs is None or rollout.governance is None:
        raise AssertionError("checked before: governed, and with a database")
    return rollout.inputs, rollout.governance


def _phase(inputs: MigrationInputs, governance: Governance) -> Phase | None:
    """Give the phase of these inputs; a record that is busy with others has not begun these."""
    status = governance.status
    return status.phase if status.spec_hash == inputs.spec_hash else None


def _moved(inputs: MigrationInputs, governance: Governance) -> str:
    """Say when a ConfigMap moved a template that stays to a database that is not migrated for it."""
    done = governance.status.completed_hashes
    if not done or not inputs.database or governance.status.completion(inputs.spec_hash):
        return ""
    if done[0].image != inputs.image or done[0].database in {"", inputs.database}:
        return ""
    return (
        f"schemagate: the database is now {inputs.database}, which is not migrated for this image; new pods "
        "migrate it by themselves, all at once"
    )


def _allow(rollout: Rollout, reason: Reason, check: str, warning: str = "") -> Decision:
    return Decision(
        allowed=True,
        reason=reason,
        check=check,
        warnings=_warnings(rollout, warning) if warning else _warnings(rollout),
        audit=_audit(rollout, "warn" if warning else "allow", reason),
    )


def _blocked(rollout: Rollout, governance: Governance, reason: Reason, check: str) -> Decision:
    """Carry out the mode: deny, let through with a warning, or only record."""
    message = messages.blocked(rollout, governance, reason)
    noted: dict[str, str] = {}
    if rollout.bypass_refusal is not None:
        noted["bypass"] = f"refused-{rollout.bypass_refusal}"
        refused = f"; {rollout.bypass_refusal_told}"
        message = printable(message, MESSAGE_LIMIT - len(refused)) + refused
    if governance.mode is Mode.AUDIT:
        audit = _audit(rollout, "would-deny", reason, noted)
        return Decision(allowed=True, reason=reason, check=check, audit=audit)
    if governance.mode is Mode.WARN or rollout.lenient:
        return Decision(
            allowed=True,
            reason=reason,
            check=check,
            warnings=_warnings(rollout, f"schemagate: {message}"),
            audit=_audit(rollout, "would-deny", reason, noted),
        )
    return Decision(
        allowed=False,
        reason=reason,
        check=check,
        message=message,
        warnings=_warnings(rollout),
        audit=_audit(rollout, "deny", reason, noted),
    )


def _warnings(rollout: Rollout, *first: str) -> tuple[str, ...]:
    inputs = rollout.inputs.warnings if rollout.inputs else ()
    if not first and not inputs:
        return ()
    return tuple(printable(note, WARNING_LIMIT) for note in (*first, *(f"schemagate: {note}" for note in inputs)))


def _audit(
    rollout: Rollout, decision: str, reason: Reason, noted: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Give the audit annotations: closed words and the hash, never text of the object."""
    notes = {"decision": decision, "reason": reason.value, **noted}
    if rollout.governance is not None:
        notes["mode"] = rollout.governance.mode.value
    if rollout.inputs is not None:
        notes["migration-hash"] = short(rollout.inputs.spec_hash)
    return notes
