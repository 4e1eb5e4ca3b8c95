"""The second lock: what the API server refuses by itself, from records alone, with our webhooks gone."""

import asyncio
import copy
import functools
import shlex
from collections.abc import AsyncIterator, Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controlplane.client import ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.kubelet import pod_of
from tests.live.installation import MANIFESTS, path_of
from tests.live.people import holds
from tests.live.standing import Standing
from tests.live.tenant import forged_job, tenant
from tests.live.test_cli import Person
from tests.live.test_leaving import SIDECAR, annotate, by_folder, contain, gateway, hide
from tests.live.world import NEW, NEWER, OLD, Manifest, World, skips
from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL, ENFORCE, HELD, MIGRATION_JOB

pytestmark = pytest.mark.timeout(300)
FOLDER = MANIFESTS.parent / "second-lock"
POLICIES = [
    document
    for file in sorted(FOLDER.glob("[0-9]*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
    if document["kind"] == "ValidatingAdmissionPolicy"
]
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/{}webhookconfigurations/schemagate"
LOCKED = "second lock"
SLOW = f"{NEW}-slow"


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Standing]:
    """An installation with the lock on it, as people install that."""

    async def made() -> Standing:
        async with Client(plane.api_url, plane.client_context) as admin:
            site = Standing(plane, admin)
            await site.whole()
            await kubectl(plane, "apply", "-k", str(FOLDER))
            return site

    site = asyncio.run(made())
    yield site
    site.stop()


@pytest.fixture
async def site(installed: Standing, plane: ControlPlane) -> AsyncIterator[Standing]:
    """Give the installation to one test."""
    async with Client(plane.api_url, plane.client_context) as admin:
        installed.admin = admin
        yield installed


@pytest.fixture
async def here(site: Standing) -> World:
    """Give a namespace with a Gateway under guard and no webhook of ours."""
    world = await site.world()
    await world.operator_gateway()
    await world.write_record("ssg")
    await world.reaches("Complete", image=OLD)
    for kind in ("mutating", "validating"):
        if await site.admin.exists(CONFIGURATIONS.format(kind)):
            await site.admin.delete(CONFIGURATIONS.format(kind))
    await until(lambda: locked(world.set_image("ssg", NEW, dryRun="All")), what="the lock alone is left")
    return world


async def kubectl(plane: ControlPlane, *arguments: str, fails: bool = False) -> str:
    process = await asyncio.create_subprocess_exec(
        *(str(plane.kubectl), "--kubeconfig", str(plane.admin_kubeconfig), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode != 0) == fails, out.decode()
    return out.decode()


async def locked(asked: Awaitable[object], words: str = LOCKED) -> bool:
    """Tell whether the lock refuses a request in these words; what anything else refuses is an error."""
    try:
        await asked
    except ApiError as error:
        if error.status == 403 and "ValidatingAdmissionPolicy" in error.message and words in error.message:
            return True
        raise
    return False


async def test_an_image_passes_once_its_migration_is_complete_and_a_rollback_too(here: World) -> None:
    await here.patch("GatewayMigration", "ssg", {"spec": {"image": NEW}})
    await here.reaches("Complete", image=NEW)
    await until(lambda: here.set_image("ssg", NEW), what="the lock knows of it")
    await here.settled()
    assert await locked(here.set_image("ssg", NEWER))
    await here.set_image("ssg", OLD)
    await here.settled()


async def test_what_starts_no_other_gateway_passes(here: World) -> None:
    path = here.path("Deployment", "ssg")
    await here.admin.patch(f"{path}/scale", {"spec": {"replicas": 3}})
    await here.patch("Deployment", "ssg", {"metadata": {"annotations": {"a": "b"}}})
    restart = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}
    await here.patch("Deployment", "ssg", restart)
    await here.settled()
    await here.set_image("ssg", "docker.io/caapim/gateway:11.1.00_CR2", dryRun="All")
    assert await locked(here.set_image("ssg", "docker.io/caapim/gateway:latest"))
    assert await locked(here.set_image("ssg", f"{NEW}@sha256:{'0' * 64}"))


async def test_only_what_a_record_guards_is_locked(here: World) -> None:
    other = copy.deepcopy(await here.get("Deployment", "ssg"))
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "other"}, "spec": other["spec"]}
    await here.create(made)
    await here.set_image("other", NEW)

    async def free(**spec: Any) -> None:
        await here.patch("GatewayMigration", "ssg", {"spec": spec})

        async def passes() -> bool:
            return not await locked(here.set_image("ssg", NEWER, dryRun="All"))

        await until(passes, what=f"{spec} lets it pass")

    async def shut(**spec: Any) -> None:
        await here.patch("GatewayMigration", "ssg", {"spec": spec})
        await until(lambda: locked(here.set_image("ssg", NEWER, dryRun="All")), what=f"{spec} locks it")

    await free(mode="Warn")
    await shut(mode="Hold")
    await free(enabled=False)
    await shut(enabled=True, mode=None)
    namespace = f"/api/v1/namespaces/{here.namespace}"
    for label, act in (("audit", free), ("nonsense", shut), ("warn", free), ("reject", shut)):
        await here.admin.patch(namespace, {"metadata": {"labels": {ENFORCE: label}}})
        await act()


async def test_a_gateway_cannot_be_renamed_away(here: World, plane: ControlPlane) -> None:
    (container,) = (await here.get("Deployment", "ssg"))["spec"]["template"]["spec"]["containers"]
    container["volumeMounts"] = [
        mount for mount in container["volumeMounts"] if "license.xml" not in mount["mountPath"]
    ]
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    asked = functools.partial(here.patch, "Deployment", "ssg", patch)
    with pytest.raises(ApiError, match="loses its Gateway container") as caught:
        await asked()
    command = caught.value.message.partition("unguarded: ")[2]
    assert command.startswith("kubectl patch gwm "), caught.value.message
    await kubectl(plane, *shlex.split(command)[1:])

    async def free() -> bool:
        return not await locked(asked(), "loses its Gateway container")

    await until(free, what="what it says to do lets it go")


async def test_a_gateway_known_by_its_annotation_keeps_it(here: World) -> None:
    await hide(here)
    assert await locked(annotate(here, None), "loses its Gateway container")
    await contain(here, await gateway(here), SIDECAR)
    assert await locked(annotate(here, "side"), "loses its Gateway container")
    assert await locked(here.set_image("ssg", NEW))


async def test_a_gateway_is_not_hidden_behind_another_container_or_a_pause(here: World) -> None:
    running = await gateway(here)
    decoy = {**SIDECAR, "volumeMounts": running["volumeMounts"]}
    assert await locked(contain(here, decoy, by_folder(running)), "loses its Gateway container")
    await here.patch("Deployment", "ssg", {"spec": {"paused": True}})
    assert await locked(contain(here, by_folder(running)), "loses its Gateway container")


async def test_a_paused_rollout_is_stored_and_resumed_once_it_is_migrated(here: World) -> None:
    containers = (await here.get("Deployment", "ssg"))["spec"]["template"]["spec"]["containers"]
    containers[0]["image"] = NEW
    held = {"spec": {"paused": True, "template": {"spec": {"containers": containers}}}}
    await here.patch("Deployment", "ssg", held)
    assert await locked(here.patch("Deployment", "ssg", {"spec": {"paused": False}}))
    await here.wants(NEW)
    await here.reaches("Complete", image=NEW)
    resume = {"spec": {"paused": False}}
    await until(lambda: here.patch("Deployment", "ssg", resume), what="the lock knows of it")
    await here.settled()


async def test_a_first_install_passes_where_pods_migrate_by_themselves(here: World) -> None:
    running = await here.get("Deployment", "ssg")
    for name, first, passes in (("mine", None, True), ("ours", "Migrate", False), ("theirs", "Gateway", True)):
        await here.write_record(name, **({"firstInstall": first} if first else {}))
        made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": running["spec"]}

        async def asked(made: Manifest = made) -> bool:
            return await locked(here.admin.post(here.path("Deployment"), {**made}, dryRun="All"))

        if passes:
            assert not await asked()
        else:
            await until(asked, what="the lock knows the record")


async def test_break_glass_opens_it_to_a_person_who_holds_the_verb(here: World, plane: ControlPlane) -> None:
    def notes(hours: float, reason: str = "on call", mark: str = "0" * 16) -> Manifest:
        until_then = (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")
        return {BYPASS_REASON: reason, BYPASS_UNTIL: until_then.replace("+00:00", "Z"), BYPASS_HASH: mark}

    for wrong in (notes(-1), notes(25), notes(1, reason=" "), notes(1, mark="0")):
        await here.patch("Deployment", "ssg", {"metadata": {"annotations": wrong}})
        assert await locked(here.set_image("ssg", NEW)), wrong
    await here.patch("Deployment", "ssg", {"metadata": {"annotations": notes(1)}})
    async with tenant(here) as account:
        path = here.path("Deployment", "ssg")
        patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": NEW}]
        assert await locked(account.patch(path, patch, "application/json-patch+json"))
    grant = ("create", "rolebinding", "dora", "--clusterrole=edit", "--user=dora", "-n", here.namespace)
    assert "created" in await kubectl(plane, *grant)
    await holds(here, "dora", "patch", "apps", "deployments")
    attempt = ("set", "image", "deployment/ssg", f"gateway={NEW}", "-n", here.namespace, "--as=dora")
    assert LOCKED in await kubectl(plane, *attempt, fails=True)
    await here.set_image("ssg", NEW)
    await here.settled()


async def test_what_is_held_is_released_past_it(here: World, plane: ControlPlane, tmp_path: Path) -> None:
    containers = (await here.get("Deployment", "ssg"))["spec"]["template"]["spec"]["containers"]
    containers[0]["image"] = SLOW
    spec = {"paused": True, "template": {"spec": {"containers": containers}}}
    await here.patch("Deployment", "ssg", {"metadata": {"annotations": {HELD: "0" * 16}}, "spec": spec})
    person = Person(plane.admin_kubeconfig, tmp_path)
    done = await person.runs("schemagate", "release", "--all", "-A")
    assert done.code == 0, done
    assert f"{here.namespace}/ssg: released" in done.out
    await here.settled()


async def test_our_jobs_and_their_pods_are_nobodys_to_edit(here: World, plane: ControlPlane) -> None:
    await here.patch("GatewayMigration", "ssg", {"spec": {"image": SLOW}})
    await here.reaches("Running", image=SLOW)
    (job,) = await here.jobs()
    name = job["metadata"]["name"]
    pod = await pod_of(here.admin, here.namespace, name)
    words = "only schemagate's controller and Kubernetes itself write migration Jobs"
    of_job, of_pod = here.path("Job", name), here.path("Pod", pod["metadata"]["name"])
    admin = here.admin
    forged = forged_job(f"{name}-2", "0" * 16, NEW, await here.record())
    twin = {
        "metadata": {
            "name": "twin",
            **{key: pod["metadata"][key] for key in ("labels", "ownerReferences")},
        },
        "spec": {"containers": [{"name": "db-migration", "image": NEW}]},
    }
    entered = {"name": "debug", "image": NEW, "targetContainerName": pod["spec"]["containers"][0]["name"]}
    for asked in (
        admin.patch(of_job, {"metadata": {"labels": {"app.kubernetes.io/component": None}}}),
        admin.patch(of_job, {"spec": {"suspend": True}}),
        admin.patch(f"{of_job}/status", {"status": {"succeeded": 1}}),
        admin.patch(of_job, {"metadata": {"annotations": {"a": "b"}}}),
        admin.patch(of_pod, {"metadata": {"labels": {"a": "b"}}}),
        admin.patch(of_pod, {"metadata": {"annotations": {"a": "b"}, "finalizers": ["example.com/a"]}}),
        admin.patch(of_pod, {"metadata": {"ownerReferences": None}}),
        admin.patch(of_pod, {"spec": {"activeDeadlineSeconds": 1}}),
        admin.patch(f"{of_pod}/status", {"status": {"phase": "Succeeded"}}),
        admin.patch(
            f"{of_pod}/status", {"metadata": {"annotations": {"a": "b"}}, "status": {"phase": "Succeeded"}}
        ),
        admin.patch(f"{of_pod}/ephemeralcontainers", {"spec": {"ephemeralContainers": [entered]}}),
        admin.post(here.path("Job"), forged),
        admin.post(here.path("Pod"), twin),
    ):
        assert await locked(asked, words)
    # Plugins of the network note on a pod what they gave it, some through its status.
    for path, note in ((of_pod, "cni.projectcalico.org/podIP"), (f"{of_pod}/status", "k8s.ovn.org/pod-networks")):
        noted = await admin.patch(path, {"metadata": {"annotations": {note: "10.1.2.3"}}})
        assert noted["metadata"]["annotations"][note] == "10.1.2.3"
    for command in (["exec", pod["metadata"]["name"], "--", "true"], ["attach", pod["metadata"]["name"]]):
        told = await kubectl(plane, "-n", here.namespace, *command, fails=True)
        assert "nobody enters a pod that migrates a schema" in told, told
    await admin.delete(of_job, {"propagationPolicy": "Background"})

    async def gone() -> bool:
        return not await admin.exists(of_job) and not await admin.exists(of_pod)

    await until(gone, what="the Job goes with its pod")


async def test_the_whole_life_of_a_rollout_passes_with_webhooks_and_lock(site: Standing) -> None:
    await site.mend()
    world = await site.world()
    await world.operator_gateway(**{MIGRATION_JOB: "enabled"})
    await world.reaches("Complete", image=OLD)
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    await until(lambda: world.set_image("ssg", NEW), what="the lock knows of it")
    await world.settled()
    assert all(skips(pod) for pod in await world.pods())

    await world.patch("GatewayMigration", "ssg", {"spec": {"mode": "Hold"}})

    async def held() -> bool:
        return bool((await world.set_image("ssg", NEWER))["spec"].get("paused"))

    await until(held, what="it is held")
    await world.wants(NEWER)
    await world.reaches("Complete", image=NEWER)
    await world.settled()
    assert {pod["spec"]["containers"][0]["image"] for pod in await world.pods()} == {NEWER}

    await world.patch("Gateway", "ssg", {"metadata": {"annotations": {MIGRATION_JOB: None}}})

    async def gone() -> bool:
        return not await world.admin.exists(world.path("GatewayMigration", "ssg"))

    await until(gone, what="the record goes with its source")
    await until(lambda: no_jobs(world), what="its Jobs go with it")


async def no_jobs(world: World) -> bool:
    return not await world.jobs()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["metadata"]["name"])
async def test_the_api_server_finds_no_fault_with_the_types(site: Standing, policy: dict[str, Any]) -> None:
    async def checked() -> dict[str, Any] | None:
        found = await site.admin.get(path_of(policy))
        status: dict[str, Any] = found.get("status", {})
        return status if status.get("observedGeneration") == found["metadata"]["generation"] else None

    status = await until(checked, what="its types are checked")
    assert status is not None
    assert not status["typeChecking"].get("expressionWarnings")
