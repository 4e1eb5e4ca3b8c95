"""Gathering: the reads that a verdict needs, no more and no earlier."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import msgspec

from webhook.claims import Known, claims_of
from webhook.errors import UnreachableError
from webhook.policy.environment import config_maps_of
from webhook.policy.gateway import deployment_of, gateway_index, named_container
from webhook.policy.governance import Claims, Governance, govern
from webhook.policy.inputs import MigrationInputs, migration_inputs, out_of_sight
from webhook.policy.objects import ConfigMap, ObjectMeta, Pod, UserInfo
from webhook.policy.pod.pods import Admission
from webhook.policy.record import Mode, Record
from webhook.policy.rollout.bypass import Requester, bypass_of, is_person
from webhook.policy.rollout.change import Change, Rollout, Terms, Workload


class Caches(Known, Protocol):
    """What is known without asking: synced copies of small records."""

    def stale(self) -> str:
        """Say why the copies may be too old to let anything new pass; empty when they are fresh."""

    def deployment_meta(self, namespace: str, name: str) -> ObjectMeta | None:
        """Give the metadata of a stored Deployment."""


class Reads(Protocol):
    """What is asked of the cluster. An answer that cannot be had is an exception, never a None."""

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """Give the ConfigMap as it is stored now, None when there is none."""

    async def recent_config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """Give the ConfigMap as it was a few seconds ago at most: pods come in swarms."""

    async def live_record(self, namespace: str, name: str) -> Record | None:
        """Give the record as it is stored now."""

    async def may_bypass(self, user: UserInfo, namespace: str, name: str) -> bool:
        """Tell whether the user holds the verb ``bypass`` on this record."""


class Cluster(Caches, Reads, Protocol):
    """All that the webhooks know of the cluster."""


class Gatherer:
    """Gathers the facts about requests. ``default_mode`` holds where neither record nor namespace says."""

    def __init__(self, cluster: Cluster, default_mode: Mode = Mode.REJECT, terms: Terms | None = None) -> None:
        self._cluster = cluster
        self._default_mode = default_mode
        self._terms = terms or Terms()

    async def rollout(
        self, change: Change, now: datetime, *, live: bool = False, dry_run: bool = False
    ) -> Rollout:
        """Gather what a Deployment's verdict depends on; ``live`` reads the record past the cache."""
        facts = Rollout(change, None, now=now, requester=Requester(dry_run=dry_run), terms=self._terms)
        if change.new.gateway is None and (change.old is None or change.old.gateway is None):
            return facts
        if change.needs_inputs and (stale := self._cluster.stale()):
            raise UnreachableError(stale)  # a fault of ours: failurePolicy decides
        claims = self._claims(change.namespace, change.name, change.metas)
        if live:
            record = await self._cluster.live_record(change.namespace, change.name)
            claims = msgspec.structs.replace(claims, record=record)
        governance = govern(claims)
        if governance is None or not change.needs_inputs:
            return msgspec.structs.replace(facts, governance=governance)
        config_maps = await self._config_maps(change.namespace, change.config_maps)
        old_inputs = _inputs(change.old, governance, config_maps)
        if old_inputs is None:
            old_inputs = _hidden(change.old, governance, config_maps)
        inputs = _inputs(change.new, governance, config_maps)
        if inputs is None:
            inputs = _hidden(change.new, governance, config_maps, old_inputs)
        return msgspec.structs.replace(
            facts, governance=governance, inputs=inputs, old_inputs=old_inputs, bypass=bypass_of(change.new.meta)
        )

    async def authorize(self, rollout: Rollout, user: UserInfo) -> Rollout:
        """Ask whether the user may break glass, where somebody wants to who might; no answer counts as no."""
        if rollout.bypass is None:
            return rollout
        requester = replace(rollout.requester, person=is_person(user))
        if requester.person and not requester.dry_run:
            requester = replace(requester, authorized=await self._may_bypass(user, rollout.change))
        return msgspec.structs.replace(rollout, requester=requester)

    async def _may_bypass(self, user: UserInfo, change: Change) -> bool | None:
        try:
            return await self._cluster.may_bypass(user, change.namespace, change.name)
        except Exception:  # noqa: BLE001 # an access check that fails must open nothing, whatever failurePolicy says
            return None

    async def pod(self, pod: Pod, namespace: str, *, live: bool = False) -> Admission:
        """Gather what a pod's environment depends on; ``live`` reads record and ConfigMaps past the caches."""
        deployment = deployment_of(pod)
        if deployment is None:
            return Admission(None)
        stored = self._cluster.deployment_meta(namespace, deployment)
        index = gateway_index(pod.spec, named_container([pod.metadata, *([stored] if stored else [])]))
        if index is None:
            return Admission(deployment)
        container = (pod.spec.containers or ())[index]
        claims = self._claims(namespace, deployment, [stored] if stored else [])
        if live:
            record = await self._cluster.live_record(namespace, deployment)
            claims = msgspec.structs.replace(claims, record=record)
        governance = govern(claims)
        if governance is None:
            return Admission(deployment, index, container)
        config_maps = await self._config_maps(namespace, config_maps_of(container), recent=not live)
        inputs = migration_inputs(pod.spec, container, governance.spec, config_maps)
        return Admission(deployment, index, container, governance, inputs, config_maps)

    def _claims(self, namespace: str, name: str, metas: Iterable[ObjectMeta]) -> Claims:
        return claims_of(self._cluster, namespace, name, metas, self._default_mode)

    async def _config_maps(
        self, namespace: str, names: Iterable[str], *, recent: bool = False
    ) -> Mapping[str, ConfigMap | None]:
        read = self._cluster.recent_config_map if recent else self._cluster.config_map
        wanted = sorted(names)
        if len(wanted) == 1:  # the usual case, without the cost of a task
            return {wanted[0]: await read(namespace, wanted[0])}
        found = await asyncio.gather(*(read(namespace, name) for name in wanted))
        return dict(zip(wanted, found, strict=True))


def _inputs(
    side: Workload | None, governance: Governance, config_maps: Mapping[str, ConfigMap | None]
) -> MigrationInputs | None:
    if side is None or side.gateway is None:
        return None
    return migration_inputs(side.template.spec, side.gateway, governance.spec, config_maps)


def _hidden(
    side: Workload | None,
    governance: Governance,
    config_maps: Mapping[str, ConfigMap | None],
    before: MigrationInputs | None = None,
) -> MigrationInputs | None:
    """Give the inputs of a side whose URL may have gone out of sight: it had one before, or was migrated once."""
    if side is None or side.gateway is None or (before is None and not governance.status.completed_hashes):
        return None
    return out_of_sight(side.gateway, config_maps, before)
