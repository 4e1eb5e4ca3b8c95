"""How findings speak of a migration and of what to do about it."""

import shlex

from webhook.audit.scan.judgement import Judged
from webhook.policy.governance import Governance
from webhook.policy.inputs import IMAGE_LIMIT, MigrationInputs
from webhook.policy.record import Phase, Runner
from webhook.policy.redaction import safe

IMAGE_SHOWN = 256
"""Longest image in a message, in characters."""


def state(governance: Governance, inputs: MigrationInputs) -> str:
    """Say how the migration of these inputs stands, to follow its hash."""
    status = governance.status
    if status.spec_hash != inputs.spec_hash or status.phase is None:
        return "has not run"
    if status.phase is Phase.FAILED and status.failure:
        return f"is {status.phase} ({status.failure.classification})"
    return f"is {status.phase}"


def lead_on(judged: Judged, governance: Governance, inputs: MigrationInputs) -> str:
    """Give the command that leads on from here."""
    current = governance.status.spec_hash == inputs.spec_hash
    if current and governance.status.phase is Phase.FAILED and governance.runner is Runner.SCHEMAGATE:
        return f"mend it, then: schemagate retry {named(judged)} --wait"
    if governance.runner is Runner.EXTERNAL or (current and governance.status.phase is not None):
        return f"watch it: schemagate status {named(judged)}"
    return f"schemagate migrate {named(judged)} --image {shlex.quote(image_of(inputs))} --wait"


def image_of(inputs: MigrationInputs) -> str:
    """Give the image as it may be shown."""
    return safe(inputs.image, IMAGE_SHOWN, IMAGE_LIMIT)


def named(judged: Judged) -> str:
    """Name the Deployment as commands take it."""
    return f"{judged.where[1]} -n {judged.where[0]}"
