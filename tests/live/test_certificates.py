"""Self-managed certificates on a real API server: no call fails, whatever happens to them."""

import asyncio
import base64
import re
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from certs.bundle import certificates
from tests.controlplane.arguments import free_ports
from tests.controlplane.client import ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.live.balancer import Balancer
from tests.live.installation import NAMESPACE, Installation, Replica, manifests, path_of
from webhook.policy.names import LICENSE_PATH, ROTATE

pytestmark = pytest.mark.timeout(400)

CONFIGURATIONS = tuple(
    f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/schemagate"
    for kind in ("mutating", "validating")
)
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
AUTHORITY, LEAF = f"{SECRETS}/schemagate-ca", f"{SECRETS}/schemagate-webhook-tls"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "ssg"},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "ssg"}},
        "template": {
            "metadata": {"labels": {"app": "ssg"}},
            "spec": {
                "containers": [
                    {
                        "name": "gateway",
                        "image": "docker.io/caapim/gateway:11.2.5",
                        "volumeMounts": [{"name": "license", "mountPath": LICENSE_PATH, "subPath": "license.xml"}],
                    }
                ],
                "volumes": [{"name": "license", "secret": {"secretName": "license"}}],
            },
        },
    },
}
CALLS = int(__import__("os").environ.get("CALLS", "5000"))
CLIENTS = 8


class Site:
    """An installation whose controller keeps the certificates, behind one address."""

    def __init__(self, installation: Installation, admin: Client, ports: list[int], **settings: object) -> None:
        self.installation = installation
        self.admin = admin
        self.ports = ports
        self.settings = {
            "certificates": "self-managed",
            "certificate_names": "127.0.0.1",
            "lease_seconds": 3,
            "settle_seconds": 2,
            **settings,
        }
        self.replicas: list[Replica] = []

    def start(self, role: str, **more: object) -> Replica:
        replica = self.installation.start(role, wait=False, **{**self.settings, **more})
        self.replicas.append(replica)
        return replica

    async def ready(self) -> None:
        async def all_ready() -> bool:
            return all([await asyncio.to_thread(replica.ready) for replica in self.replicas])

        await until(all_ready, 60, "every replica is ready")

    async def bundles(self) -> list[bytes]:
        """Give the live bundle of every webhook."""
        found = [await self.admin.get(path) for path in CONFIGURATIONS]
        hooks = [hook["clientConfig"] for configuration in found for hook in configuration["webhooks"]]
        return [base64.b64decode(hook.get("caBundle", "")) for hook in hooks]

    async def shown(self, port: int, bundle: bytes) -> bytes:
        """Give the certificate that a replica shows to a strict client that trusts the bundle."""
        context = ssl.create_default_context(cadata=bundle.decode())
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return bytes(der)

    async def verified(self) -> bool:
        """Tell whether every replica is verified by every live bundle."""
        try:
            for bundle in await self.bundles():
                for port in self.ports:
                    await self.shown(port, bundle)
        except (ssl.SSLError, OSError, ValueError):
            return False
        return True

    async def leaf(self) -> bytes:
        secret = await self.admin.get(LEAF)
        return base64.b64decode(secret["data"]["tls.crt"])

    async def annotate(self, path: str, key: str) -> None:
        await self.admin.patch(path, {"metadata": {"annotations": {key: str(time.time())}}})

    async def writes(self) -> int:
        """Give how often the leader wrote bundles."""
        total = 0
        for replica in self.replicas:
            if "controller" in replica.component.name:
                told = await asyncio.to_thread(replica.metrics)
                total += sum(int(float(n)) for n in re.findall(r"ca_bundle_repairs_total\{.*\} (\S+)", told))
        return total


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A control plane of this module's own: the configurations are one to a cluster."""
    with ControlPlane(tmp_path_factory.mktemp("certificates")) as running:
        yield running


@pytest.fixture
async def site(plane: ControlPlane, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """Give an empty installation: nothing runs, no Secret, the webhooks registered without a bundle."""
    ports = free_ports(3)
    installation = Installation(plane)
    settings = getattr(request, "param", {})
    try:
        async with Client(plane.api_url, plane.client_context) as admin, Balancer(ports) as balancer:
            await installation.apply(admin)
            for path in (*CONFIGURATIONS, AUTHORITY, LEAF, "/api/v1/namespaces/team-a"):
                if await admin.exists(path):
                    await admin.delete(path)
            await installation.apply(admin, webhook_port=balancer.port, ca_bundle=False)
            yield Site(installation, admin, ports, **settings)
    finally:
        installation.stop()


async def test_three_of_each_boot_into_an_empty_namespace(site: Site) -> None:
    for port in site.ports:
        site.start("controller")
        site.start("webhook", port=port)
    await site.ready()
    assert await site.verified()
    (bundle,) = set(await site.bundles())
    assert len(certificates(bundle)) == 1
    secret = await site.admin.get(AUTHORITY)
    assert set(secret["data"]) == {"ca.crt", "ca.key", "previous.crt", "ends.json"}
    assert (await site.admin.get(LEAF))["type"] == "kubernetes.io/tls"
    (names,) = {certificate for certificate in [await site.shown(port, bundle) for port in site.ports]}
    assert names

    # Whatever somebody does to the bundle is mended at once, by one write each.
    for patch in (
        {"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"},
        {
            "op": "replace",
            "path": "/webhooks/0/clientConfig/caBundle",
            "value": _b64(site.installation.plane.ca_pem),
        },
    ):
        for path in CONFIGURATIONS:
            before = await site.writes()
            await site.admin.patch(path, [patch], "application/json-patch+json")
            await until(lambda: _same(site, bundle), 5, "the bundle is mended")
            await asyncio.sleep(0.5)
            assert await site.writes() == before + 1

    # A leaf that cannot be used, and rights that are gone: what is served stays.
    leaf = await site.leaf()
    other = site.installation.plane.issue("stranger")[1].read_bytes()
    for data in ({"tls.key": _b64(other)}, {"tls.crt": _b64(leaf[:300])}, {"tls.crt": _b64(b"")}):
        await site.admin.patch(LEAF, {"data": data})
        await until(lambda: _usable(site), 20, "another leaf is there")
        assert await site.verified()
    (role,) = (
        document
        for document in manifests("40-roles.yaml")
        if document["kind"] == "Role" and document["metadata"]["name"] == "schemagate-webhook"
    )
    await site.admin.patch(path_of(role), {"rules": []})
    await site.annotate(LEAF, ROTATE)
    await asyncio.sleep(3)
    assert await site.verified()
    await site.admin.put(path_of(role), role)


@pytest.mark.parametrize("site", [{"leaf_lifetime_seconds": 30, "ca_lifetime_seconds": 600}], indirect=True)
async def test_no_call_fails_while_certificates_come_and_go(site: Site) -> None:
    site.start("controller")
    for port in site.ports:
        site.start("webhook", port=port)
    await site.ready()
    await site.admin.post("/api/v1/namespaces", {"metadata": {"name": "team-a"}})
    deployments = "/apis/apps/v1/namespaces/team-a/deployments"
    await until(lambda: site.admin.post(deployments, DEPLOYMENT), 20, "the Deployment is admitted")

    failures: list[str] = []
    done = asyncio.Event()
    left = iter(range(CALLS))
    finished = 0

    async def call() -> None:
        nonlocal finished
        plane = site.installation.plane
        async with Client(plane.api_url, plane.client_context) as client:
            for number in left:
                try:
                    change = {"spec": {"replicas": number % 7}, "metadata": {"labels": {"n": str(number)}}}
                    await client.patch(f"{deployments}/ssg", change, dryRun="All")
                except ApiError as error:
                    failures.append(f"{number}: {error}")
                finished += 1

    handshakes = 0

    async def shake_hands() -> None:
        """Strict clients with fresh connections, which know a bundle of a moment ago."""
        nonlocal handshakes
        known: list[list[bytes]] = []
        while not done.is_set():
            known = [*known[-4:], await site.bundles()]
            for bundle in known[0]:
                for port in site.ports:
                    try:
                        await site.shown(port, bundle)
                        handshakes += 1
                    except (ssl.SSLError, OSError) as error:
                        failures.append(f"handshake: {error}")
            await asyncio.sleep(0.2)

    async def disturb() -> None:
        serials: set[bytes] = set()
        at = iter((10, 25, 40, 55, 70, 85, 95))
        wanted = next(at)
        acts = iter((LEAF, AUTHORITY, "delete leaf", AUTHORITY, "delete both", LEAF, "delete authority"))
        while not done.is_set():
            if finished * 100 >= CALLS * wanted:
                act = next(acts, None)
                wanted = next(at, 1000)
                if act in (LEAF, AUTHORITY):
                    await site.annotate(act, ROTATE)
                for path, words in (
                    (LEAF, ("delete leaf", "delete both")),
                    (AUTHORITY, ("delete authority", "delete both")),
                ):
                    if act in words:
                        await site.admin.delete(path)
            if await site.admin.exists(LEAF):
                serials.add(await site.leaf())
            await asyncio.sleep(0.2)
        print(f"{len(serials)} leaves, {handshakes} handshakes, {finished} calls")  # noqa: T201
        assert len(serials) >= 4

    started = time.monotonic()
    others = [asyncio.create_task(shake_hands()), asyncio.create_task(disturb())]
    try:
        await asyncio.gather(*(call() for _ in range(CLIENTS)))
    finally:
        done.set()
    await asyncio.gather(*others)
    told = await site.admin.text("/metrics")
    ignored = sum(
        float(n)
        for n in re.findall(r"^apiserver_admission_webhook_fail_open_count\{.*\} (\S+)", told, re.MULTILINE)
    )
    print(f"{CALLS} calls in {time.monotonic() - started:.0f} s, {len(failures)} failures, {ignored:g} ignored")  # noqa: T201
    assert failures == []
    assert ignored == 0


async def _same(site: Site, bundle: bytes) -> bool:
    return set(await site.bundles()) == {bundle}


async def _usable(site: Site) -> bool:
    secret = (await site.admin.get(LEAF))["data"]
    chain, key = (base64.b64decode(secret[name]) for name in ("tls.crt", "tls.key"))
    from certs import CertError, KeyPair

    try:
        KeyPair.from_pem(chain, key)
    except CertError:
        return False
    return True


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()
