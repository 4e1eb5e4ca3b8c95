"""What a Deployment is headed for, above all one that does not exist yet; and the Job of an intent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controller.test_reconcile import WHERE, World, condition
from tests.support import builders as make
from tests.support.builders import IMAGE, NEXT_IMAGE, NOW
from webhook.admission.gather import Gatherer
from webhook.claims import claims_of
from webhook.controller.intent import config_maps_for, heading_of, job_of
from webhook.policy.governance import Governance, govern
from webhook.policy.names import CLEAR_LOCKS, MIGRATION_JOB
from webhook.policy.objects import Container, Deployment, view
from webhook.policy.record import Evidence, FailureClass, JobReference, Phase, Record
from webhook.policy.rollout.change import Change
from webhook.policy.rollout.verdict import decide

ASKS = {MIGRATION_JOB: "enabled"}
OWNED = {
    "apiVersion": "security.brcmlabs.com/v1",
    "kind": "Gateway",
    "name": "ssg",
    "uid": "g-1",
    "controller": True,
}


@pytest.fixture
def world() -> World:
    return World()


def governed(world: World) -> tuple[Record, Governance]:
    record = world.cluster.record(*WHERE)
    deployment = world.cluster.deployment(*WHERE)
    found = govern(claims_of(world.cluster, *WHERE, [deployment.metadata] if deployment else []))
    assert record
    assert found
    return record, found


async def verdict_on_create(world: World, image: str = IMAGE) -> str:
    """What the webhook says to the operator that creates the Deployment."""
    new = make.deployment(make.container(image=image), metadata={"ownerReferences": [OWNED]}, status=None)
    change = Change.between("team-a", view(Deployment, new), None)
    rollout = await Gatherer(world.cluster).rollout(change, NOW)
    return decide(rollout).reason.value


async def test_a_gateway_without_a_deployment_is_migrated_and_its_creation_allowed_then(world: World) -> None:
    world.put(make.namespace(), make.config_map(), make.gateway())
    record = await world.record()
    assert record.status.phase is Phase.RUNNING
    assert await verdict_on_create(world) == "MigrationRunning"
    container = world.job()["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == IMAGE
    assert container["envFrom"][0] == {"configMapRef": {"name": "ssg"}}
    record = await world.end()
    assert record.status.complete
    assert [done.evidence for done in record.status.completed_hashes] == [Evidence.JOB]
    assert await verdict_on_create(world) == "MigrationComplete"
    world.put(make.deployment(metadata={"ownerReferences": [OWNED]}))
    assert (await world.record()).status.completed_hashes == record.status.completed_hashes
    assert len(world.jobs()) == 1


async def test_a_gateway_that_moves_on_before_its_deployment_exists_is_migrated_anew(world: World) -> None:
    world.put(make.config_map(), make.gateway())
    await world.record()
    await world.end()
    record = await world.announce().record()
    assert (record.status.phase, record.status.image) == (Phase.RUNNING, NEXT_IMAGE)


@pytest.mark.parametrize("asks", [{"firstInstall": "Gateway"}, {"enabled": False}])
async def test_nothing_runs_before_a_deployment_where_that_is_not_wanted(world: World, asks: Any) -> None:
    world.put(make.config_map(), make.gateway(), make.record(spec=asks))
    assert (await world.record()).status.phase is Phase.DISABLED
    assert world.jobs() == []


async def test_the_operators_config_map_may_come_after_the_gateway(world: World) -> None:
    world.put(make.gateway())
    record = await world.record()
    assert (record.status.phase, record.status.failure) == (Phase.PENDING, None), "until then nothing is wrong"
    assert condition(record, "Progressing") == (
        "True",
        "MigrationPending",
        "the migration is Pending: waits for ConfigMap ssg",
    )
    assert condition(record, "Ready")[0] == "False"
    assert world.jobs() == []
    world.put(make.config_map())
    assert (await world.record()).status.phase is Phase.RUNNING


async def test_a_gateway_whose_deployment_cannot_be_told_says_so_in_the_record(world: World) -> None:
    unknown = {"app": {"management": {"disklessConfig": {"disabled": True, "vault": {"x": "y"}}}}}
    world.put(make.config_map(), make.gateway(spec=unknown))
    record = await world.record()
    assert record.status.failure
    assert record.status.failure.classification is FailureClass.INVALID_INPUTS
    assert "disklessConfig.vault" in condition(record, "Degraded")[2]
    assert world.jobs() == []
    # Its Deployment, once it is there, tells what the Gateway did not.
    world.put(make.deployment())
    assert (await world.record()).status.phase is Phase.RUNNING
    assert (await world.end()).status.complete


async def test_an_intent_that_was_written_before_the_gateway_became_unreadable_is_no_error(world: World) -> None:
    world.put(make.config_map(), make.gateway())
    record = await world.record()
    assert record.status.job
    intent = JobReference(name=record.status.job.name, hash=record.status.spec_hash)
    world.change("Gateway", spec={"app": {"image": ""}})
    _, found = governed(world)
    assert await job_of(world.cluster, record, found, intent) is None
    heading = await heading_of(world.cluster, record, found)
    assert heading
    assert heading.target
    assert heading.target.desired
    assert "spec.app.image is empty" in (heading.target.desired.problem or "")


async def test_a_stored_deployment_goes_before_the_gateway(world: World) -> None:
    await world.baseline()
    record, found = governed(world)
    heading = await heading_of(world.cluster, record, found)
    assert heading
    assert heading.stored
    assert heading.target
    assert heading.target.running == heading.target.desired
    assert heading.container
    assert heading.container.image == IMAGE
    assert set(heading.config_maps) == {"ssg"}


async def test_what_is_to_come_runs_nothing_yet(world: World) -> None:
    world.put(make.config_map(), make.gateway(), make.record())
    record, found = governed(world)
    heading = await heading_of(world.cluster, record, found)
    assert heading
    assert not heading.stored
    assert heading.target
    assert (heading.target.running, heading.target.settled) == (None, False)
    world.cluster.delete("Gateway", *WHERE)
    assert await heading_of(world.cluster, record, found) is None
    assert await job_of(world.cluster, record, found, JobReference(name="x", hash="0" * 64)) is None
    assert await job_of(world.cluster, record, None, JobReference(name="x", hash="0" * 64)) is None


@pytest.mark.parametrize("deployed", [True, False])
async def test_a_job_is_built_for_the_hash_of_the_intent_alone(world: World, deployed: bool) -> None:
    world.put(make.config_map(), make.gateway(), *([make.deployment()] if deployed else []), make.record())
    record, found = governed(world)
    heading = await heading_of(world.cluster, record, found)
    assert heading
    assert heading.target
    assert heading.target.desired
    wanted = JobReference(name="j", hash=heading.target.desired.spec_hash)
    built = await job_of(world.cluster, record, found, wanted)
    assert built
    assert built["metadata"]["name"] == "j"
    assert built["metadata"]["ownerReferences"][0]["uid"] == record.uid
    assert await job_of(world.cluster, record, found, JobReference(name="j", hash="0" * 64)) is None
    world.change("GatewayMigration", spec={"clearLocks": True})
    record, found = governed(world)
    assert await job_of(world.cluster, record, found, wanted) is None, "other inputs by now"


async def test_settings_by_annotation_hold_before_the_deployment_too(world: World) -> None:
    world.put(make.config_map(), make.gateway(metadata={"annotations": {**ASKS, CLEAR_LOCKS: "true"}}))
    await world.record()
    env = world.job()["spec"]["template"]["spec"]["containers"][0]["env"]
    assert "liquibase-only-with-unlock" in str(env)


async def test_config_maps_are_read_once_each_and_may_be_missing(world: World) -> None:
    world.put(make.config_map())
    asked: list[str] = []
    read = world.cluster.config_map

    class Counting:
        async def config_map(self, namespace: str, name: str) -> Any:
            asked.append(name)
            return await read(namespace, name)

    def naming(*names: str) -> Container:
        return view(Container, make.container(envFrom=[{"configMapRef": {"name": name}} for name in names]))

    maps = await config_maps_for(Counting(), "team-a", [naming("ssg", "b"), None, naming("b")])  # type: ignore[arg-type]
    assert asked == ["b", "ssg"]
    assert maps["b"] is None
    assert maps["ssg"]
