"""The fence around the controller's account: what it may not do even with every right in a namespace."""

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.controlplane.client import ApiError, Client, until
from tests.live.fence import (
    ALLOWED_JOBS,
    DEPLOYED,
    DEPLOYMENT_CHANGES,
    FORBIDDEN_JOBS,
    HELD_CHANGES,
    JSON_PATCH,
    Change,
    deployment,
    job,
)
from tests.live.installation import NAMESPACE, Installation, Replica, manifests, path_of
from tests.live.people import holds
from tests.live.world import NEW, World
from webhook.policy.names import HELD, LICENSE_PATH, RECORD_API_VERSION

POLICIES = [item for item in manifests("50-fence.yaml") if item["kind"] == "ValidatingAdmissionPolicy"]


@pytest.fixture
async def account(world: World, installation: Installation) -> AsyncIterator[Client]:
    """Give a client with the controller's token and every right in the namespace: only the fence is left."""
    await world.admin.post(
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{world.namespace}/rolebindings",
        {
            "metadata": {"name": "everything"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "schemagate-controller", "namespace": NAMESPACE}],
        },
    )
    # What the product's own role does not grant tells that the binding is known.
    await holds(world, f"system:serviceaccount:{NAMESPACE}:schemagate-controller", "patch", "batch", "jobs")
    async with installation.client("schemagate-controller") as client:
        yield client


@pytest.fixture
async def fenced(world: World, account: Client) -> Client:
    """Give the same client once the fence knows the Deployments: two that are not meant, and the Gateway's."""
    for name in ("another", "ssg", "zebra"):
        await world.create(deployment(name, **(DEPLOYED if name == "ssg" else {})))
    await until(lambda: refused(world, account, job(hostNetwork=True), "on the network of its node"))
    return account


async def refused(world: World, client: Client, manifest: dict[str, Any], words: str, namespace: str = "") -> bool:
    """Tell whether a Job is refused by the fence in these words."""
    try:
        path = world.path("Job") if not namespace else f"/apis/batch/v1/namespaces/{namespace}/jobs"
        await client.post(path, manifest, dryRun="All")
    except ApiError as error:
        return by_the_fence(error, words)
    return False


def by_the_fence(error: ApiError, words: str) -> bool:
    """Tell whether the fence refused in these words, among others perhaps."""
    said = json.dumps(error.body)
    assert error.status in {403, 422}, error
    assert "ValidatingAdmissionPolicy" in said, said
    return words in said


async def test_no_other_job_can_be_created(world: World, fenced: Client) -> None:
    passed = [
        name for name, (made, words) in FORBIDDEN_JOBS.items() if not await refused(world, fenced, made, words)
    ]
    assert not passed
    for namespace in (NAMESPACE, "kube-system", "kube-node-lease"):
        assert await refused(world, fenced, job(), "no migration belongs into this namespace", namespace)


async def test_migrations_can_be_created(world: World, fenced: Client) -> None:
    for name, made in ALLOWED_JOBS.items():
        stored = await fenced.post(world.path("Job"), made, dryRun="All")
        assert stored["metadata"]["name"] == made["metadata"]["name"], name


async def test_privileges_are_refused_where_there_is_no_deployment_to_compare_with(
    world: World, account: Client
) -> None:
    await until(lambda: refused(world, account, job(hostPID=True), "no access to its node"))
    for name in ("hostPath", "privileged", "token by default", "another name", "no owner"):
        assert await refused(world, account, *FORBIDDEN_JOBS[name]), name
    await account.post(world.path("Job"), job(serviceAccountName="own", hostNetwork=True), dryRun="All")


async def test_jobs_are_never_changed_and_only_migrations_deleted(world: World, fenced: Client) -> None:
    ours, nightly = job(), job()
    nightly["metadata"] = {"name": "nightly"}
    record = await world.create(
        {"apiVersion": RECORD_API_VERSION, "kind": "GatewayMigration", "metadata": {"name": "ssg"}}
    )
    # One whose owner is not there is the garbage collector's, sooner or later.
    ours["metadata"]["ownerReferences"][0]["uid"] = record["metadata"]["uid"]
    for made in (ours, nightly):
        made["spec"]["suspend"] = True
        await world.create(made)
    path = world.path("Job", ours["metadata"]["name"])
    with pytest.raises(ApiError) as caught:
        await fenced.patch(path, {"spec": {"suspend": False}}, dryRun="All")
    assert by_the_fence(caught.value, "the controller changes no Job")
    with pytest.raises(ApiError) as caught:
        await fenced.delete(world.path("Job", "nightly"), dryRun="All")
    assert by_the_fence(caught.value, "migration Jobs alone")
    await fenced.delete(path, dryRun="All")


async def test_deployments_are_only_resumed_and_annotated(
    no_controller: Installation, world: World, fenced: Client
) -> None:
    # A controller would release in between what is held for nobody.
    path = world.path("Deployment", "ssg")

    async def judged(changes: dict[str, Change]) -> None:
        for name, (patch, words) in changes.items():
            if not words:
                await fenced.patch(path, patch, JSON_PATCH, dryRun="All")
                continue
            with pytest.raises(ApiError) as caught:
                await fenced.patch(path, patch, JSON_PATCH, dryRun="All")
            assert by_the_fence(caught.value, words), (name, caught.value)

    await judged(DEPLOYMENT_CHANGES)
    await world.patch(
        "Deployment", "ssg", {"spec": {"paused": True}, "metadata": {"annotations": {HELD: "0" * 16}}}
    )
    await judged(HELD_CHANGES)
    words = "neither creates nor deletes Deployments"
    with pytest.raises(ApiError) as caught:
        await fenced.post(world.path("Deployment"), deployment("new"), dryRun="All")
    assert by_the_fence(caught.value, words)
    with pytest.raises(ApiError) as caught:
        await fenced.delete(path, dryRun="All")
    assert by_the_fence(caught.value, words)


async def test_others_are_not_fenced_in(world: World, fenced: Client) -> None:
    for made, _ in FORBIDDEN_JOBS.values():
        await world.admin.post(world.path("Job"), made, dryRun="All")
    await world.admin.patch(world.path("Deployment", "ssg"), {"spec": {"replicas": 3}}, dryRun="All")
    await world.admin.delete(world.path("Deployment", "ssg"), dryRun="All")


async def test_a_gateway_with_all_that_is_allowed_migrates(world: World, controller: Replica) -> None:
    settings = copy.deepcopy(DEPLOYED)
    gateway = settings["containers"][0]
    gateway["env"].append({"name": "SSG_DATABASE_JDBC_URL", "value": f"jdbc:mysql://{world.database}:3306/ssg"})
    gateway["volumeMounts"].append({"name": "license", "mountPath": LICENSE_PATH, "subPath": "license.xml"})
    await world.create(deployment("another"))
    await world.create(deployment("ssg", hostNetwork=True, **settings))
    await world.write_record("ssg", image=NEW)
    await world.reaches("Complete", image=NEW)
    (made,) = await world.jobs()
    pod = made["spec"]["template"]["spec"]
    assert pod["hostNetwork"]
    assert {volume["name"] for volume in pod["volumes"]} == {volume["name"] for volume in settings["volumes"]}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["metadata"]["name"])
async def test_the_api_server_finds_no_fault_with_the_types(
    world: World, installation: Installation, policy: dict[str, Any]
) -> None:
    async def checked() -> dict[str, Any] | None:
        found = await world.admin.get(path_of(policy))
        status: dict[str, Any] = found.get("status", {})
        return status if status.get("observedGeneration") == found["metadata"]["generation"] else None

    status = await until(checked, what="its types are checked")
    assert status is not None
    assert not status["typeChecking"].get("expressionWarnings")
