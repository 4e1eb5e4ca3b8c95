"""The cluster in memory: it stores as an API server does, and refuses what one would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import builders as make
from webhook.embedded.files import Located
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import InvalidObjectError, NameTakenError, SourceError
from webhook.policy.gateway_resource import MigrationStatus
from webhook.policy.names import MIGRATED, RETRY
from webhook.policy.record import Phase, Record, RecordSpec, RecordStatus, Rejections


@pytest.fixture
def cluster() -> EmbeddedControllerCluster:
    return EmbeddedControllerCluster()


def located(manifest: dict[str, Any]) -> Located:
    return Located(manifest, "objects.yaml", 7)


def test_identity_and_versions_are_the_clusters_to_give(cluster: Any) -> None:
    first = cluster.put(make.merged(make.deployment(), {"metadata": {"uid": None, "generation": None}}))
    assert first["metadata"]["generation"] == 1
    wish = {"metadata": {"uid": "mine", "generation": 40, "labels": {"a": "b"}}, "status": {"replicas": 1}}
    second = cluster.put(make.merged(first, wish))
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert second["metadata"]["generation"] == 1
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    applied = make.merged(
        make.deployment(), {"metadata": {"uid": None, "generation": None}, "spec": {"paused": True}}
    )
    assert cluster.put(applied)["metadata"]["generation"] == 2
    assert cluster.deployment("team-a", "ssg").metadata.generation == 2


def test_what_is_given_out_is_a_copy(cluster: Any) -> None:
    given = make.config_map()
    stored = cluster.put(given)
    given["data"]["x"] = stored["data"]["y"] = cluster.get("ConfigMap", "team-a", "ssg")["data"]["z"] = "changed"
    assert set(cluster.get("ConfigMap", "team-a", "ssg")["data"]) == set(make.config_map()["data"])


def test_nulls_are_as_good_as_absent(cluster: Any) -> None:
    manifest = make.deployment()
    manifest["metadata"]["annotations"] = manifest["status"] = None
    assert "annotations" not in cluster.put(manifest)["metadata"]


async def test_marks_can_be_set_where_annotations_were_null(cluster: Any) -> None:
    manifest = make.deployment()
    manifest["metadata"]["annotations"] = None
    cluster.put(manifest)
    await cluster.mark_migrated("team-a", "ssg", "0123")
    assert cluster.deployment_meta("team-a", "ssg").annotation(MIGRATED) == "0123"


async def test_a_name_is_generated(cluster: Any) -> None:
    stored = cluster.put(make.pod())
    assert stored["metadata"]["name"].startswith("ssg-5d8f-")
    assert len(await cluster.pods_of("team-a", "ssg")) == 1


def test_without_a_namespace_it_is_default(cluster: Any) -> None:
    cluster.put(make.merged(make.config_map(), {"metadata": {"namespace": None}}))
    cluster.put(make.namespace("team-a"))
    assert cluster.keys("ConfigMap") == [("ConfigMap", "default", "ssg")]
    assert cluster.keys("Namespace") == [("Namespace", "", "team-a")]


def test_changes_are_told(cluster: Any) -> None:
    seen: list[object] = []
    cluster.subscribe(seen.append)
    cluster.put(make.config_map())
    assert cluster.delete("ConfigMap", "team-a", "ssg")
    assert not cluster.delete("ConfigMap", "team-a", "ssg")
    assert seen == [("ConfigMap", "team-a", "ssg")] * 2


def test_what_an_object_owns_goes_with_it(cluster: Any) -> None:
    record = cluster.put(make.record())
    owner = {"kind": "GatewayMigration", "name": "ssg", "uid": record["metadata"]["uid"], "controller": True}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "team-a"}}
    job["metadata"]["ownerReferences"] = [owner]  # type: ignore[index]
    cluster.put(job)
    cluster.delete("GatewayMigration", "team-a", "ssg")
    assert cluster.get("Job", "team-a", "j") is None


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (make.record(spec={"activeDeadlineSecond": 5}), "spec.activeDeadlineSecond"),
        (make.record(spec={"activeDeadlineSeconds": "soon"}), "spec.activeDeadlineSeconds"),
        (make.record(spec=5), "spec"),
        (make.record(metadata={"labels": 5}), "labels"),
        (make.record(metadata={"annotations": ["x"]}), "annotations"),
        (make.deployment(metadata={"name": 5}), "str"),
        (make.deployment(spec={"template": 5}), "object"),
        (make.deployment(spec=5), "object"),
        (make.deployment(make.container(name=None)), "`name`"),
        (make.deployment(make.container(volumeMounts=[{"name": "x"}])), "mountPath"),
        (make.deployment(make.container(env=[{"value": "x"}])), "`name`"),
        (make.deployment(spec={"template": {"spec": {"volumes": [{}]}}}), "`name`"),
        (make.deployment(spec={"template": {"spec": {"initContainers": [{}]}}}), "`name`"),
        (make.config_map(data={"a": 5}), "str"),  # type: ignore[dict-item]
        ({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": 5}}, "str"),
        ({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {"template": []}}, "object"),
    ],
)  # fmt: skip
def test_a_bad_field_is_told_with_file_and_line(cluster: Any, manifest: Any, said: str) -> None:
    with pytest.raises(SourceError) as error:
        cluster.load([located(manifest)])
    assert str(error.value).startswith(f"objects.yaml:7: {manifest['kind']}: ")
    assert said in str(error.value)
    assert not cluster.keys(manifest["kind"])


def test_a_newer_record_is_no_error_once_stored(cluster: Any) -> None:
    cluster.put(make.record(spec={"news": 1}))
    with pytest.raises(InvalidObjectError):
        cluster.put(make.record(spec={"news": 1}), strict=True)


def needing(**environment: Any) -> dict[str, Any]:
    return make.deployment(make.container(**environment))


@pytest.mark.parametrize(
    ("deployment", "said"),
    [
        (needing(), "ConfigMap ssg, which is not among the objects"),
        (
            needing(
                envFrom=[], env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "db", "key": "url"}}}]
            ),
            "ConfigMap db, which",
        ),
    ],
)
def test_a_config_map_that_is_missing_is_told(cluster: Any, deployment: Any, said: str) -> None:
    cluster.put(deployment)
    problems = cluster.dangling([located(deployment)])
    assert len(problems) == 1
    assert problems[0].startswith("objects.yaml:7: Deployment team-a/ssg ")
    assert said in problems[0]
    assert "kubectl get configmap" in problems[0]


def test_a_key_that_is_missing_is_told(cluster: Any) -> None:
    cluster.put(make.config_map("db", {"host": "x"}))
    reference = {"name": "db", "key": "url"}
    deployment = needing(envFrom=[], env=[{"name": "A", "valueFrom": {"configMapKeyRef": reference}}])
    assert "key url of ConfigMap db, which has no such key" in cluster.dangling([located(deployment)])[0]


@pytest.mark.parametrize(
    "environment",
    [
        {"envFrom": [{"configMapRef": {"name": "db", "optional": True}}]},
        {"envFrom": [{"secretRef": {"name": "db"}}]},
        {
            "envFrom": [],
            "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "db", "key": "url", "optional": True}}}
            ],
        },
        {"envFrom": [], "volumeMounts": []},
    ],
)
def test_what_may_be_missing_is_not_told(cluster: Any, environment: Any) -> None:
    assert cluster.dangling([located(needing(**environment)), located(make.config_map())]) == []


async def test_a_users_record_keeps_all_that_its_user_wrote(cluster: Any) -> None:
    cluster.put(
        make.record(
            metadata={"labels": {"team": "a"}, "annotations": {"note": "x", RETRY: "0" * 16}, "finalizers": ["y"]},
            spec={"enabled": True, "mode": "Hold"},
        )
    )
    record = await cluster.write_status(cluster.record("team-a", "ssg"), RecordStatus(phase=Phase.RUNNING))
    await cluster.write_rejections("team-a", "ssg", lambda _: Rejections(count=3))
    await cluster.write_status(record, RecordStatus(phase=Phase.COMPLETE))
    await cluster.clear_retry(record)
    stored = cluster.get("GatewayMigration", "team-a", "ssg")
    assert stored["metadata"]["labels"] == {"team": "a"}
    assert stored["metadata"]["annotations"] == {"note": "x"}
    assert stored["metadata"]["finalizers"] == ["y"]
    assert stored["metadata"]["generation"] == 1
    assert stored["spec"] == {"enabled": True, "mode": "Hold"}
    always = {"complete": False, "observedGeneration": 0}
    assert stored["status"] == {"phase": "Complete", "rejections": {"count": 3}, **always}


async def test_a_deleted_record_does_not_come_back(cluster: Any) -> None:
    gone = Record(namespace="team-a", name="ssg")
    for write in (cluster.write_status(gone, RecordStatus()), cluster.clear_retry(gone)):
        with pytest.raises(LookupError):
            await write
    await cluster.write_rejections("team-a", "ssg", lambda kept: kept)
    assert cluster.records() == []


async def test_marks_of_what_is_gone_are_no_error(cluster: Any) -> None:
    await cluster.mark_migrated("team-a", "ssg", "0123")
    assert cluster.keys("Deployment") == []


async def test_a_gateway_is_told_how_its_migration_stands(cluster: Any) -> None:
    stored = cluster.put(make.gateway())
    assert cluster.mirrors
    await cluster.mirror("team-a", "ssg", MigrationStatus("0123456789abcdef", complete=True))
    assert cluster.gateway("team-a", "ssg").status.migration_status == MigrationStatus("0123456789abcdef", True)
    told = await cluster.gateway_manifest("team-a", "ssg")
    assert told["status"] == {"migrationStatus": {"specHash": "0123456789abcdef", "complete": True}}
    assert told["metadata"]["generation"] == stored["metadata"]["generation"]
    assert await cluster.gateway_manifest("team-a", "other") is None


def test_copies_are_given_by_namespace_or_all(cluster: Any) -> None:
    for where in ("team-a", "team-b"):
        for manifest in (make.deployment(), make.gateway(), make.operators_job()):
            cluster.put(make.merged(manifest, {"metadata": {"namespace": where, "uid": None}}))
    for given in (cluster.deployments, cluster.gateways):
        assert [item.metadata.namespace for item in given("team-b")] == ["team-b"]
        assert sorted(item.metadata.namespace for item in given()) == ["team-a", "team-b"]
    (job,) = cluster.jobs("team-a")
    assert (job.metadata.name, job.condition("Complete")) == ("ssg-db-migration", None)
    assert cluster.obstacle("team-a", job.metadata.uid) == ""


async def test_names_are_taken_once(cluster: Any) -> None:
    made = await cluster.create_record("team-a", "ssg", RecordSpec(clear_locks=True))
    assert made.managed
    assert made.spec.clear_locks
    with pytest.raises(NameTakenError):
        await cluster.create_record("team-a", "ssg", RecordSpec())
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "team-a"}}
    uid = await cluster.create_job(job)
    with pytest.raises(NameTakenError):
        await cluster.create_job(job)
    await cluster.delete_job("team-a", "j", "another")
    assert cluster.get("Job", "team-a", "j") is not None
    await cluster.delete_job("team-a", "j", uid)
    await cluster.delete_job("team-a", "j", uid)
    assert cluster.get("Job", "team-a", "j") is None
