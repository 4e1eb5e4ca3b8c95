"""What the API server asks the webhooks about, and what becomes of the rest when they are away."""

import copy
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.controlplane.arguments import free_ports
from tests.controlplane.client import STRATEGIC, ApiError, until
from tests.live.fence import deployment
from tests.live.installation import NAMESPACE, Installation
from tests.live.world import NEW, OLD, Manifest, World
from webhook.policy.names import GATEWAY_CONTAINER, LICENSE_PATH

COUNTED = re.compile(r"apiserver_admission_webhook_(?:request_total|fail_open_count)\{(.*)\} (\S+)$", re.MULTILINE)
RESTARTED = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
MUTATE, VALIDATE = "deployments.mutate", "deployments.validate"


class Meter:
    """Counts what acts cost. The API server is slow to tell, so that each count is the next one's beginning."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._before = Counter[str]()

    async def cost(self, act: Awaitable[object] | None = None) -> Counter[str]:
        """Give the calls of each webhook that an act costs, with those that came before it uncounted."""
        if act is not None:
            await act
            await self._world.cached()
        now = Counter[str]()
        for labels, number in COUNTED.findall(await self._world.admin.text("/metrics")):
            (name,) = re.findall(r'name="([^"]+)"', labels)
            if name.endswith(".schemagate.io"):
                now[name.removesuffix(".schemagate.io")] += int(float(number))
        told, self._before = now - self._before, now
        return told


def gateway(path: str = LICENSE_PATH, **metadata: Any) -> Manifest:
    """Give a Gateway without replicas, as a person writes it, its license mounted at this path."""
    container = {
        "name": "gateway",
        "image": OLD,
        "env": [{"name": "SSG_DATABASE_JDBC_URL", "value": "jdbc:mysql://db-registration:3306/ssg"}],
        "volumeMounts": [{"name": "license", "mountPath": path, "subPath": "license.xml"}],
    }
    made = deployment(
        "ssg", containers=[container], volumes=[{"name": "license", "secret": {"secretName": "license"}}]
    )
    made["metadata"] = {"name": "ssg", **metadata}
    return made


def pod(mounts: list[Manifest] | None = None, **metadata: Any) -> Manifest:
    container: Manifest = {"name": "main", "image": "registry.example.com/main:1"}
    if mounts:
        container["volumeMounts"] = mounts
    volumes = [{"name": "license", "emptyDir": {}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "single", **metadata},
        "spec": {"containers": [container], "volumes": volumes},
    }


def of_a_replica_set() -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a-1", "uid": "1", "controller": True}


@pytest.fixture
async def quiet(world: World, no_controller: Installation) -> World:
    """Give the world with no controller that would make calls of its own."""
    return world


@pytest.fixture
async def meter(quiet: World) -> AsyncIterator[Meter]:
    """Give a meter that begins now, once the webhooks are asked at all; nobody else changes anything meanwhile."""
    made = Meter(quiet)
    path = quiet.path("Deployment")
    await until(lambda: made.cost(quiet.admin.post(path, gateway(), dryRun="All")), what="webhooks are asked")
    with quiet.plane.frozen("kube-controller-manager"):
        yield made


async def test_other_workloads_cost_no_call(quiet: World, meter: Meter) -> None:
    admin, path = quiet.admin, quiet.path("Deployment")

    async def acts() -> None:
        # Neither annotations nor mounts, nothing before: none of that may make a condition fail.
        plain = deployment("plain")
        del plain["metadata"]["annotations"]
        await admin.post(path, plain)
        await admin.patch(f"{path}/plain", RESTARTED, STRATEGIC)
        await admin.patch(f"{path}/plain", {"spec": {"paused": True}})
        await admin.patch(f"{path}/plain", {"metadata": {"annotations": {"a": "b"}}})
        await admin.patch(f"{path}/plain/scale", {"spec": {"replicas": 1}})
        await admin.patch(f"{path}/plain", {"spec": {"replicas": 0}})
        mounts = [{"name": "v", "mountPath": f"/etc/file-{number}.xml"} for number in range(100)]
        containers = [
            {"name": f"c{number}", "image": "registry.example.com/main:1", "volumeMounts": mounts}
            for number in range(10)
        ]
        large = deployment("large", containers=containers, volumes=[{"name": "v", "emptyDir": {}}])
        await admin.post(path, large)
        await admin.patch(f"{path}/large", RESTARTED)
        await admin.delete(f"{path}/plain")
        pods = quiet.path("Pod")
        license_mount = [{"name": "license", "mountPath": LICENSE_PATH}]
        await admin.post(pods, pod(), dryRun="All")
        await admin.post(pods, pod(license_mount), dryRun="All")
        await admin.post(pods, pod(ownerReferences=[of_a_replica_set()]), dryRun="All")

    assert not await meter.cost(acts())


async def test_a_gateway_costs_a_call_each_when_other_pods_may_start(quiet: World, meter: Meter) -> None:
    admin, path = quiet.admin, quiet.path("Deployment", "ssg")
    both = {MUTATE: 1, VALIDATE: 1}
    assert await meter.cost(admin.post(quiet.path("Deployment"), gateway())) == both
    assert await meter.cost(quiet.set_image("ssg", NEW)) == both
    assert await meter.cost(admin.patch(path, RESTARTED, STRATEGIC)) == both
    assert await meter.cost(admin.patch(path, {"spec": {"paused": True}})) == both
    assert await meter.cost(admin.patch(path, {"spec": {"paused": False}})) == both
    more = {"spec": {"replicas": 3}}  # on a dry run: the pods are not what is counted here
    assert not await meter.cost(admin.patch(path, more, dryRun="All"))
    assert not await meter.cost(admin.patch(f"{path}/scale", more, dryRun="All"))
    assert not await meter.cost(admin.patch(path, {"spec": {"revisionHistoryLimit": 3}}))
    assert not await meter.cost(admin.patch(path, {"metadata": {"annotations": {"a": "b"}}}))
    assert not await meter.cost(admin.patch(f"{path}/status", {"status": {"collisionCount": 1}}))
    mounted = pod([{"name": "license", "mountPath": LICENSE_PATH}], ownerReferences=[of_a_replica_set()])
    assert await meter.cost(admin.post(quiet.path("Pod"), mounted, dryRun="All")) == {"pods.mutate": 1}
    assert not await meter.cost(admin.delete(path))


async def test_a_gateway_by_annotation_is_judged(quiet: World) -> None:
    made = gateway("/license", annotations={GATEWAY_CONTAINER: "gateway"})
    await quiet.create(made)
    await guarded(quiet)
    assert "is blocked" in await quiet.denial("ssg", NEW)


async def test_excluded_namespaces_cost_no_call(quiet: World, meter: Meter) -> None:
    for namespace in (NAMESPACE, "kube-system", "kube-node-lease"):
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        assert not await meter.cost(quiet.admin.post(path, gateway(), dryRun="All")), namespace


async def guarded(world: World) -> None:
    """Have a record, and wait until the webhook knows."""
    await world.write_record("ssg")

    async def known() -> bool:
        try:
            await world.set_image("ssg", NEW, dryRun="All")
        except ApiError as error:
            return error.status == 403
        return False

    await until(known, what="the webhook knows the record")


def without_license(made: Manifest) -> None:
    del made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]


def renamed(made: Manifest) -> None:
    made["spec"]["template"]["spec"]["containers"][0]["name"] = "ssg"


def renamed_without_license(made: Manifest) -> None:
    renamed(made)
    without_license(made)


def spelled(path: str) -> Callable[[Manifest], None]:
    def change(made: Manifest) -> None:
        made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] = path

    return change


ODD = LICENSE_PATH.replace("/opt/", "//opt/..//opt/").replace("/license.xml", "//license.xml/")
WAYS_AROUND: dict[str, tuple[Callable[[Manifest], None], str]] = {
    "without license": (without_license, "takes the Gateway container out"),
    "renamed": (renamed, f"to {NEW} is blocked"),
    "renamed without license": (renamed_without_license, "takes the Gateway container out"),
    "license mounted oddly": (spelled(ODD), f"to {NEW} is blocked"),
    "license mounted without root": (spelled(LICENSE_PATH.removeprefix("/")), f"to {NEW} is blocked"),
}


@pytest.mark.parametrize("way", WAYS_AROUND)
async def test_there_is_no_way_around_the_gate(quiet: World, way: str) -> None:
    change, words = WAYS_AROUND[way]
    stored = await quiet.create(gateway())
    await guarded(quiet)
    wanted = copy.deepcopy(stored)
    del wanted["metadata"]["resourceVersion"]
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = NEW
    change(wanted)
    with pytest.raises(ApiError) as caught:
        await quiet.admin.put(quiet.path("Deployment", "ssg"), wanted)
    assert caught.value.status == 403
    assert words in caught.value.message


async def test_a_gateway_that_was_always_mounted_oddly_is_guarded(quiet: World) -> None:
    await quiet.create(gateway(ODD))
    await guarded(quiet)
    assert f"to {NEW} is blocked" in await quiet.denial("ssg", NEW)


@pytest.fixture
async def unreachable(quiet: World, no_controller: Installation) -> AsyncIterator[World]:
    """Register the webhooks where nobody listens, and put them back afterwards."""
    (hooks,) = await quiet.admin.items("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations")
    url = hooks["webhooks"][0]["clientConfig"]["url"]
    port = int(url.removeprefix("https://127.0.0.1:").partition("/")[0])
    await quiet.create(gateway())

    async def answers() -> bool:
        try:
            await quiet.set_image("ssg", NEW, dryRun="All")
        except ApiError as error:
            if error.status != 500:
                raise
            return False
        return True

    async def is_gone() -> bool:
        return not await answers()

    await no_controller.apply(quiet.admin, webhook_port=free_ports(1)[0])
    try:
        await until(is_gone, what="the API server knows that the webhooks are elsewhere")
        yield quiet
    finally:
        await no_controller.apply(quiet.admin, webhook_port=port)
        await until(answers, what="the API server asks the webhooks again")


async def test_without_webhooks_only_the_rollout_of_a_gateway_is_refused(unreachable: World) -> None:
    admin, path = unreachable.admin, unreachable.path("Deployment", "ssg")
    with pytest.raises(ApiError) as caught:
        await unreachable.set_image("ssg", NEW)
    assert caught.value.status == 500
    assert "deployments.validate.schemagate.io" in caught.value.message
    await admin.patch(path, {"spec": {"replicas": 1}})
    await admin.patch(f"{path}/scale", {"spec": {"replicas": 0}})
    await admin.patch(path, {"metadata": {"annotations": {"a": "b"}}})
    await admin.post(unreachable.path("Deployment"), deployment("plain"))
    await admin.patch(unreachable.path("Deployment", "plain"), RESTARTED, STRATEGIC)
    # Pods of a Gateway start: one that is not told to skip finds its schema migrated.
    mounted = pod([{"name": "license", "mountPath": LICENSE_PATH}], ownerReferences=[of_a_replica_set()])
    await admin.post(unreachable.path("Pod"), mounted, dryRun="All")
    await admin.post(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", gateway(), dryRun="All")
    await admin.delete(path, dryRun="All")
