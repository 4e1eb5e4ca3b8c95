"""Rollouts gathered from manifests, as the webhook gathers them."""

from collections.abc import Mapping
from typing import Any

from tests.support.builders import IMAGE, NEXT_IMAGE, NOW, URL, config_maps, container, deployment, record
from webhook.policy.environment import ConfigMaps
from webhook.policy.governance import Claims, govern
from webhook.policy.inputs import MigrationInputs, migration_inputs
from webhook.policy.objects import Deployment, Namespace, view
from webhook.policy.record import Record, RecordSpec
from webhook.policy.rollout.bypass import Requester, bypass_of
from webhook.policy.rollout.change import Change, Rollout, Terms, Workload

OLD = deployment()
NEXT = deployment(container(image=NEXT_IMAGE))
HASH = MigrationInputs(IMAGE, URL).spec_hash
NEXT_HASH = MigrationInputs(NEXT_IMAGE, URL).spec_hash
GONE: dict[str, Any] = deployment({"name": "gateway", "image": NEXT_IMAGE})


def paused(base: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {
        **base,
        "spec": base["spec"] | {"paused": True},
        "metadata": base["metadata"] | {"annotations": annotations},
    }


def completed(*hashes: str) -> dict[str, Any]:
    """A record that holds these hashes as complete, newest first."""
    return record(status={"completedHashes": [{"hash": item} for item in hashes]})


def inputs_of(side: Workload | None, spec: RecordSpec, maps: ConfigMaps) -> MigrationInputs | None:
    """Inputs of one side of a change."""
    if side is None or side.gateway is None:
        return None
    return migration_inputs(side.template.spec, side.gateway, spec, maps)


def rollout(
    new: Mapping[str, Any],
    old: Mapping[str, Any] | None = None,
    *,
    stored: Mapping[str, Any] | None = None,
    governed: bool = True,
    maps: ConfigMaps | None = None,
    namespace: Namespace | None = None,
    requester: Requester | None = None,
    terms: Terms | None = None,
    judged: bool = True,
) -> Rollout:
    """A change of Deployment team-a/ssg, governed by a user's record unless told otherwise."""
    before = view(Deployment, old) if old is not None else None
    change = Change.between("team-a", view(Deployment, new), before, judged=judged)
    own = Record.from_manifest(stored or record()) if governed else None
    governance = govern(Claims(record=own, deployments=change.metas, namespace=namespace))
    maps = config_maps() if maps is None else maps
    asks = governance is not None and change.needs_inputs
    spec = governance.spec if governance else RecordSpec()
    return Rollout(
        change=change,
        governance=governance,
        inputs=inputs_of(change.new, spec, maps) if asks else None,
        old_inputs=inputs_of(change.old, spec, maps) if asks else None,
        bypass=bypass_of(change.new.meta),
        requester=requester or Requester(),
        now=NOW,
        terms=terms or Terms(),
    )
