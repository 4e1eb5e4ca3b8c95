"""Two workers of one process, and the Gateway resource's status: what a reconciler must not do twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.test_reconcile import WHERE, CrashError, Fragile, World, second
from tests.support import builders as make
from tests.support.builders import NEXT_IMAGE, NOW
from webhook.controller.reconcile import Reconciler
from webhook.embedded.jobs import JobRunner
from webhook.errors import ClusterError
from webhook.policy.gateway_resource import MigrationStatus
from webhook.policy.inputs import short
from webhook.policy.migration.notices import Notice
from webhook.policy.names import RETRY
from webhook.policy.objects import ConfigMap
from webhook.policy.record import Phase, Record, RecordStatus

BOTH = ("team-a", "team-b")


class Slow(Fragile):
    """Lets others go first before and after what takes time, as often as it is told."""

    def __init__(self, pauses: Iterator[int]) -> None:
        super().__init__()
        self._pauses = pauses
        self.most_at_once = 0

    async def pause(self) -> None:
        for _ in range(next(self._pauses, 0)):
            await asyncio.sleep(0)

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        await self.pause()
        return await super().config_map(namespace, name)

    async def deployment_template(self, namespace: str, name: str) -> Mapping[str, Any]:
        await self.pause()
        return await super().deployment_template(namespace, name)

    async def job(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        await self.pause()
        return await super().job(namespace, name)

    async def write_status(self, record: Record, status: RecordStatus) -> Record:
        await self.pause()
        written = await super().write_status(record, status)
        await self.pause()
        return written

    async def create_job(self, manifest: Mapping[str, Any]) -> str:
        await self.pause()
        uid = await super().create_job(manifest)
        self.most_at_once = max(self.most_at_once, len(JobRunner(self).active()))
        await self.pause()
        return uid


class SlowWorld(World):
    def __init__(self, pauses: Sequence[int] = ()) -> None:
        self.pauses: list[int] = []
        self.cluster: Slow = Slow(iter(self.pauses))
        self.runner = JobRunner(self.cluster)
        self.reconciler = Reconciler(self.cluster, lambda: NOW)
        self.planned = pauses

    async def two_that_want_the_same(self) -> None:
        """Two Gateways on one database, both adopted, both announced, neither looked at yet."""
        await self.baseline()
        self.put(make.namespace("team-b"), *second())
        await self.record(namespace="team-b")
        for where in BOTH:
            self.change("Gateway", namespace=where, spec={"app": {"image": NEXT_IMAGE}})
        self.cluster._pauses = iter(self.planned)

    async def at_once(self) -> None:
        await asyncio.gather(*(self.reconciler.reconcile(where, "ssg") for where in BOTH))

    def phases(self) -> list[Phase | None]:
        records = [self.cluster.record(where, "ssg") for where in BOTH]
        return [record.status.phase if record else None for record in records]


async def take_turns(pauses: Sequence[int]) -> None:
    world = SlowWorld(pauses)
    await world.two_that_want_the_same()
    await world.at_once()
    await world.at_once()
    assert sorted(map(str, world.phases())) == ["Running", "Waiting"]
    for expected in (["Complete", "Running"], ["Complete", "Complete"]):
        ((namespace, name),) = world.runner.active()
        world.runner.finish(namespace, name)
        await world.at_once()
        await world.at_once()
        assert sorted(map(str, world.phases())) == expected
    assert world.cluster.most_at_once == 1


@given(st.lists(st.integers(0, 5), max_size=40))
def test_two_workers_never_migrate_one_database_at_once(pauses: list[int]) -> None:
    asyncio.run(take_turns(pauses))


async def test_a_worker_that_dies_lets_go_of_the_database() -> None:
    world = SlowWorld()
    await world.two_that_want_the_same()
    world.cluster.before = "write_status"
    with pytest.raises(CrashError):
        await world.reconciler.reconcile("team-a", "ssg")
    assert (await world.record(namespace="team-b")).status.phase is Phase.RUNNING
    assert (await world.record()).status.phase is Phase.WAITING


async def test_who_waits_for_a_worker_is_told_for_whom() -> None:
    world = SlowWorld([5] * 40)
    await world.two_that_want_the_same()
    await world.at_once()
    (waiting,) = (item for item in world.cluster.records() if item.status.phase is Phase.WAITING)
    (other,) = (where for where in BOTH if where != waiting.namespace)
    (said,) = (item.message for item in waiting.status.conditions if item.type == "Progressing")
    assert f"{other}/ssg migrates the same database" in said


# The Gateway resource.


class Told(World):
    """Counts writes of the Gateway resource's status, and Notices."""

    def __init__(self, *, mirrors: bool = True) -> None:
        self.cluster: Mirrored = Mirrored(mirrors)
        self.runner = JobRunner(self.cluster)
        self.notices: list[tuple[str, str]] = []
        self.reconciler = Reconciler(self.cluster, lambda: NOW, tell=self.tell)

    def tell(self, record: Record, news: Sequence[Notice]) -> None:
        self.notices += [(record.namespace, notice.reason) for notice in news]

    def mirror(self) -> MigrationStatus | None:
        gateway = self.cluster.gateway(*WHERE)
        assert gateway
        return gateway.status.migration_status


class Mirrored(Fragile):
    def __init__(self, mirrors: bool) -> None:
        super().__init__()
        self._mirrors = mirrors
        self.told: list[MigrationStatus] = []
        self.failing = False

    @property
    def mirrors(self) -> bool:
        return self._mirrors

    async def mirror(self, namespace: str, name: str, status: MigrationStatus) -> None:
        if self.failing:
            raise ClusterError("no")
        self.told.append(status)
        await super().mirror(namespace, name, status)


async def test_the_gateway_resource_says_how_its_migration_stands_and_each_thing_once() -> None:
    world = Told()
    await world.baseline()
    record = await world.announce().record()
    assert world.mirror() == MigrationStatus(short(record.status.spec_hash), complete=False)
    record = await world.end()
    assert world.mirror() == MigrationStatus(short(record.status.spec_hash), complete=True)
    assert [status.complete for status in world.cluster.told] == [True, False, True]


async def test_a_mirror_that_somebody_changed_is_put_right() -> None:
    world = Told()
    await world.baseline()
    wanted = world.mirror()
    world.change("Gateway", status={"migrationStatus": {"specHash": "0" * 16, "complete": False}})
    await world.record()
    assert world.mirror() == wanted


async def test_a_mirror_that_cannot_be_written_does_not_keep_the_job_from_running() -> None:
    world = Told()
    await world.baseline()
    world.cluster.failing = True
    world.announce()
    with pytest.raises(ClusterError):
        await world.settle()
    assert len(world.runner.active()) == 1
    world.cluster.failing = False
    assert (await world.record()).status.phase is Phase.RUNNING


@pytest.mark.parametrize("case", ["no room", "the operator writes there"])
async def test_where_it_is_not_ours_to_tell_it_is_left_alone(case: str) -> None:
    world = Told(mirrors=case != "no room")
    gateway = make.gateway() if case == "no room" else make.gateway_with_job()
    world.put(make.namespace(), make.config_map(), gateway, make.deployment())
    await world.record()
    assert (world.mirror(), world.cluster.told) == (None, [])


# Notices.


async def test_each_thing_is_told_once() -> None:
    world = Told()
    await world.baseline()
    record = await world.announce().record()
    await world.record()
    await world.end()
    await world.record()
    told = [reason for _, reason in world.notices]
    assert told == ["Adopted", "MigrationStarted", "MigrationComplete"]
    assert record.status.job
    assert {namespace for namespace, _ in world.notices} == {"team-a"}


async def test_what_was_not_written_is_not_told() -> None:
    world = Told()
    await world.baseline()
    world.notices.clear()
    await world.announce().record()
    record = await world.end()
    world.notices.clear()
    world.change("GatewayMigration", metadata={"annotations": {RETRY: record.status.spec_hash}})
    await world.record()
    world.cluster.before = "write_status"
    world.announce("gateway:11.9.0")
    with pytest.raises(CrashError):
        await world.settle()
    assert world.notices == []
