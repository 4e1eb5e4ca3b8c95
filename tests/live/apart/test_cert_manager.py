"""cert-manager beside a real API server: it issues, renews and injects, and no call fails."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.arguments import free_ports
from tests.controlplane.client import ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.live.cert_manager import AUTHORITY, INJECT, LEAF, SECRETS, CertManager, issue, leaf, mount, renew
from tests.live.certified import CONFIGURATIONS, DEPLOYMENT, DEPLOYMENTS, restart
from tests.live.faults import tell
from tests.live.installation import Installation, Replica

pytestmark = pytest.mark.timeout(300)

RENEWALS, CLIENTS, CALLS = 3, 4, 100


class Site:
    """An installation whose certificate comes from cert-manager, by files as a kubelet mounts them."""

    def __init__(self, admin: Client, plane: ControlPlane, folder: Path, replica: Replica) -> None:
        self.admin, self.plane, self.folder, self.replica = admin, plane, folder, replica
        self.calls = 0
        self.failures: list[str] = []

    async def call(self, done: asyncio.Event) -> None:
        """Change a pod template again and again, without a trace."""
        async with Client(self.plane.api_url, self.plane.client_context) as client:
            while not done.is_set():
                self.calls += 1
                try:
                    await restart(client, self.calls)
                except ApiError as error:
                    self.failures.append(str(error))

    async def called(self, more: int) -> None:
        """Wait until so many calls more were made."""
        wanted = self.calls + more

        async def made() -> bool:
            return self.calls >= wanted

        await until(made, 60, f"{more} calls more")

    async def bundles(self) -> list[str]:
        """Give the bundle of every webhook."""
        found = [await self.admin.get(path) for path in CONFIGURATIONS]
        return [hook["clientConfig"].get("caBundle", "") for item in found for hook in item["webhooks"]]

    async def injected(self) -> bool:
        """Tell whether every webhook has the authority that cert-manager keeps."""
        wanted = base64.b64encode((await leaf(self.admin))["ca.crt"]).decode()
        return set(await self.bundles()) == {wanted}

    async def next_leaf(self, before: bytes) -> bytes:
        """Wait for another leaf than this, mount it, and wait until it is served."""

        async def changed() -> dict[str, bytes] | None:
            files = await leaf(self.admin)
            return files if files["tls.crt"] != before else None

        files = await until(changed, 60, "another leaf")
        assert files is not None
        seen = self.replica.log.count("certificate_reloaded")
        mount(self.folder, files)
        await until(lambda: self._reloaded(seen), 60, "it is served")
        return files["tls.crt"]

    async def _reloaded(self, seen: int) -> bool:
        return self.replica.log.count("certificate_reloaded") > seen


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Give a running one, with a control plane of its own: cert-manager follows the whole cluster."""
    with ControlPlane(tmp_path / "plane") as plane:
        installation, manager = Installation(plane), CertManager(plane)
        try:
            async with Client(plane.api_url, plane.client_context) as admin:
                await installation.apply(admin)
                await manager.start(admin)
                await issue(admin, ["localhost"], ["127.0.0.1"])
                folder = tmp_path / "mounted"
                mount(folder, await leaf(admin))
                (port,) = free_ports(1)
                files: dict[str, Any] = {
                    "certificates": "files",
                    "tls_cert": folder / "tls.crt",
                    "tls_key": folder / "tls.key",
                    "tls_ca": folder / "ca.crt",
                    "reload_seconds": 0.2,
                }
                keeper = await asyncio.to_thread(installation.start, "controller", certificates="files")
                await installation.apply(admin, webhook_port=port, ca_bundle=False)
                for path in CONFIGURATIONS:
                    await admin.patch(path, {"metadata": {"annotations": INJECT}})
                replica = await asyncio.to_thread(installation.start, "webhook", port=port, **files)
                yield Site(admin, plane, folder, replica)
                assert "certificates_left_alone" in keeper.log
        finally:
            manager.stop()
            installation.stop()


async def test_issued_injected_and_renewed_without_a_failed_call(site: Site) -> None:
    await until(site.injected, 60, "the cainjector fills in the bundle")
    await site.admin.post("/api/v1/namespaces", {"metadata": {"name": "team-a"}})
    await until(lambda: site.admin.post(DEPLOYMENTS, DEPLOYMENT), what="the API server trusts it")
    await until(lambda: _works(site), what="a change is judged")
    done = asyncio.Event()
    callers = [asyncio.create_task(site.call(done)) for _ in range(CLIENTS)]
    try:
        served = (await leaf(site.admin))["tls.crt"]
        for _ in range(RENEWALS):
            await renew(site.admin)
            served = await site.next_leaf(served)
            await site.called(CALLS)
        await site.admin.delete(f"{SECRETS}/{LEAF}")
        await site.next_leaf(served)
    finally:
        done.set()
        await asyncio.gather(*callers)
    tell(f"{site.calls} calls across {RENEWALS} renewals and a deleted Secret, {len(site.failures)} failed")
    assert site.failures == []

    # What somebody does to the bundle is the injector's to mend: ours keeps out of it.
    for path in CONFIGURATIONS:
        blank = {"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}
        await site.admin.patch(path, [blank], "application/json-patch+json")
    await until(site.injected, 60, "the cainjector mends the bundle")


async def test_another_authority_needs_no_restart(site: Site) -> None:
    await until(site.injected, 60, "the cainjector fills in the bundle")
    served = await leaf(site.admin)
    await site.admin.delete(f"{SECRETS}/{AUTHORITY}")

    async def made() -> bool:
        if not await site.admin.exists(f"{SECRETS}/{AUTHORITY}"):
            return False
        data = (await site.admin.get(f"{SECRETS}/{AUTHORITY}")).get("data") or {}
        return bool(data.get("tls.crt")) and base64.b64decode(data["tls.crt"]) != served["ca.crt"]

    await until(made, 60, "cert-manager makes another authority")
    await renew(site.admin)
    await site.next_leaf(served["tls.crt"])
    assert (await leaf(site.admin))["ca.crt"] != served["ca.crt"]
    await until(site.injected, 60, "the cainjector fills in its bundle")
    await until(lambda: asyncio.to_thread(site.replica.ready), 60, "the replica is ready again")


async def _works(site: Site) -> bool:
    await restart(site.admin, 0)
    return True
