import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import jsonpatch
import pytest

from tests.admission.test_review import encoded, review
from tests.support.builders import (
    IMAGE,
    NEXT_IMAGE,
    NOW,
    config_map,
    container,
    deployment,
    merged,
    namespace,
    pod,
    record,
)
from webhook.admission.gather import Gatherer
from webhook.admission.handlers import Verdict, endpoints
from webhook.embedded.cluster import EmbeddedCluster
from webhook.policy.governance import Claims, govern
from webhook.policy.inputs import migration_inputs
from webhook.policy.objects import ConfigMap, Deployment, UserInfo, view
from webhook.policy.reasons import Reason
from webhook.policy.record import Completion, Phase, Record

VALIDATE, MUTATE, POD = "/validate-apps-v1-deployment", "/mutate-apps-v1-deployment", "/mutate-v1-pod"


class Seen:
    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []

    def verdict(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)


class LaggingCluster(EmbeddedCluster):
    """A cluster whose cached records are behind the stored ones, and that counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.cached: Record | None = None
        self.reads: list[str] = []
        self.fault: Exception | None = None

    def record(self, namespace: str, name: str) -> Record | None:
        return self.cached

    async def live_record(self, namespace: str, name: str) -> Record | None:
        self.reads.append("record")
        if self.fault:
            raise self.fault
        return super().record(namespace, name)

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        self.reads.append("configmap")
        if self.fault:
            raise self.fault
        return await super().config_map(namespace, name)

    async def recent_config_map(self, namespace: str, name: str) -> ConfigMap | None:
        self.reads.append("recent")
        return await super().recent_config_map(namespace, name)

    async def may_bypass(self, user: UserInfo, namespace: str, name: str) -> bool:
        self.reads.append("access")
        return await super().may_bypass(user, namespace, name)


def lagging(*objects: dict[str, Any]) -> LaggingCluster:
    cluster = LaggingCluster()
    for manifest in objects or (config_map(), namespace(**{"schemagate.io/enforce": "reject"})):
        cluster.put(manifest)
    return cluster


async def complete(cluster: EmbeddedCluster, image: str) -> Record:
    """Store a record in which the migration of this image is complete."""
    new = view(Deployment, deployment(container(image=image)))
    template = new.template()
    governance = govern(Claims(namespace=cluster.namespace("team-a")))
    assert governance is not None
    maps = {"ssg": await EmbeddedCluster.config_map(cluster, "team-a", "ssg")}
    inputs = migration_inputs(template.spec, (template.spec.containers or ())[0], governance.spec, maps)
    assert inputs is not None
    stored = Record.from_manifest(cluster.put(record()))
    done = Completion(hash=inputs.spec_hash, image=image)
    status = replace(stored.status, phase=Phase.COMPLETE, spec_hash=inputs.spec_hash, completed_hashes=(done,))
    return Record.from_manifest(cluster.put(replace(stored, status=status).to_manifest()))


async def ask(
    cluster: EmbeddedCluster, path: str, manifest: dict[str, Any], seen: Seen | None = None
) -> dict[str, Any]:
    hooks = endpoints(Gatherer(cluster), seen or Seen(), lambda: NOW)
    reply = await hooks[path](encoded(manifest), deadline=float("inf"))
    assert reply.status == 200, reply.body
    response: dict[str, Any] = json.loads(reply.body)["response"]
    assert response["uid"] == "u-1"
    return response


UPGRADE = review(request={"object": deployment(container(image=NEXT_IMAGE))})


async def test_a_lagging_cache_never_denies() -> None:
    cluster = lagging()
    await complete(cluster, NEXT_IMAGE)
    assert (await ask(cluster, VALIDATE, UPGRADE))["allowed"]
    assert "record" in cluster.reads


async def test_a_lagging_cache_never_allows_either() -> None:
    """What the cache holds was true once, and completed hashes are never taken back."""
    cluster = lagging()
    assert not (await ask(cluster, VALIDATE, UPGRADE))["allowed"]
    assert cluster.reads.count("record") == 1


@pytest.mark.parametrize(
    "manifest",
    [review(), review(request={"object": deployment(spec={"replicas": 7})})],
    ids=["no-op patch", "scaling"],
)
async def test_the_common_case_reads_nothing(manifest: dict[str, Any]) -> None:
    cluster = lagging()
    assert (await ask(cluster, VALIDATE, manifest))["allowed"]
    assert cluster.reads == []


async def test_the_wish_to_break_glass_is_checked_only_where_there_is_one() -> None:
    cluster = lagging()
    await ask(cluster, VALIDATE, UPGRADE)
    assert "access" not in cluster.reads
    annotated = review(request={"object": merge_annotations({"schemagate.io/bypass-reason": "outage"})})
    response = await ask(cluster, VALIDATE, annotated)
    assert "access" in cluster.reads
    assert "bypass not honoured" in response["status"]["message"]


def merge_annotations(annotations: dict[str, str]) -> dict[str, Any]:
    return deployment(container(image=NEXT_IMAGE), metadata={"annotations": annotations})


async def test_an_access_check_that_fails_opens_nothing() -> None:
    class Broken(LaggingCluster):
        async def may_bypass(self, user: UserInfo, namespace: str, name: str) -> bool:
            self.reads.append("access")
            raise TimeoutError

    cluster = Broken()
    for manifest in (config_map(), namespace(**{"schemagate.io/enforce": "reject"})):
        cluster.put(manifest)
    annotations = {"schemagate.io/bypass-reason": "outage"}
    wanted = review(request={"object": merge_annotations(annotations)})
    assert not (await ask(cluster, VALIDATE, wanted))["allowed"]
    restart = deployment(
        metadata={"annotations": annotations}, spec={"template": {"metadata": {"annotations": {"a": "b"}}}}
    )
    cluster.reads.clear()
    assert (await ask(cluster, VALIDATE, review(request={"object": restart})))["allowed"]
    assert "access" not in cluster.reads


async def test_a_url_moved_into_a_secret_does_not_open_the_gate() -> None:
    cluster = lagging(
        config_map(data={"DISKLESS_CONFIG": "true"}), namespace(**{"schemagate.io/enforce": "reject"})
    )
    url = {"name": "SSG_DATABASE_JDBC_URL", "value": "jdbc:mysql://db:3306/ssg"}
    sources = [{"configMapRef": {"name": "ssg"}}, {"secretRef": {"name": "ssg"}}]
    manifest = review()
    manifest["request"]["oldObject"] = deployment(container(env=[url], envFrom=sources))
    manifest["request"]["object"] = deployment(container(envFrom=sources, image=NEXT_IMAGE))
    response = await ask(cluster, VALIDATE, manifest)
    assert response["status"]["details"]["causes"][0]["reason"] == "InvalidInputs"
    assert "a Secret may hold it" in response["status"]["message"]


async def test_config_maps_of_a_moment_ago_are_for_pods_alone_and_not_the_last_word() -> None:
    """A rollout is judged by what its pods will read, which may be what the same pipeline wrote just before it."""
    cluster = lagging()
    await ask(cluster, VALIDATE, UPGRADE)
    assert "configmap" in cluster.reads
    assert "recent" not in cluster.reads
    cluster.reads.clear()
    await ask(cluster, POD, review("Pod", request={"operation": "CREATE"}))
    # In memory, a recent one is read live too.
    assert cluster.reads == ["recent", "configmap", "record", "configmap"]


@pytest.mark.parametrize("path", [VALIDATE, MUTATE])
async def test_a_failed_read_is_no_decision(path: str) -> None:
    cluster = lagging()
    cluster.fault = TimeoutError("the API server is away")
    hooks = endpoints(Gatherer(cluster), Seen(), lambda: NOW)
    with pytest.raises(TimeoutError):
        await hooks[path](encoded(UPGRADE), deadline=float("inf"))


async def test_a_body_that_is_no_review_is_answered_with_what_was_expected() -> None:
    hooks = endpoints(Gatherer(lagging()), Seen(), lambda: NOW)
    for path in (VALIDATE, MUTATE, POD):
        reply = await hooks[path](b"{", deadline=float("inf"))
        assert reply.status == 400
        assert reply.content_type.startswith("text/plain")
        assert b"expected an AdmissionReview" in reply.body


@pytest.mark.parametrize(
    "template", ["text", [1], {"spec": {"containers": "none"}}, {"spec": {"containers": [7]}}]
)
async def test_a_template_of_another_shape_is_refused_with_what_was_expected(template: object) -> None:
    manifest = review()
    manifest["request"]["object"]["spec"]["template"] = template
    hooks = endpoints(Gatherer(lagging()), Seen(), lambda: NOW)
    reply = await hooks[VALIDATE](encoded(manifest), deadline=float("inf"))
    assert (reply.status, reply.body[:21]) == (400, b"expected a Deployment")


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
async def test_other_operations_are_allowed(operation: str) -> None:
    manifest = review(request={"operation": operation, "object": deployment(container(image=NEXT_IMAGE))})
    seen = Seen()
    assert (await ask(lagging(), VALIDATE, manifest, seen))["allowed"]
    assert seen.verdicts[0].decision.reason is Reason.NOT_JUDGED


async def test_a_deletion_has_no_new_object_and_is_allowed() -> None:
    manifest = review(request={"operation": "DELETE"})
    manifest["request"]["object"] = None
    assert (await ask(lagging(), VALIDATE, manifest))["allowed"]


async def test_foreign_kinds_are_allowed_with_a_warning() -> None:
    response = await ask(lagging(), VALIDATE, review(request={"subResource": "scale"}))
    assert response["allowed"]
    assert "mend the webhook configuration" in response["warnings"][0]


def with_containers(*containers: dict[str, Any], **annotations: str) -> dict[str, Any]:
    manifest = deployment(metadata={"annotations": annotations})
    manifest["spec"]["template"]["spec"]["containers"] = list(containers)
    return manifest


REAL, UPGRADED = container(name="real"), container(name="real", image=NEXT_IMAGE)
DECOY, BARE = container(name="decoy"), container(name="decoy", volumeMounts=[])
NAMED = {"schemagate.io/gateway-container": "decoy"}
DODGES = {
    "a decoy with the license, first in the list": (
        with_containers(DECOY, REAL),
        with_containers(DECOY, UPGRADED),
    ),
    "a decoy that comes with the upgrade": (with_containers(REAL), with_containers(DECOY, UPGRADED)),
    "an annotation that names a decoy": (
        with_containers(BARE, REAL, **NAMED),
        with_containers(BARE, UPGRADED, **NAMED),
    ),
    "an annotation that comes with the upgrade": (
        with_containers(BARE, REAL),
        with_containers(BARE, UPGRADED, **NAMED),
    ),
    "the license taken off the one that is upgraded": (
        with_containers(REAL),
        with_containers(DECOY, container(name="real", image=NEXT_IMAGE, volumeMounts=[])),
    ),
}


@pytest.mark.parametrize("dodge", DODGES)
async def test_a_decoy_hides_no_upgrade(dodge: str) -> None:
    old, new = DODGES[dodge]
    manifest = review()
    manifest["request"] |= {"object": new, "oldObject": old}
    response = await ask(lagging(), VALIDATE, manifest)
    assert not response["allowed"]
    said = response["status"]["message"]
    assert NEXT_IMAGE in said or "keep container real with its license" in said


async def test_two_gateways_in_one_pod_pass_when_nothing_of_them_changes() -> None:
    manifest = review()
    extra = {**DECOY, "resources": {"limits": {"cpu": "1"}}}
    manifest["request"] |= {"object": with_containers(extra, REAL), "oldObject": with_containers(DECOY, REAL)}
    assert (await ask(lagging(), VALIDATE, manifest))["allowed"]


async def test_a_pod_larger_than_any_stored_one_is_refused() -> None:
    manifest = review("Pod", request={"object": {"metadata": {"annotations": {"a": "x" * 4 * 2**20}}}})
    reply = await endpoints(Gatherer(lagging()), Seen(), lambda: NOW)[POD](
        encoded(manifest), deadline=float("inf")
    )
    assert (reply.status, reply.body) == (400, b"expected at most 3 MiB for a Pod\n")


async def test_the_mutating_webhook_denies_nothing() -> None:
    response = await ask(lagging(), MUTATE, UPGRADE)
    assert response["allowed"]
    assert "patch" not in response
    assert "status" not in response


async def test_hold_pauses_and_the_validating_webhook_lets_it_through() -> None:
    cluster = lagging(config_map(), namespace(**{"schemagate.io/enforce": "hold"}))
    assert not (await ask(cluster, VALIDATE, UPGRADE))["allowed"]
    held = await ask(cluster, MUTATE, UPGRADE)
    patch = json.loads(base64.b64decode(held["patch"]))
    paused = jsonpatch.apply_patch(UPGRADE["request"]["object"], patch)
    assert paused["spec"]["paused"] is True
    again = review(request={"object": paused})
    assert "patch" not in await ask(cluster, MUTATE, again)
    assert (await ask(cluster, VALIDATE, again))["allowed"]


TOOL = container(name="tool", image="tools:1")
NEVER_ENDING: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "a sidecar with the license and the database": (with_containers(UPGRADED, TOOL), with_containers(REAL, TOOL)),
    "one that comes with the upgrade": (with_containers(UPGRADED, TOOL), with_containers(REAL)),
    "one that comes alone": (with_containers(REAL, TOOL), with_containers(REAL)),
}


@pytest.mark.parametrize(("new", "old"), NEVER_ENDING.values(), ids=NEVER_ENDING.keys())
@pytest.mark.parametrize("paused", [False, True])
async def test_nothing_is_held_that_no_migration_would_ever_release(
    new: dict[str, Any], old: dict[str, Any], paused: bool
) -> None:
    """Only the Gateway itself is migrated for: where another container waits, the request must end at once."""
    cluster = lagging(config_map(), namespace(**{"schemagate.io/enforce": "hold"}))
    cluster.cached = await complete(cluster, IMAGE)
    if paused:  # held by us, since an earlier image
        mark = {"spec": {"paused": True}, "metadata": {"annotations": {"schemagate.io/held": "0" * 16}}}
        new, old = merged(new, mark), merged(old, mark)
    manifest = review()
    manifest["request"] |= {"object": new, "oldObject": old}
    mutated = await ask(cluster, MUTATE, manifest)
    response = await ask(cluster, VALIDATE, manifest)
    if paused and old["spec"]["template"]["spec"]["containers"][1:]:
        assert response["allowed"], "it was there before, and waits with the rest"
        return
    assert "patch" not in mutated
    assert not response["allowed"]
    said = response["status"]["message"]
    assert "rollout of deployment team-a/ssg to tools:1 is blocked" in said
    assert "container tool, and nothing is migrated but for container real" in said
    assert "mode is Hold" not in said


async def test_a_held_gateway_goes_on_beside_a_sidecar_that_is_no_gateway() -> None:
    cluster = lagging(config_map(), namespace(**{"schemagate.io/enforce": "hold"}))
    cluster.cached = await complete(cluster, IMAGE)
    manifest = review()
    side = {**TOOL, "envFrom": []}
    manifest["request"] |= {"object": with_containers(UPGRADED, side), "oldObject": with_containers(REAL, side)}
    assert "patch" in await ask(cluster, MUTATE, manifest)


async def test_pods_start_in_skip_once_their_own_inputs_are_complete() -> None:
    cluster = lagging()
    cluster.cached = await complete(cluster, IMAGE)
    creation = review("Pod", request={"operation": "CREATE"})
    assert "patch" in await ask(cluster, POD, creation)
    other = review("Pod", request={"operation": "CREATE", "object": pod(container(image=NEXT_IMAGE))})
    response = await ask(cluster, POD, other)
    assert response["allowed"]
    assert "patch" not in response
    assert "not complete" in response["warnings"][0]


async def test_a_pod_is_not_kept_from_skip_by_a_lagging_cache() -> None:
    cluster = lagging()
    await complete(cluster, IMAGE)
    assert "patch" in await ask(cluster, POD, review("Pod", request={"operation": "CREATE"}))


async def test_pods_are_judged_at_creation_only() -> None:
    cluster = lagging()
    cluster.cached = await complete(cluster, IMAGE)
    update = review("Pod", request={"oldObject": pod()})
    assert "patch" not in await ask(cluster, POD, update)


async def test_answers_do_not_depend_on_what_else_is_asked_meanwhile() -> None:
    cluster = lagging()
    hooks = endpoints(Gatherer(cluster), Seen(), lambda: NOW)
    bodies = [encoded(UPGRADE), encoded(review())] * 20
    alone = [(await hooks[VALIDATE](body, deadline=float("inf"))).body for body in bodies]
    together = await asyncio.gather(*(hooks[VALIDATE](body, deadline=float("inf")) for body in bodies))
    assert [reply.body for reply in together] == alone
