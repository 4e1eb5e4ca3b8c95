"""The rules of the scan: each looks at one judged Deployment and says what is wrong with it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from webhook.audit.scan.drift import changed_since, drifted
from webhook.audit.scan.finding import Finding, Rule
from webhook.audit.scan.judgement import Judged, JudgedPod
from webhook.audit.scan.wording import IMAGE_SHOWN, image_of, lead_on, named, state
from webhook.policy.decision import printable
from webhook.policy.image import image_version, knows_modes
from webhook.policy.inputs import IMAGE_LIMIT, MigrationInputs, short
from webhook.policy.names import ENFORCE, HELD, MODE_PROPERTY, MODE_SKIP
from webhook.policy.reasons import Reason
from webhook.policy.record import Mode, Phase, Runner
from webhook.policy.redaction import safe

RuleCheck = Callable[[Judged, datetime], Iterator[Finding]]
LONG = timedelta(hours=1)
"""How long a Deployment may be held before that is worth a finding."""
_WORD_SHOWN = 40
_STRENGTH = (Mode.AUDIT, Mode.WARN, Mode.HOLD, Mode.REJECT)


def ungoverned(judged: Judged, _: datetime) -> Iterator[Finding]:
    """Nobody asks for a guard, or a record turns it off."""
    if judged.governance is not None or judged.inputs is None or _too_old(judged, judged.inputs):
        return
    record = judged.record
    if record is not None and not record.spec.enabled:
        said, then = "its record turns the guard off", "set spec.enabled of its record to true"
    else:
        said = "no record, Gateway, annotation or namespace label asks for a guard"
        then = f"kubectl label namespace {judged.where[0]} {ENFORCE}=warn"
    yield _finding(judged, Rule.UNGOVERNED, f"{image_of(judged.inputs)} runs unguarded: {said}", then)


def unsupported_version(judged: Judged, _: datetime) -> Iterator[Finding]:
    """A Gateway that is too old for the modes, governed or not."""
    version = _too_old(judged, judged.inputs) if judged.inputs else ""
    if version:
        said = f"Gateway {version} does not know the schema-update modes: its pods migrate by themselves"
        yield _finding(judged, Rule.UNSUPPORTED_VERSION, said, "upgrade to 11.2.2 or later")


def invalid_inputs(judged: Judged, _: datetime) -> Iterator[Finding]:
    """Nothing can be told of the inputs, so that nothing migrates."""
    if judged.governance is None or judged.inputs is None or judged.decision is None:
        return
    problem = judged.governance.problem_with(judged.inputs)
    if problem and judged.decision.reason is Reason.INVALID_INPUTS:
        yield _finding(judged, Rule.INVALID_INPUTS, problem, "mend what the message names")


def incomplete_hash(judged: Judged, _: datetime) -> Iterator[Finding]:
    """The stored template is let run, and its migration is not complete; drift and skip say it better."""
    governance, inputs = judged.governance, judged.inputs
    if governance is None or inputs is None or not judged.incomplete or judged.skips or drifted(judged):
        return
    said = f"{image_of(inputs)} rolls out, and migration {short(inputs.spec_hash)} {state(governance, inputs)}"
    yield _finding(judged, Rule.INCOMPLETE_HASH, said, lead_on(judged, governance, inputs))


def config_drift(judged: Judged, _: datetime) -> Iterator[Finding]:
    """The image is the one that was migrated last, and a ConfigMap makes other inputs of it."""
    governance, inputs, since = judged.governance, judged.inputs, drifted(judged)
    if governance is None or inputs is None or not since:
        return
    now = f"database {inputs.database}" if inputs.database else "these inputs"
    said = f"{since} after the migration of {image_of(inputs)}: {now} is not migrated for it"
    yield _finding(judged, Rule.CONFIG_DRIFT, said, lead_on(judged, governance, inputs))


def skip_without_evidence(judged: Judged, _: datetime) -> Iterator[Finding]:
    """The template sets skip by itself, and no migration of its inputs is known."""
    inputs = judged.inputs
    if inputs is None or not judged.skips or _too_old(judged, inputs):
        return
    if judged.governance is None:
        said = "the Deployment's own arguments set skip, and nothing guards it: no migration of it is known"
        yield _finding(judged, Rule.SKIP_WITHOUT_EVIDENCE, said, "take skip out, or have schemagate guard it")
    elif judged.incomplete:
        stands = state(judged.governance, inputs)
        said = f"the Deployment's own arguments set skip, but migration {short(inputs.spec_hash)} {stands}"
        yield _finding(judged, Rule.SKIP_WITHOUT_EVIDENCE, said, lead_on(judged, judged.governance, inputs))


def pods_without_evidence(judged: Judged, _: datetime) -> Iterator[Finding]:
    """Pods run what is not complete: once for all pods of the same inputs."""
    governance = judged.governance
    if governance is None:
        return
    groups: dict[tuple[str, bool], list[JudgedPod]] = {}
    for item in judged.pods:
        if item.decision.reason is Reason.SKIP_WITHHELD and not governance.problem_with(item.inputs):
            groups.setdefault((item.inputs.spec_hash, item.skips), []).append(item)
    for (spec_hash, skips), group in groups.items():
        told = judged.incomplete and judged.inputs is not None and judged.inputs.spec_hash == spec_hash
        # What a ConfigMap said when a pod started is not known any more once it changed.
        group = [item for item in group if not changed_since(item)]
        if not group or (told and skips == judged.skips):
            continue
        count = "1 pod runs" if len(group) == 1 else f"{len(group)} pods run"
        how = "in skip, " if skips else ""
        stands = state(governance, group[0].inputs)
        said = f"{count} {image_of(group[0].inputs)} {how}but migration {short(spec_hash)} {stands}"
        rule = Rule.SKIP_WITHOUT_EVIDENCE if skips else Rule.INCOMPLETE_HASH
        subject = f"Pod/{group[0].pod.metadata.name}"
        yield _finding(judged, rule, said, lead_on(judged, governance, group[0].inputs), subject)


def conflicting_modes(judged: Judged, _: datetime) -> Iterator[Finding]:
    """Two places that contradict each other, one finding each."""
    governance = judged.governance
    if governance is None or judged.inputs is None:
        return
    foreign = sorted({mode for mode in judged.modes if mode != MODE_SKIP})
    if foreign and not governance.too_old(judged.inputs):
        words = ", ".join(printable(mode, _WORD_SHOWN) or "(empty)" for mode in foreign[:3])
        said = f"its own arguments set {MODE_PROPERTY}={words}; schemagate starts migrated pods in {MODE_SKIP}"
        yield _finding(judged, Rule.CONFLICTING_MODES, said, f"take {MODE_PROPERTY} out of EXTRA_JAVA_ARGS")
    label = ((judged.namespace.metadata.labels or {}).get(ENFORCE, "") if judged.namespace else "").strip()
    named = next((mode for mode in Mode if mode.lower() == label.lower()), None)
    own = governance.spec.mode
    if label and named is None:
        said = f"label {ENFORCE} of the namespace says {printable(label, _WORD_SHOWN)}, which counts as reject"
        yield _finding(judged, Rule.CONFLICTING_MODES, said, "label it reject, hold, warn or audit")
    elif own and named and _STRENGTH.index(own) < _STRENGTH.index(named):
        said = f"its record says {own}, its namespace {named}: {own} holds, which is weaker"
        yield _finding(judged, Rule.CONFLICTING_MODES, said, "take spec.mode out of the record, or keep it so")
    doubled = judged.gateway is not None and judged.gateway.is_migrated_by_operator
    if doubled and governance.runner is Runner.SCHEMAGATE:
        said = "its record says runner Schemagate, and its Gateway has the operator migrate too"
        yield _finding(judged, Rule.CONFLICTING_MODES, said, "set migrationJob.enabled of the Gateway to false")


def migration_failed(judged: Judged, _: datetime) -> Iterator[Finding]:
    """The record's migration failed, for something that does not run yet."""
    record = judged.record
    if judged.governance is None or record is None or record.status.phase is not Phase.FAILED:
        return
    status = record.status
    if judged.incomplete and judged.inputs is not None and judged.inputs.spec_hash == status.spec_hash:
        return
    failure = status.failure
    why = f" ({failure.classification}: {failure.message})" if failure else ""
    image = safe(status.image, IMAGE_SHOWN, IMAGE_LIMIT)
    said = f"migration {short(status.spec_hash)} for {image} failed{why}"
    yield _finding(judged, Rule.MIGRATION_FAILED, said, f"mend it, then: schemagate retry {named(judged)} --wait")


def held_for_long(judged: Judged, now: datetime) -> Iterator[Finding]:
    """We paused it, and it is still not ready."""
    deployment, record = judged.deployment, judged.record
    held = deployment.metadata.annotation(HELD) is not None and deployment.spec.paused
    if not held or record is None:
        return
    ready = next((item for item in record.status.conditions if item.type == "Ready"), None)
    if ready is None or ready.status == "True" or ready.last_transition_time is None:
        return
    waited = now - ready.last_transition_time
    if waited > LONG:
        said = f"held for {int(waited / timedelta(hours=1))} h: {ready.message or ready.reason}"
        yield _finding(judged, Rule.HELD_FOR_LONG, said, f"schemagate status {named(judged)}")


CHECKS: tuple[RuleCheck, ...] = (
    ungoverned,
    unsupported_version,
    invalid_inputs,
    incomplete_hash,
    config_drift,
    skip_without_evidence,
    pods_without_evidence,
    conflicting_modes,
    migration_failed,
    held_for_long,
)


def _finding(judged: Judged, rule: Rule, message: str, next_step: str, subject: str = "") -> Finding:
    return Finding.of(rule, judged.where, message, next_step, subject)


def _too_old(judged: Judged, inputs: MigrationInputs) -> str:
    if judged.governance is not None:
        version = judged.governance.too_old(inputs)
    else:
        found = image_version(inputs.image)
        version = found if knows_modes(found) is False else None
    return str(version) if version else ""
