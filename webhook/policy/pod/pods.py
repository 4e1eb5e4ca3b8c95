"""The verdict on a pod's creation: which environment it starts with. A pod is never denied."""

from webhook.policy.decision import WARNING_LIMIT, Decision, printable
from webhook.policy.environment import ConfigMaps
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.names import MODE_SKIP
from webhook.policy.objects import Container
from webhook.policy.pod.schema_mode import Injection, effective_modes, environment_patch
from webhook.policy.reasons import Reason
from webhook.policy.value import Value


class Admission(Value, frozen=True):
    """The facts about one pod.

    ``deployment`` is None for pods that no Deployment's ReplicaSet owns; ``container`` is the
    gateway container, at ``index``; ``inputs`` is None without a database.
    """

    deployment: str | None
    index: int = 0
    container: Container | None = None
    governance: Governance | None = None
    inputs: MigrationInputs | None = None
    config_maps: ConfigMaps | None = None


def decide_pod(pod: Admission) -> Decision:
    """Judge a pod: ``skip`` only when the pod's own inputs are complete, the log level where one is set."""
    if pod.deployment is None:
        return _left(pod, Reason.NOT_A_DEPLOYMENT_POD)
    if pod.container is None:
        return _left(pod, Reason.NOT_A_GATEWAY)
    if pod.governance is None:
        return _left(pod, Reason.NOT_GOVERNED)
    if pod.inputs is None:
        return _patched(pod, Reason.NO_DATABASE, _environment(pod, pod.governance, pod.container, skip=False))
    reason = _skip_reason(pod.inputs, pod.governance)
    injection = _environment(pod, pod.governance, pod.container, skip=reason is Reason.SKIP_INJECTED)
    if reason is Reason.SKIP_INJECTED and not injection.operations:
        reason = Reason.SKIP_PRESENT
    warnings = _warnings(pod, pod.inputs, pod.container, reason, injection)
    return _patched(pod, reason, injection, warnings)


def _skip_reason(inputs: MigrationInputs, governance: Governance) -> Reason:
    if governance.too_old(inputs):
        return Reason.UNSUPPORTED_GATEWAY_VERSION
    return Reason.SKIP_INJECTED if governance.completed(inputs) else Reason.SKIP_WITHHELD


def _environment(pod: Admission, governance: Governance, container: Container, *, skip: bool) -> Injection:
    level = governance.spec.liquibase_log_level
    return environment_patch(
        pod.index,
        container,
        pod.config_maps or {},
        mode=MODE_SKIP if skip else None,
        log_level=level.value if level else None,
    )


def _warnings(
    pod: Admission, inputs: MigrationInputs, container: Container, reason: Reason, injection: Injection
) -> tuple[str, ...]:
    if reason is Reason.SKIP_WITHHELD:
        text = f"schemagate: migration {short(inputs.spec_hash)} of {pod.deployment} is not complete"
        if effective_modes(container, pod.config_maps or {})[-1:] == (MODE_SKIP,):
            return (f"{text}; the pod's own arguments set skip all the same: it may meet an old schema",)
        return (f"{text}; the pod keeps its own schema-update mode",)
    return tuple(
        f"schemagate: schema-update mode {mode or '(empty)'} of {pod.deployment} replaced by {MODE_SKIP}"
        for mode in injection.replaced
    )


def _left(pod: Admission, reason: Reason) -> Decision:
    return _patched(pod, reason, Injection())


def _patched(pod: Admission, reason: Reason, injection: Injection, warnings: tuple[str, ...] = ()) -> Decision:
    audit = {"decision": "patch" if injection.operations else "allow", "reason": reason.value}
    if pod.inputs is not None:
        audit["migration-hash"] = short(pod.inputs.spec_hash)
    return Decision(
        allowed=True,
        reason=reason,
        check="decide_pod",
        warnings=tuple(printable(warning, WARNING_LIMIT) for warning in warnings),
        audit=audit,
        patch=injection.operations,
    )
