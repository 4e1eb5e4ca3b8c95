"""The reconciler on a whole cluster in memory: what a person would see after each change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support import builders as make
from tests.support.builders import IMAGE, NEXT_IMAGE, NOW
from webhook.controller.reconcile import Reconciler
from webhook.embedded.jobs import LOCKED, SUCCESS, Ending, JobRunner
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import ConflictError, ForbiddenError
from webhook.policy.names import (
    CLEAR_LOCKS,
    ENFORCE,
    HELD,
    JDBC_URL,
    MIGRATED,
    MIGRATION_JOB,
    MODE_PROPERTY,
    RETRY,
)
from webhook.policy.record import Evidence, FailureClass, Phase, Record, RecordSpec, RecordStatus

ASKS = {MIGRATION_JOB: "enabled"}
WHERE = ("team-a", "ssg")


class CrashError(Exception):
    """The process dies here."""


class Fragile(EmbeddedControllerCluster):
    """Dies once before or after a write of the given name; undoes as many releases as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.before = ""
        self.after = ""
        self.outdated: Mapping[str, Any] | None = None
        self.undone = 0

    async def unpause(self, namespace: str, name: str, version: str) -> None:
        """Release, unless a webhook that lags pauses again: what is stored is then what was stored."""
        if self.undone:
            self.undone -= 1
            return
        await super().unpause(namespace, name, version)

    async def create_job(self, manifest: Mapping[str, Any]) -> str:
        if self.before == "create_job":
            self.before = ""
            raise CrashError
        uid = await super().create_job(manifest)
        if self.after == "create_job":
            self.after = ""
            raise CrashError
        return uid

    async def write_status(self, record: Record, status: RecordStatus) -> Record:
        if self.before == "write_status":
            self.before = ""
            raise CrashError
        return await super().write_status(record, status)

    async def deployment_template(self, namespace: str, name: str) -> Mapping[str, Any]:
        if self.outdated is not None:
            fresh, self.outdated = self.outdated, None
            return fresh
        return await super().deployment_template(namespace, name)


class World:
    def __init__(self) -> None:
        self.cluster = Fragile()
        self.runner = JobRunner(self.cluster)
        self.reconciler = Reconciler(self.cluster, lambda: NOW)

    def put(self, *manifests: Mapping[str, Any]) -> World:
        for manifest in manifests:
            self.cluster.put(manifest)
        return self

    async def settle(self, name: str = "ssg", namespace: str = "team-a") -> Record | None:
        return await self.reconciler.reconcile(namespace, name)

    async def record(self, name: str = "ssg", namespace: str = "team-a") -> Record:
        record = await self.settle(name, namespace)
        assert record is not None
        assert await self.settle(name, namespace) == record, "settled is settled"
        return record

    async def baseline(self) -> World:
        """A governed Gateway, rolled out and adopted."""
        self.put(make.namespace(), make.config_map(), make.gateway(), make.deployment())
        assert (await self.record()).status.complete
        return self

    def announce(self, image: str = NEXT_IMAGE) -> World:
        return self.change("Gateway", spec={"app": {"image": image}})

    def change(self, kind: str, *, name: str = "ssg", namespace: str = "team-a", **tweak: Any) -> World:
        stored = self.cluster.get(kind, namespace, name)
        assert stored is not None
        return self.put(make.merged(stored, tweak))

    def jobs(self) -> list[str]:
        return [name for _, _, name in self.cluster.keys("Job")]

    def job(self) -> dict[str, Any]:
        (key,) = self.cluster.keys("Job")
        return self.cluster.get(*key) or {}

    async def end(self, ending: Ending = SUCCESS) -> Record:
        ((namespace, name),) = self.runner.active()
        self.runner.finish(namespace, name, ending)
        return await self.record()


@pytest.fixture
def world() -> World:
    return World()


# Where a record comes from.


@pytest.mark.parametrize(
    "source",
    [
        [make.gateway(), make.deployment()],
        [make.gateway_with_job(), make.deployment()],
        [make.deployment(metadata={"annotations": ASKS})],
        [make.namespace("team-a", **{ENFORCE: "warn"}), make.deployment()],
    ],
    ids=["annotated Gateway", "Gateway with migrationJob", "annotated Deployment", "namespace"],
)
async def test_a_record_is_made_kept_and_deleted_with_its_source(world: Any, source: list[Any]) -> None:
    world.put(make.config_map(), *source)
    record = await world.record()
    assert record.managed
    assert record.status.complete
    for manifest in source:
        if manifest["kind"] == "Namespace":
            world.put(make.namespace())
        elif manifest["kind"] == "Gateway":
            world.cluster.delete("Gateway", *WHERE)
        else:
            world.put(make.deployment())
    assert await world.settle() is None
    assert world.cluster.records() == []


async def test_nobody_asks(world: Any) -> None:
    world.put(make.namespace(), make.config_map(), make.deployment())
    assert await world.settle() is None
    assert await world.settle("missing") is None


@pytest.mark.parametrize("sidecar", [True, False])
async def test_a_namespace_governs_gateways_only(world: Any, sidecar: bool) -> None:
    world.put(make.namespace("team-a", **{ENFORCE: "reject"}), make.config_map())
    world.put(make.deployment(make.container(volumeMounts=[]) if sidecar else make.container()))
    assert (await world.settle() is None) is sidecar


async def test_a_managed_record_follows_its_source_and_keeps_what_lives_on_it_alone(world: Any) -> None:
    world.put(make.config_map(), make.deployment(metadata={"annotations": ASKS}))
    await world.record()
    world.change("GatewayMigration", spec={"mode": "Hold", "podAttempts": 5})
    notes = {CLEAR_LOCKS: "true", JDBC_URL: "jdbc:mysql://other:3306/ssg"}
    world.change("Deployment", metadata={"annotations": notes})
    spec = (await world.record()).spec
    assert (spec.clear_locks, spec.jdbc_url) == (True, "jdbc:mysql://other:3306/ssg")
    assert (spec.mode, spec.pod_attempts) == ("Hold", 5)


async def test_a_bad_annotation_is_told_and_nothing_runs(world: Any) -> None:
    world.put(make.config_map(), make.deployment(metadata={"annotations": {**ASKS, CLEAR_LOCKS: "perhaps"}}))
    status = (await world.record()).status
    assert status.failure is not None
    assert status.failure.classification is FailureClass.INVALID_INPUTS
    assert world.jobs() == []


async def test_a_users_record_is_never_touched(world: Any) -> None:
    mine = make.record(metadata={"labels": {"team": "a"}}, spec={"enabled": True, "clearLocks": True})
    world.put(make.config_map(), make.gateway(), make.deployment(), mine)
    await world.record()
    world.cluster.delete("Gateway", *WHERE)
    await world.record()
    stored = world.cluster.get("GatewayMigration", *WHERE)
    assert stored["spec"] == mine["spec"]
    assert stored["metadata"]["labels"] == {"team": "a"}
    assert stored["metadata"]["generation"] == 1


async def test_a_users_record_without_a_deployment_waits(world: Any) -> None:
    world.put(make.record(spec={"image": NEXT_IMAGE}))
    assert (await world.record()).status.phase is Phase.DISABLED
    world.put(make.config_map(), make.deployment())
    assert (await world.record()).status.phase is Phase.RUNNING


async def test_a_gateway_without_a_deployment_has_a_record(world: Any) -> None:
    world.put(make.config_map(), make.gateway())
    record = await world.record()
    assert record.managed
    assert record.status.phase is Phase.RUNNING
    assert len(world.runner.active()) == 1


# The migration.


async def test_what_runs_is_the_baseline(world: Any) -> None:
    status = (await (await world.baseline()).record()).status
    assert [(done.image, done.evidence) for done in status.completed_hashes] == [(IMAGE, Evidence.ADOPTED)]
    assert status.completed_hashes[0].hash == status.spec_hash
    assert world.jobs() == []


@pytest.mark.parametrize(
    "status", [{"replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}, {"observedGeneration": 0}]
)
async def test_a_rollout_under_way_is_no_baseline(world: Any, status: Any) -> None:
    world.put(make.config_map(), make.gateway(), make.deployment(status=status))
    record = await world.record()
    assert (record.status.phase, record.status.completed_hashes) == (Phase.PENDING, ())
    assert "its pods roll out already" in condition(record, "Progressing")[2]
    assert world.jobs() == [], "the pods migrate by themselves"
    overdue = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    world.put(make.deployment(status={"availableReplicas": 0, "conditions": overdue}))
    assert (await world.record()).status.phase is Phase.RUNNING


@pytest.mark.parametrize(
    ("changed", "started", "adopted"),
    [
        (
            {"managedFields": [{"time": "2026-11-22T11:00:01Z"}, {"time": "2026-11-22T09:00:00Z"}]},
            "11:00:00",
            False,
        ),
        ({"managedFields": [{"time": "2026-11-22T11:00:00Z"}, {"manager": "x"}]}, "11:00:00", True),
        ({"managedFields": [{"manager": "x"}], "creationTimestamp": "2026-11-22T12:00:00Z"}, "11:00:00", False),
        ({"creationTimestamp": "2026-11-22T10:00:00Z"}, "11:00:00", True),
        ({}, "11:00:00", True),
        ({"creationTimestamp": "2026-11-22T10:00:00Z"}, "", True),
    ],
)
async def test_pods_that_are_older_than_their_config_map_are_no_baseline(
    world: Any, changed: Any, started: str, adopted: bool
) -> None:
    # Its URL may have been another when they started, and migrated.
    world.put(make.merged(make.config_map(), {"metadata": changed}), make.gateway(), make.deployment())
    oldest = {"creationTimestamp": f"2026-11-22T{started}Z"} if started else {}
    world.put(make.pod(metadata={"name": "ssg-5d8f-a", **oldest}))
    world.put(
        make.pod(metadata={"name": "ssg-5d8f-b", "creationTimestamp": "2026-11-22T23:00:00Z"} if started else {})
    )
    record = await world.record()
    assert (record.status.phase is Phase.COMPLETE) is adopted
    assert len(world.jobs()) == (not adopted)


async def test_pods_in_skip_are_no_baseline(world: Any) -> None:
    world.put(make.config_map(), make.gateway(), make.deployment())
    world.put(make.pod(make.container(env=[{"name": "EXTRA_JAVA_ARGS", "value": f"-D{MODE_PROPERTY}=skip"}])))
    assert (await world.record()).status.phase is Phase.RUNNING


@pytest.mark.parametrize(
    "leaving",
    [
        {"metadata": {"deletionTimestamp": "2026-11-22T11:00:00Z"}},
        {"status": {"phase": "Failed", "reason": "Evicted"}},
        {"status": {"phase": "Succeeded"}},
    ],
)
async def test_pods_on_their_way_out_tell_nothing_of_a_rollout_that_was_let_through(
    world: Any, leaving: dict[str, Any]
) -> None:
    await world.baseline()
    world.put(make.pod(**make.merged({"metadata": {"name": "ssg-old"}}, leaving)))
    new = make.container(image=NEXT_IMAGE)
    world.put(make.pod(new, metadata={"name": "ssg-new"}), make.deployment(new, status={"observedGeneration": 2}))
    world.announce()
    done = (await world.record()).status.completed_hashes[0]
    assert (done.image, done.evidence) == (NEXT_IMAGE, Evidence.ADOPTED)
    assert world.jobs() == []


async def test_the_job_is_built_from_the_stored_template(world: Any) -> None:
    await world.baseline()
    record = await world.announce().record()
    assert record.status.phase is Phase.RUNNING
    job = world.job()
    assert job["metadata"]["name"] == f"ssg-db-migration-{record.status.spec_hash[:8]}"
    assert job["metadata"]["uid"] == record.status.job.uid
    assert job["metadata"]["ownerReferences"][0]["uid"] == record.uid
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == NEXT_IMAGE
    assert container["envFrom"] == [{"configMapRef": {"name": "ssg"}}]
    assert f"-D{MODE_PROPERTY}=liquibase-only" in str(container["env"])
    record = await world.end()
    assert record.status.complete
    assert record.status.completed_hashes[0].evidence is Evidence.JOB
    assert world.cluster.deployment_meta(*WHERE).annotation(MIGRATED) == record.status.spec_hash[:16]


async def test_a_job_is_never_made_from_a_template_that_moved_on(world: Any) -> None:
    await world.baseline()
    world.announce()
    template = await world.cluster.deployment_template(*WHERE)
    world.cluster.outdated = make.merged(template, {"spec": {"hostNetwork": True}})
    await world.record()
    assert "hostNetwork" not in world.job()["spec"]["template"]["spec"]


async def test_a_name_that_is_taken_is_neither_adopted_nor_freed(world: Any) -> None:
    await world.baseline()
    record = await world.announce().record()
    name, uid = record.status.job.name, record.uid
    job = world.job()
    world = await World().baseline()
    squatter = {**job, "metadata": {"name": name, "namespace": "team-a"}}
    world.put(squatter)
    record = await world.announce().record()
    assert record.status.job.attempts == 2
    assert world.jobs() == [name, f"{name}-2"]
    assert uid != record.uid
    assert record.status.job.avoided == name
    degraded = condition(record, "Degraded")
    assert degraded == ("True", "JobNameTaken", f"the name {name} is taken by a Job that is not ours")
    assert condition(record, "Progressing")[0] == "True"
    world.runner.finish("team-a", f"{name}-2")
    record = await world.record()
    assert record.status.complete
    assert condition(record, "Degraded")[0] == "False"


async def test_a_forged_owner_does_not_make_a_job_ours(world: Any) -> None:
    await world.baseline()
    record = await world.record()
    wanted = World()
    await wanted.baseline()
    await wanted.announce().record()
    job_name = wanted.jobs()[0]
    forged = make.merged(wanted.job(), {"metadata": {"name": job_name, "uid": "forged", "labels": {}}})
    forged["metadata"]["ownerReferences"][0]["uid"] = record.uid
    forged["spec"]["template"]["spec"]["containers"][0]["command"] = ["true"]
    world.put(forged)
    world.runner.finish("team-a", job_name)
    record = await world.announce().record()
    assert record.status.job.uid != "forged"
    assert not record.status.complete


@pytest.mark.parametrize("moment", ["before create_job", "after create_job", "before write_status"])
async def test_a_crash_is_made_good_by_the_next_pass(world: Any, moment: str) -> None:
    await world.baseline()
    when, what = moment.split()
    setattr(world.cluster, when, what)
    world.announce()
    with pytest.raises(CrashError):
        await world.settle()
    record = await world.record()
    assert record.status.phase is Phase.RUNNING
    assert record.status.job.attempts == 1
    assert len(world.jobs()) == 1
    assert record.status.job.uid == world.job()["metadata"]["uid"]
    assert (await world.end()).status.complete


async def test_a_job_that_vanished_is_not_run_again_by_itself(world: Any) -> None:
    await world.baseline()
    record = await world.announce().record()
    world.cluster.delete("Job", "team-a", record.status.job.name)
    record = await world.record()
    assert record.status.failure.classification is FailureClass.JOB_VANISHED
    assert world.jobs() == []
    world.change("GatewayMigration", metadata={"annotations": {RETRY: record.status.spec_hash[:16]}})
    record = await world.record()
    assert (record.status.phase, record.status.job.attempts, record.retry) == (Phase.RUNNING, 2, "")


async def test_complete_once_is_complete(world: Any) -> None:
    await world.baseline()
    record = await world.announce().record()
    name = record.status.job.name
    assert (await world.end()).status.complete
    world.cluster.delete("Job", "team-a", name)
    assert (await world.record()).status.complete
    assert world.jobs() == []


async def test_a_failure_blocks_until_its_job_is_deleted(world: Any) -> None:
    await world.baseline()
    await world.announce().record()
    record = await world.end(LOCKED)
    assert record.status.failure.classification is FailureClass.LOCK_HELD
    assert not record.status.complete
    world.cluster.delete("Job", "team-a", record.status.job.name)
    record = await world.record()
    assert (record.status.phase, record.status.job.attempts) == (Phase.RUNNING, 2)
    assert (await world.end()).status.complete


async def test_a_job_that_ran_something_else_is_no_evidence(world: Any) -> None:
    await world.baseline()
    record = await world.announce().record()
    job = world.job()
    world.runner.finish("team-a", record.status.job.name)
    (pod,) = await world.cluster.job_pods("team-a", job["metadata"]["uid"])
    pod["spec"]["containers"][0]["image"] = "busybox"
    world.put(pod)
    record = await world.record()
    assert record.status.failure.classification is FailureClass.EVIDENCE_TAMPERED
    assert not record.status.complete


async def test_new_inputs_wait_for_the_job_that_runs(world: Any) -> None:
    await world.baseline()
    await world.announce().record()
    record = await world.announce("gateway:11.4.0").record()
    assert record.status.phase is Phase.SUPERSEDED
    assert len(world.jobs()) == 1
    record = await world.end()
    assert (record.status.phase, record.status.image) == (Phase.RUNNING, "gateway:11.4.0")
    assert record.status.completed_hashes[0].image == NEXT_IMAGE


async def test_a_secret_never_reaches_the_status(world: Any) -> None:
    url = "jdbc:mysql://root:hunter2@db:3306/ssg?password=hunter2"
    world.put(make.config_map(SSG_DATABASE_JDBC_URL=url), make.gateway(), make.deployment())
    await world.record()
    await world.announce().record()
    log = f"connecting to {url}\npassword=hunter2\nAccess denied for user 'root'\n"
    record = await world.end(Ending(exit_code=1, log=log))
    assert record.status.failure.classification is FailureClass.AUTH_FAILED
    assert "hunter2" not in str(world.cluster.get("GatewayMigration", *WHERE)["status"])
    assert "hunter2" not in repr(record)


# One migration per database.


def second(namespace: str = "team-b", **tweak: Any) -> list[dict[str, Any]]:
    items = [make.config_map(), make.gateway(), make.deployment()]
    return [make.merged(item, {"metadata": {"namespace": namespace, "uid": f"{namespace}{n}"}, **tweak})
            for n, item in enumerate(items)]  # fmt: skip


def condition(record: Record, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition."""
    (found,) = (item for item in record.status.conditions if item.type == kind)
    return found.status, found.reason, found.message


async def two(world: World) -> World:
    await world.baseline()
    world.put(make.namespace("team-b"), *second())
    await world.record(namespace="team-b")
    await world.announce().record()
    world.change("Gateway", namespace="team-b", spec={"app": {"image": NEXT_IMAGE}})
    assert (await world.record(namespace="team-b")).status.phase is Phase.WAITING
    return world


async def test_two_gateways_on_one_database_never_migrate_at_once(world: Any) -> None:
    await two(world)
    assert len(world.runner.active()) == 1
    await world.end()
    assert (await world.record(namespace="team-b")).status.phase is Phase.RUNNING
    assert len(world.runner.active()) == 1


async def test_disabling_the_one_that_migrates_lets_no_other_begin(world: Any) -> None:
    await two(world)
    world.change("GatewayMigration", spec={"enabled": False})
    assert (await world.record()).status.phase is Phase.DISABLED
    assert (await world.record(namespace="team-b")).status.phase is Phase.WAITING
    assert len(world.runner.active()) == 1
    await world.end()
    assert (await world.record(namespace="team-b")).status.phase is Phase.RUNNING


async def test_another_database_waits_for_nobody(world: Any) -> None:
    await world.baseline()
    other = make.merged(make.config_map(SSG_DATABASE_JDBC_URL="jdbc:mysql://other:3306/ssg"), {})
    world.put(*second())
    world.put(make.merged(other, {"metadata": {"namespace": "team-b"}}))
    await world.record(namespace="team-b")
    await world.announce().record()
    world.change("Gateway", namespace="team-b", spec={"app": {"image": NEXT_IMAGE}})
    assert (await world.record(namespace="team-b")).status.phase is Phase.RUNNING
    assert len(world.runner.active()) == 2


@pytest.mark.parametrize("anew", [False, True])
async def test_a_job_that_outlives_its_record_lets_no_other_begin(world: Any, anew: bool) -> None:
    await two(world)
    orphan = world.job()
    name = orphan["metadata"]["name"]
    # As long as the garbage collector has not found it.
    world.put(make.merged(orphan, {"metadata": {"ownerReferences": None}}))
    world.cluster.delete("GatewayMigration", *WHERE)
    if anew:
        assert (await world.record()).status.phase is Phase.WAITING
    waiting = await world.record(namespace="team-b")
    assert waiting.status.phase is Phase.WAITING
    assert f"Job team-a/{name} migrates the same database" in condition(waiting, "Progressing")[2]
    world.runner.finish("team-a", name)
    assert (await world.record(namespace="team-b")).status.phase is Phase.RUNNING
    assert len(world.runner.active()) == 1


async def test_gateways_that_name_their_database_in_one_place_migrate_one_by_one(world: Any) -> None:
    secret = {"name": "SSG_DATABASE_JDBC_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}
    for where, name in (("team-a", "ssg"), ("team-a", "edge"), ("team-b", "ssg")):
        meta = {"metadata": {"namespace": where, "name": name, "uid": f"{where}-{name}"}}
        items = (make.gateway(spec={"app": {"image": NEXT_IMAGE}}), make.deployment(make.container(env=[secret])))
        world.put(make.merged(make.config_map(), {"metadata": {"namespace": where}}))
        world.put(*(make.merged(item, meta) for item in items))
    assert (await world.record()).status.phase is Phase.RUNNING
    assert (await world.record("edge")).status.phase is Phase.WAITING
    assert (await world.record(namespace="team-b")).status.phase is Phase.RUNNING, (
        "another Secret, for all we know"
    )


async def test_the_job_of_an_operator_keeps_others_from_the_database(world: Any) -> None:
    await world.baseline()
    world.put(make.gateway_with_job(spec={"app": {"image": NEXT_IMAGE}}), make.operators_job())
    assert (await world.record()).status.phase is Phase.RUNNING
    world.put(make.namespace("team-b"), *second())
    await world.record(namespace="team-b")
    world.change("Gateway", namespace="team-b", spec={"app": {"image": NEXT_IMAGE}})
    assert (await world.record(namespace="team-b")).status.phase is Phase.WAITING
    world.runner.finish("team-a", "ssg-db-migration")
    assert (await world.record()).status.complete
    assert (await world.record(namespace="team-b")).status.phase is Phase.RUNNING


# Letting go.


async def held(world: World, *source: Mapping[str, Any]) -> World:
    world.put(make.config_map(), make.deployment(), *source)
    await world.record()
    world.change(
        "Deployment",
        metadata={"annotations": {HELD: "0" * 16}},
        spec={"paused": True, "template": {"spec": make.pod_spec(make.container(image=NEXT_IMAGE))}},
    )
    assert (await world.record()).status.phase is Phase.RUNNING
    return world


def paused(world: World) -> bool:
    deployment = world.cluster.deployment(*WHERE)
    assert deployment is not None
    return deployment.spec.paused


async def test_what_is_held_is_released_when_its_migration_is_complete(world: Any) -> None:
    await held(world, make.record(spec={"mode": "Hold"}))
    assert paused(world)
    await world.end()
    assert not paused(world)
    assert world.cluster.deployment_meta(*WHERE).annotation(HELD) is None


async def test_what_changed_since_it_was_judged_is_not_released(world: Any) -> None:
    await held(world, make.record(spec={"mode": "Hold"}))
    version = world.cluster.deployment(*WHERE).metadata.resource_version
    world.change("Deployment", metadata={"labels": {"changed": "since"}})
    with pytest.raises(ConflictError):
        await world.cluster.unpause(*WHERE, version)
    assert paused(world)
    await world.cluster.unpause("team-a", "gone", version)


async def test_what_a_user_paused_stays_paused(world: Any) -> None:
    world.put(make.config_map(), make.record(), make.deployment(spec={"paused": True}))
    await world.record()
    if world.runner.active():
        await world.end()
    world.cluster.delete("GatewayMigration", *WHERE)
    await world.settle()
    assert paused(world)


async def test_disabling_releases_and_keeps_a_job_amid_its_changes(world: Any) -> None:
    await held(world, make.record(spec={"mode": "Hold"}))
    world.change("GatewayMigration", spec={"enabled": False})
    record = await world.record()
    assert record.status.phase is Phase.DISABLED
    assert not paused(world)
    assert len(world.runner.active()) == 1
    await world.end()
    assert world.jobs() == []


async def test_deleting_a_users_record_releases_what_it_held(world: Any) -> None:
    await held(world, make.record(spec={"mode": "Hold"}))
    world.cluster.delete("GatewayMigration", *WHERE)
    assert await world.settle() is None
    assert not paused(world)


async def test_a_record_whose_source_is_gone_outlives_the_job_that_runs(world: Any) -> None:
    await held(world, make.namespace("team-a", **{ENFORCE: "hold"}))
    world.put(make.namespace())
    assert (await world.record()).status.phase is Phase.RUNNING
    assert len(world.runner.active()) == 1, "deleted with its owner, amid its changes"
    ((namespace, name),) = world.runner.active()
    world.runner.finish(namespace, name)
    assert await world.settle() is None
    assert world.cluster.records() == []
    assert not paused(world)


@pytest.mark.parametrize("mode", ["Warn", "Audit"])
async def test_a_record_that_stops_nothing_any_more_releases_at_once(world: Any, mode: str) -> None:
    await held(world, make.record(spec={"mode": "Hold"}))
    world.change("GatewayMigration", spec={"mode": mode})
    assert (await world.record()).status.phase is Phase.RUNNING
    assert not paused(world)
    assert world.cluster.deployment_meta(*WHERE).annotation(HELD) is None
    assert len(world.runner.active()) == 1, "a Job is not ended amid its changes"


@pytest.mark.parametrize("mode", ["warn", "audit"])
async def test_a_namespace_that_stops_nothing_any_more_releases_at_once(world: Any, mode: str) -> None:
    await held(world, make.namespace("team-a", **{ENFORCE: "hold"}))
    world.put(make.namespace("team-a", **{ENFORCE: mode}))
    await world.record()
    assert not paused(world)


async def test_what_is_held_stays_so_when_hold_becomes_reject(world: Any) -> None:
    await held(world, make.record(spec={"mode": "Hold"}))
    world.change("GatewayMigration", spec={"mode": "Reject"})
    await world.record()
    assert paused(world)
    await world.end()
    assert not paused(world)


async def test_a_release_that_admission_undoes_is_tried_again(world: Any) -> None:
    await held(world, make.record(spec={"mode": "Hold"}))
    world.cluster.undone = 1
    world.change("GatewayMigration", spec={"mode": "Warn"})
    with pytest.raises(ForbiddenError, match="admission paused it again"):
        await world.settle()
    assert paused(world)
    await world.record()
    assert not paused(world)


async def test_a_release_of_nothing_governed_that_admission_undoes_is_tried_again(world: Any) -> None:
    await held(world, make.record(spec={"mode": "Hold"}))
    world.cluster.delete("GatewayMigration", *WHERE)
    world.cluster.undone = 1
    with pytest.raises(ForbiddenError, match="admission paused it again"):
        await world.settle()
    assert await world.settle() is None
    assert not paused(world)


async def test_without_a_source_a_hold_is_released_at_once(world: Any) -> None:
    await held(world, make.namespace("team-a", **{ENFORCE: "hold"}))
    await world.end(LOCKED)
    assert paused(world)
    world.put(make.namespace())
    assert await world.settle() is None
    assert not paused(world)
    assert world.jobs() == []


async def test_writing_a_record_makes_it_the_one(world: Any) -> None:
    made = await world.cluster.create_record(*WHERE, RecordSpec())
    assert made.managed
    assert await world.settle() is None, "managed, and nobody asks for it"
