"""What it takes to announce an image, from what the cluster holds: the rules behind ``schemagate migrate``."""

import shlex
from dataclasses import dataclass, replace

import msgspec

from webhook.errors import NotFoundError, RefusedError
from webhook.policy.gateway import gateway_container
from webhook.policy.gateway_resource import Gateway
from webhook.policy.governance import Claims, govern, source_spec
from webhook.policy.migration.target import announced_image, is_held
from webhook.policy.names import GATEWAY_API_VERSION, GATEWAY_CONTAINER
from webhook.policy.objects import Deployment, Namespace
from webhook.policy.record import FirstInstall, Record, RecordSpec

_GATEWAYS = f"gateways.{GATEWAY_API_VERSION.partition('/')[0]}"
"""What kubectl calls the resource; other kinds are called gateway, too."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that decides over an announcement. ``asks`` is the namespace, None where it may not be read."""

    namespace: str
    name: str
    record: Record | None = None
    deployment: Deployment | None = None
    gateway: Gateway | None = None
    asks: Namespace | None = None

    def claims(self, record: Record | None) -> Claims:
        """Give the claims on the Deployment with this record."""
        metas = (self.deployment.metadata,) if self.deployment else ()
        return Claims(record=record, gateway=self.gateway, deployments=metas, namespace=self.asks)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What to write: ``create`` a record, set the image of the stored one, or nothing (both unset)."""

    create: Record | None = None
    announce: Record | None = None


def announcement(scene: Scene, image: str) -> Announcement:
    """Tell what announces an image.

    Raises NotFoundError without a Deployment, and RefusedError where nothing that is written to the record would
    have this image migrated for: both say what would.
    """
    running = _running(scene, image)
    record = scene.record
    if record is not None and not record.spec.enabled:
        patch = _patch(scene, "gwm", {"spec": {"enabled": True}})
        raise RefusedError(
            f"the record {_where(scene)} is disabled, so that nothing is migrated; first run: {patch}"
        )
    wish = source_spec(scene.claims(None))
    before = record or Record(
        namespace=scene.namespace,
        name=scene.name,
        # What a Gateway, annotation or namespace asks for is kept by the controller, with its settings.
        managed=wish is not None,
        spec=wish[1] if wish else RecordSpec(),
    )
    if _wanted(scene, before, running) == image:
        return Announcement() if record else Announcement(create=before)
    after = replace(before, spec=replace(before.spec, image=image))
    if _wanted(scene, after, running) != image:
        patch = _patch(scene, _GATEWAYS, {"spec": {"app": {"image": image}}})
        raise RefusedError(f"the Gateway resource {_where(scene)} names the image; announce it there: {patch}")
    return Announcement(announce=record) if record else Announcement(create=after)


def _running(scene: Scene, image: str) -> str:
    """Give the image of the stored Deployment, or "" where a Gateway resource is about to get one."""
    deployment, where = scene.deployment, _where(scene)
    if deployment is None:
        if scene.gateway is None:
            raise NotFoundError(f"there is no Deployment {where}, so that nothing says how its Gateway is set up")
        governance = govern(scene.claims(scene.record))
        if governance is not None and governance.first_install is not FirstInstall.MIGRATE:
            raise RefusedError(f"there is no Deployment {where} yet, and its first pods migrate by themselves")
        return ""
    container = gateway_container(deployment.template().spec, [deployment.metadata])
    if container is None:
        raise RefusedError(
            f"Deployment {where} has no Gateway container: none mounts the license, and no annotation "
            f"{GATEWAY_CONTAINER} names one"
        )
    if is_held(deployment) and container.image != image:
        raise RefusedError(
            f"Deployment {where} is held for {container.image}, which is migrated for as it is stored; to migrate "
            f"for another image, apply that to the Deployment"
        )
    return container.image


def _wanted(scene: Scene, record: Record, running: str) -> str:
    """Give the image that would be migrated for with this record: the controller's own rule."""
    governance = govern(scene.claims(record))
    if scene.deployment is None:
        return scene.gateway.spec.app.image if scene.gateway else ""
    if governance is None or is_held(scene.deployment):
        return running
    return announced_image(governance, running) or running


def _where(scene: Scene) -> str:
    return f"{scene.namespace}/{scene.name}"


def _patch(scene: Scene, kind: str, patch: object) -> str:
    body = shlex.quote(msgspec.json.encode(patch).decode())
    return f"kubectl patch {kind} {scene.name} -n {scene.namespace} --type merge -p {body}"
