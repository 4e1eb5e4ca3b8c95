"""Self-managed certificates on a real API server: no call fails, whatever happens to them."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certs import CertError, CertificateAuthority, KeyPair
from certs.bundle import certificates as certificates_in
from certs.bundle import leaf_of
from tests.controlplane.arguments import free_ports
from tests.controlplane.client import ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.live.balancer import Balancer
from tests.live.certified import (
    AUTHORITY,
    CONFIGURATIONS,
    DEPLOYMENT,
    DEPLOYMENTS,
    HANDSHAKES,
    LEAF,
    LEAVES,
    SECRETS,
    Caller,
    Site,
    Storm,
    restart,
)
from tests.live.installation import Installation, manifests, path_of
from tests.live.rights import CERTIFICATES, fold, granted
from webhook.policy.names import ROTATE

pytestmark = pytest.mark.timeout(400)

CALLS, CLIENTS = 5000, 8


@pytest.fixture
async def site(plane: ControlPlane, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """Give an empty installation: nothing runs, no Secret, the webhooks registered without a bundle."""
    ports = free_ports(3)
    installation = Installation(plane)
    settings = getattr(request, "param", {})
    try:
        async with Client(plane.api_url, plane.client_context) as admin, Balancer(ports) as balancer:
            await installation.apply(admin)
            for path in (*CONFIGURATIONS, AUTHORITY, LEAF, f"{DEPLOYMENTS}/ssg"):
                if await admin.exists(path):
                    await admin.delete(path)
            if not await admin.exists("/api/v1/namespaces/team-a"):
                await admin.post("/api/v1/namespaces", {"metadata": {"name": "team-a"}})
            await installation.apply(admin, webhook_port=balancer.port, ca_bundle=False)
            yield Site(installation, admin, balancer, ports, **settings)
    finally:
        installation.stop()


async def test_three_of_each_boot_into_an_empty_namespace(site: Site) -> None:
    for port in site.ports:
        site.start("controller")
        site.start("webhook", port=port)
    await site.ready()
    assert await site.verified()
    (bundle,) = set(await site.bundles())
    assert len(certificates_in(bundle)) == 1
    secret = await site.admin.get(AUTHORITY)
    assert set(secret["data"]) == {"ca.crt", "ca.key", "previous.crt", "ends.json"}
    assert (await site.admin.get(LEAF))["type"] == "kubernetes.io/tls"
    shown = {port: await site.shown(port, bundle) for port in site.ports}
    assert len(set(shown.values())) == 1

    stranger = _b64(site.installation.plane.ca_pem)
    # Whatever somebody does to the bundle is mended at once, by one write each.
    for patch in (
        {"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"},
        {
            "op": "replace",
            "path": "/webhooks/0/clientConfig/caBundle",
            "value": stranger,
        },
    ):
        for path in CONFIGURATIONS:
            made = await site.admin.patch(path, [patch], "application/json-patch+json")
            await until(lambda: _same(site, bundle), what="the bundle is mended")
            await asyncio.sleep(0.5)
            mended = await site.admin.get(path)
            assert mended["metadata"]["generation"] == made["metadata"]["generation"] + 1

    # A person sees that, and asks for more.
    leaf = await site.leaf()
    for arguments in (("rotate", "--ca", "--wait"), ("rotate", "--leaf", "--wait"), ("show", "-o", "json")):
        told = await asyncio.to_thread(site.command, "certs", *arguments)
        assert told.returncode == 0, told
        assert "PRIVATE" not in told.stdout
    assert await site.leaf() != leaf
    await until(site.verified, what="the new leaf is shown")

    # A leaf that cannot be used, and rights that are gone: what is served stays.
    leaf = await site.leaf()
    other = site.installation.plane.issue("stranger")[1].read_bytes()
    for data in ({"tls.key": _b64(other)}, {"tls.crt": _b64(leaf[:300])}, {"tls.crt": _b64(b"")}):
        await site.admin.patch(LEAF, {"data": data})
        await until(lambda: _usable(site), what="another leaf is there")
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


@pytest.mark.parametrize(
    "site", [{"leaf_lifetime_seconds": 30, "ca_lifetime_seconds": 600, "settle_seconds": 5}], indirect=True
)
async def test_no_call_fails_while_certificates_come_and_go(site: Site) -> None:
    keeps = site.start("controller")
    for port in site.ports:
        site.start("webhook", port=port)
    await site.ready()
    await until(lambda: site.admin.post(DEPLOYMENTS, DEPLOYMENT), what="the Deployment is admitted")

    storm = Storm(site, CALLS, CLIENTS)
    ignored = await storm.ignored()
    await storm.blow()
    assert storm.failures == []
    assert await storm.ignored() == ignored
    assert await storm.answered() >= CALLS
    assert len(storm.leaves) >= LEAVES
    assert storm.handshakes >= HANDSHAKES

    # That took every right there is to keep certificates, and no other.
    rights = granted()
    keeping = {right for right in rights if right.resource in CERTIFICATES}

    async def all_used() -> bool:
        return keeping <= fold(site.installation.plane.audit_events(), rights)[0]

    try:
        await until(all_used, what="every right was used")
    finally:
        used, lacking = fold(site.installation.plane.audit_events(), rights)
    assert not lacking
    assert keeping <= used

    # The storm would have noticed: without anybody who mends it, a blank bundle fails the next call.
    keeps.component.stop()
    blank = [{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]
    await site.admin.patch(CONFIGURATIONS[1], blank, "application/json-patch+json")

    async def noticed() -> bool:
        try:
            await restart(site.admin, 0)
        except ApiError as error:
            return error.status == 500 and "certificate" in error.message
        return False

    assert await until(noticed, what="a call fails")


ORDERS: dict[str, tuple[str, list[str], bool]] = {
    "the leaf first": ("files", ["leaf", "shown"], True),
    "the authority replaced first": ("self-managed", ["replace"], True),
    "the right order": ("files", ["join", "leaf", "shown", "replace"], False),
    # A second net: replicas that keep no files look whether what is stored would be accepted.
    "the leaf first, but looked at": ("self-managed", ["leaf", "join", "shown", "replace"], False),
}


@pytest.mark.parametrize("site", [{"settle_seconds": 1}], indirect=True, ids=[""])
@pytest.mark.parametrize(("certificates", "order", "fails"), ORDERS.values(), ids=ORDERS.keys())
async def test_by_hand_the_order_is_what_counts(
    site: Site, tmp_path: Path, certificates: str, order: list[str], fails: bool
) -> None:
    before, after = (
        CertificateAuthority.create(name, now=datetime.now(UTC), lifetime=timedelta(days=1))
        for name in ("before", "after")
    )
    files = {"tls.crt": tmp_path / "tls.crt", "tls.key": tmp_path / "tls.key"}

    async def store(pair: KeyPair) -> None:
        if certificates == "files":
            files["tls.crt"].write_bytes(pair.certificate_chain)
            files["tls.key"].write_bytes(pair.private_key)
            return
        data = {"tls.crt": _b64(pair.certificate_chain), "tls.key": _b64(pair.private_key)}
        if await site.admin.exists(LEAF):
            await site.admin.patch(LEAF, {"data": data})
        else:
            secret = {"metadata": {"name": LEAF.rpartition("/")[2]}, "type": "kubernetes.io/tls", "data": data}
            await site.admin.post(SECRETS, secret)

    old, new = (
        authority.issue(
            [], ip_addresses=[IPv4Address("127.0.0.1")], now=datetime.now(UTC), lifetime=timedelta(days=1)
        )
        for authority in (before, after)
    )
    await store(old)
    await site.trust(before.certificate_pem)
    given = {"tls_cert": files["tls.crt"], "tls_key": files["tls.key"], "reload_seconds": 0.1}
    port = site.ports[0]
    site.start("webhook", port=port, certificates=certificates, **(given if certificates == "files" else {}))
    await site.ready()
    await until(lambda: site.admin.post(DEPLOYMENTS, DEPLOYMENT), what="the Deployment is admitted")

    either = before.certificate_pem + after.certificate_pem
    bundles = {"join": either, "replace": after.certificate_pem}

    async def shows(pair: KeyPair) -> bool:
        return (await site.shown(port, either)) == leaf_of(pair).public_bytes(Encoding.DER)

    async with Caller(site) as caller:

        async def failed() -> bool:
            return bool(caller.failures)

        for step in order:
            if step == "leaf":
                await store(new)
            elif step == "shown":
                await until(lambda: shows(new), what="the new leaf is shown")
            else:
                await site.trust(bundles[step])
            # An API server is told of a bundle within that time, which is why nothing else is done meanwhile.
            await caller.called(site.settings["settle_seconds"])
        if fails:
            await until(failed, what="a call fails")
        assert bool(caller.failures) is fails
    assert all("certificate" in failure for failure in caller.failures)
    assert await shows(new if "leaf" in order else old)


async def _same(site: Site, bundle: bytes) -> bool:
    return set(await site.bundles()) == {bundle}


async def _usable(site: Site) -> bool:
    secret = (await site.admin.get(LEAF))["data"]
    chain, key = (base64.b64decode(secret[name]) for name in ("tls.crt", "tls.key"))
    try:
        KeyPair.from_pem(chain, key)
    except CertError:
        return False
    return True


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()
