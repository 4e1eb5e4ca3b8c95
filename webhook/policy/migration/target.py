"""What a Deployment is headed for: the inputs of what waits or is announced, and of what runs."""

from dataclasses import dataclass

import msgspec

from webhook.policy.environment import ConfigMaps
from webhook.policy.gateway import gateway_container
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs, migration_inputs
from webhook.policy.names import HELD, MODE_SKIP
from webhook.policy.objects import Deployment
from webhook.policy.pod.schema_mode import effective_modes


@dataclass(frozen=True, slots=True)
class Target:
    """Inputs of a stored Deployment.

    ``running`` belongs to the stored template; ``desired`` to the image that a record or Gateway announces, or
    to the stored template where nothing else is announced. Both are None without a database. ``held`` says
    that we paused it; ``settled`` that every replica runs the stored template, with one at least; ``rolling``
    that pods of the stored template are on their way, or about to be, and migrate by themselves. ``released``
    says that we paused it, and that nothing stops it any more. ``version`` is the resourceVersion that all this
    was read from.
    """

    desired: MigrationInputs | None
    running: MigrationInputs | None
    held: bool = False
    settled: bool = False
    rolling: bool = False
    released: bool = False
    version: str = ""


def target_of(deployment: Deployment, governance: Governance, config_maps: ConfigMaps) -> Target | None:
    """Work out where a governed Deployment is headed; None when it has no gateway container.

    Intent comes from stored objects alone: a held template is the target itself, otherwise the announced image
    takes the place of the running one.
    """
    template = deployment.template()
    container = gateway_container(template.spec, [deployment.metadata])
    if container is None:
        return None
    held = is_held(deployment)
    released = held and not governance.stops
    announced = "" if held else announced_image(governance, container.image)
    wanted = msgspec.structs.replace(container, image=announced) if announced else container
    return Target(
        desired=migration_inputs(template.spec, wanted, governance.spec, config_maps),
        running=migration_inputs(template.spec, container, governance.spec, config_maps),
        held=held,
        settled=is_settled(deployment),
        # Pods that are told to skip migrate nothing: nobody has to wait for them.
        rolling=is_rolling(_resumed(deployment) if released else deployment)
        and MODE_SKIP not in effective_modes(container, config_maps),
        released=released,
        version=deployment.metadata.resource_version,
    )


def _resumed(deployment: Deployment) -> Deployment:
    return msgspec.structs.replace(deployment, spec=msgspec.structs.replace(deployment.spec, paused=False))


def announced_image(governance: Governance, running: str) -> str:
    """Give the image that is announced, if any: a Gateway that moves on wins over what a record announced.

    An announcement is spent once what runs was migrated after it: left on the record, it would lead back.
    """
    moving = governance.gateway_image not in {"", running}
    if moving:
        return governance.gateway_image
    migrated = [done.image for done in governance.status.completed_hashes]  # newest first
    spent = {running, governance.announced} <= set(migrated) and migrated.index(running) < migrated.index(
        governance.announced
    )
    return running if spent else governance.announced


def is_held(deployment: Deployment) -> bool:
    """Tell whether we paused the Deployment; what a user paused is not ours to resume."""
    return deployment.spec.paused and deployment.metadata.annotation(HELD) is not None


def is_settled(deployment: Deployment) -> bool:
    """Tell whether all replicas, and one at least, run the stored template."""
    status = deployment.status
    return (
        not deployment.spec.paused
        and status.observed_generation >= deployment.metadata.generation
        and 0 < status.replicas == status.updated_replicas == status.available_replicas
    )


def is_rolling(deployment: Deployment) -> bool:
    """Tell whether pods of the stored template are on their way, and nobody gave them up.

    The Deployment controller says when they have been there (NewReplicaSetAvailable) and when they are overdue
    (status False); before it has seen the template, what it says is about the one before.
    """
    rollout = next((item for item in deployment.status.conditions or () if item.type == "Progressing"), None)
    seen = deployment.status.observed_generation >= deployment.metadata.generation
    over = rollout is not None and (rollout.status == "False" or rollout.reason == "NewReplicaSetAvailable")
    idle = deployment.spec.paused or deployment.spec.replicas == 0
    return not (seen and over) and not idle and not is_settled(deployment)
