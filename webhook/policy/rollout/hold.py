"""Hold mode: a rollout that must wait is stored, but paused."""

import msgspec

from webhook.policy.decision import WARNING_LIMIT, Decision, printable
from webhook.policy.inputs import short
from webhook.policy.names import HELD
from webhook.policy.patch import Operation, Patch, pointer
from webhook.policy.reasons import Reason
from webhook.policy.rollout.change import Rollout, Workload


def hold(rollout: Rollout, decision: Decision) -> Decision:
    """Turn the verdict into what the mutating webhook answers; it never denies.

    A rollout that only Hold stops is paused and marked with its hash; one that is held already gets the hash
    of its newest template; every other verdict is the validating webhook's to give. A mark that stands where
    nothing of ours is paused is taken off: what a user pauses later would pass for held.
    """
    waits = decision.reason is Reason.HOLD_NOT_APPLIED
    ours = decision.reason is Reason.HELD and rollout.change.new.meta.annotation(HELD) is not None
    if rollout.inputs is None or not (waits or ours):
        audit = {**decision.audit, "decision": "allow"}
        return msgspec.structs.replace(
            decision, allowed=True, message="", warnings=(), audit=audit, patch=_unmark(rollout, decision)
        )
    mark = short(rollout.inputs.spec_hash)
    warnings = [
        f"schemagate: rollout held (paused) until migration {mark} is complete: "
        f"schemagate status {rollout.change.name} -n {rollout.change.namespace}"
    ]
    if rollout.bypass_refusal is not None:
        warnings.append(f"schemagate: {rollout.bypass_refusal_told}")
    return msgspec.structs.replace(
        decision,
        allowed=True,
        reason=Reason.HELD,
        message="",
        warnings=tuple(printable(text, WARNING_LIMIT) for text in warnings) if waits else (),
        audit={**decision.audit, "decision": "hold", "reason": Reason.HELD.value},
        patch=_pause(rollout, mark),
    )


def _pause(rollout: Rollout, mark: str) -> Patch:
    new = rollout.change.new
    steps = []
    if not new.paused:
        steps.append(Operation("add", pointer("spec", "paused"), value=True))
    if new.meta.annotations is None:
        steps.append(Operation("add", pointer("metadata", "annotations"), {HELD: mark}))
    elif new.meta.annotation(HELD) != mark:
        steps.append(Operation("add", pointer("metadata", "annotations", HELD), mark))
    return tuple(steps)


def _unmark(rollout: Rollout, decision: Decision) -> Patch:
    change = rollout.change
    old = change.old
    # What comes with pause and mark at once was written from a dump of what we held: the pause is ours, too.
    by_another = old is not None and _marked(old) and not old.paused
    stale = _marked(change.new) and (not change.new.paused or by_another)
    if not stale or decision.reason is Reason.NOT_JUDGED:
        return ()
    return (Operation("remove", pointer("metadata", "annotations", HELD)),)


def _marked(side: Workload) -> bool:
    return side.meta.annotation(HELD) is not None
