"""``schemagate doctor`` on a real API server: a healthy installation, then one fault after another."""

import asyncio
import base64
import copy
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certs.authority import CertificateAuthority
from tests.controlplane.arguments import free_ports
from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.objects import install, stock
from tests.live.deployed import CONFIGURATIONS, DEFINITION, MANIFESTS, NAMESPACE, Deployed
from tests.live.installation import Replica
from tests.live.test_cli import Person
from tests.live.test_helm import NAME, release
from tests.live.world import OLD, World
from webhook.policy.diagnosis.line import Check
from webhook.policy.names import MIGRATION_JOB

pytestmark = pytest.mark.timeout(900)  # each of a dozen faults is asked about several times

MUTATING, VALIDATING = (
    f"{CONFIGURATIONS}/{kind}webhookconfigurations/schemagate" for kind in ("mutating", "validating")
)
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/schemagate-controller"
POLICY = f"{CONFIGURATIONS}/validatingadmissionpolicies/jobs.controller.schemagate.io"
WEBHOOK = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/schemagate-webhook"
Line = dict[str, str]
Manifest = dict[str, Any]


class Site:
    """A healthy installation with one governed Gateway, and a person who asks the doctor."""

    def __init__(self, deployed: Deployed, world: World, leader: Replica, person: Person) -> None:
        self.deployed, self.world, self.leader, self.person = deployed, world, leader, person
        self.admin = deployed.admin
        self.code, self.lines = 0, list[Line]()

    async def ask(self, *flags: str) -> tuple[int, list[Line]]:
        """Give exit code and lines."""
        done = await self.person.runs("schemagate", "doctor", "-o", "json", *flags)
        assert done.err == ""
        return done.code, json.loads(done.out)

    async def finds(self, *expected: tuple[str, str]) -> list[Line]:
        """Wait until exactly these lines (level, check) are not OK, and give them.

        The API server loads changed configurations and rights a moment after it has stored them.
        """
        last: list[Line] = []

        async def there() -> bool:
            nonlocal last
            self.code, self.lines = await self.ask()
            last = [line for line in self.lines if line["level"] != "OK"]
            return sorted((line["level"], line["check"]) for line in last) == sorted(expected)

        try:
            await until(there, 120)
        except TimeoutError:
            raise AssertionError(f"expected {expected}, but: {json.dumps(last, indent=2)}") from None
        return last

    @asynccontextmanager
    async def changed(self, path: str, change: Callable[[Manifest], None]) -> AsyncIterator[None]:
        """Have an object changed for a while."""
        before = await self.admin.get(path)
        after = copy.deepcopy(before)
        change(after)
        await until(lambda: self._put(path, after), what=f"{path} is changed")
        yield
        await until(lambda: self._put(path, before), what=f"{path} is as it was")

    async def _put(self, path: str, wanted: Manifest) -> Manifest:
        """Store an object, whatever its version is now: controllers write its status meanwhile."""
        version = (await self.admin.get(path))["metadata"]["resourceVersion"]
        wanted["metadata"]["resourceVersion"] = version
        return await self.admin.put(path, wanted)


@pytest.fixture
async def site(plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Site]:
    async with Client(plane.api_url, plane.client_context) as admin:
        deployed = Deployed(plane, admin, tmp_path)
        try:
            await install(admin, stock())
            await admin.post("/api/v1/namespaces", {"metadata": {"name": "team-a"}})
            account = "/api/v1/namespaces/team-a/serviceaccounts/default"
            await until(lambda: admin.exists(account), what="the default service account")
            done = await deployed.kubectl("apply", "-k", str(MANIFESTS / "overlays" / "self-managed"))
            assert done.code == 0, done.err
            (port,) = free_ports(1)
            await deployed.register_by_url(port)
            await deployed.start("webhook", port, SCHEMAGATE_CERTIFICATE_NAMES="127.0.0.1")
            leader = await deployed.start("controller", SCHEMAGATE_CERTIFICATE_NAMES="127.0.0.1")
            await deployed.trusted()
            world = World(admin, "team-a", plane)
            await world.operator_gateway(**{MIGRATION_JOB: "enabled"})
            await world.reaches("Complete", image=OLD)
            yield Site(deployed, world, leader, Person(plane.admin_kubeconfig, tmp_path))
        finally:
            deployed.close()


async def test_a_healthy_installation_is_well_and_every_fault_is_found_by_its_line(site: Site) -> None:
    await site.finds()
    assert site.code == 0
    assert {line["check"] for line in site.lines} == {check.value for check in Check}
    before = await site.admin.items("/apis/apps/v1/namespaces/default/deployments")
    assert before == []  # the canary was a dry run

    for fault in FAULTS:
        await fault(site)
        await site.finds()
    await a_stranger_asks(site)
    await without_a_leader(site)


async def failure_policy(site: Site) -> None:
    def change(found: Manifest) -> None:
        found["webhooks"][0]["failurePolicy"] = "Ignore"

    async with site.changed(VALIDATING, change):
        (line,) = await site.finds(("FAIL", "Webhooks"))
        assert "failurePolicy" in line["message"]
        assert "deployments.validate.schemagate.io" in line["message"]
        assert (await site.ask())[0] == 1


async def a_gateway_left_out(site: Site) -> None:
    def change(found: Manifest) -> None:
        found["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"].append("team-a")

    async with site.changed(VALIDATING, change):
        (line,) = await site.finds(("FAIL", "Webhooks"))
        assert "leaves out Gateways in namespace team-a" in line["message"]


async def a_foreign_expression(site: Site) -> None:
    """What managed clusters add to every webhook is no fault."""

    def change(found: Manifest) -> None:
        for hook in found["webhooks"]:
            mine = {"key": "control-plane", "operator": "DoesNotExist"}
            hook["namespaceSelector"]["matchExpressions"].append(mine)

    async with site.changed(VALIDATING, change):
        await site.finds()


async def no_configuration(site: Site) -> None:
    stored = await site.admin.get(VALIDATING)
    await site.admin.delete(VALIDATING)
    missing, canary = sorted(
        await site.finds(("FAIL", "Webhooks"), ("FAIL", "Canary")), key=lambda line: line["check"], reverse=True
    )
    assert "there is no ValidatingWebhookConfiguration schemagate" in missing["message"]
    assert "without schemagate being asked" in canary["message"]
    del stored["metadata"]["resourceVersion"], stored["metadata"]["uid"]
    await site.admin.post(VALIDATING.rpartition("/")[0], stored)


async def an_old_definition(site: Site) -> None:
    def change(found: Manifest) -> None:
        fields = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        del fields["podAttempts"]

    async with site.changed(DEFINITION, change):
        (line,) = await site.finds(("FAIL", "Definition"))
        assert "it lacks spec.podAttempts" in line["message"]


async def no_pods(site: Site) -> None:
    await site.admin.patch(WEBHOOK, {"spec": {"replicas": 0}})
    (line,) = await site.finds(("WARN", "Service"))
    assert "no ready endpoint" in line["message"]
    await site.admin.patch(WEBHOOK, {"spec": {"replicas": 2}})


async def a_right_taken_away(site: Site) -> None:
    def change(found: Manifest) -> None:
        found["rules"] = [rule for rule in found["rules"] if rule["apiGroups"] != ["events.k8s.io"]]

    async with site.changed(ROLE, change):
        (line,) = await site.finds(("FAIL", "Rights"))
        assert "schemagate-controller may not list events.events.k8s.io" in line["message"]


async def no_fence(site: Site) -> None:
    stored = await site.admin.get(POLICY)
    await site.admin.delete(POLICY)
    (line,) = await site.finds(("FAIL", "Fences"))
    assert "jobs.controller.schemagate.io" in line["message"]
    del stored["metadata"]["resourceVersion"], stored["metadata"]["uid"]
    await site.admin.post(POLICY.rpartition("/")[0], stored)


async def a_hollow_fence(site: Site) -> None:
    def change(found: Manifest) -> None:
        found["spec"]["validations"] = [{"expression": "true"}]

    async with site.changed(POLICY, change):
        (line,) = await site.finds(("FAIL", "Fences"))
        assert "jobs.controller.schemagate.io: validations not as this version needs it" in line["message"]


async def two_images(site: Site) -> None:
    """What is left where one of both was updated alone."""

    def change(found: Manifest) -> None:
        found["spec"]["template"]["spec"]["containers"][0]["image"] = "schemagate:99.0.0"

    async with site.changed(WEBHOOK, change):
        lines = await site.finds(("WARN", "Processes"), ("WARN", "Processes"))
        told = " ".join(line["message"] for line in lines)
        assert "schemagate-webhook runs schemagate:99.0.0; schemagate-controller runs schemagate:" in told
        assert "which is newer than this program" in told


async def a_foreign_job(site: Site) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "migrate", "image": OLD}]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "ssg-db-migration"},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
    await site.world.create(job)
    (line,) = await site.finds(("WARN", "ForeignJobs"))
    assert "Job team-a/ssg-db-migration" in line["message"]
    await site.admin.delete(site.world.path("Job", "ssg-db-migration"), propagationPolicy="Background")


async def an_unguarded_gateway(site: Site) -> None:
    await site.world.create(await release(site.world))
    (line,) = await site.finds(("WARN", "Coverage"))
    assert f"1 of 2 Gateways roll out unguarded: team-a/{NAME}" in line["message"]
    await site.admin.delete(site.world.path("Deployment", NAME))


FAULTS: list[Callable[[Site], Awaitable[None]]] = [
    failure_policy,
    a_gateway_left_out,
    a_foreign_expression,
    no_configuration,
    an_old_definition,
    no_pods,
    a_right_taken_away,
    no_fence,
    a_hollow_fence,
    two_images,
    a_foreign_job,
    an_unguarded_gateway,
]


async def a_stranger_asks(site: Site) -> None:
    """Somebody who may read nothing is told so, right by right."""
    plane = site.deployed.plane
    stranger = Person(plane.user_kubeconfig("stranger", ()), plane.folder)
    done = await stranger.runs("schemagate", "doctor", "-o", "json")
    lines = [line for line in json.loads(done.out) if line["level"] != "OK"]
    assert done.code == 2
    assert {line["level"] for line in lines} == {"UNKNOWN"}
    assert {line["check"] for line in lines} == {check.value for check in Check} - {"Kubernetes", "Clocks"}
    assert all("you may not " in line["message"] for line in lines)


async def without_a_leader(site: Site) -> None:
    """Nobody leads; then a caBundle is wrong too, which a leader would have mended."""
    await asyncio.to_thread(site.leader.component.stop, signal.SIGTERM)
    (line,) = await site.finds(("FAIL", "Leader"))
    assert "nobody holds Lease schemagate-controller" in line["message"]
    stranger = CertificateAuthority.create("stranger", now=datetime.now(UTC), lifetime=timedelta(days=1))
    bundle = base64.b64encode(stranger.certificate_pem).decode()

    def change(found: Manifest) -> None:
        found["webhooks"][0]["clientConfig"]["caBundle"] = bundle

    async with site.changed(VALIDATING, change):
        found = await site.finds(("FAIL", "Leader"), ("FAIL", "CABundle"), ("FAIL", "Canary"))
        told = {line["check"]: line["message"] for line in found}
        assert "the CA bundle of deployments.validate.schemagate.io" in told["CABundle"]
        assert "certificate signed by unknown authority" in told["Canary"]
