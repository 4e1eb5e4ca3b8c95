"""The overlays on a real API server: applied as the docs say, running as they say, gone when they are deleted."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.controlplane.arguments import free_ports
from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.objects import install, stock
from tests.live.balancer import Balancer
from tests.live.cert_manager import CertManager
from tests.live.deployed import CHART, CONFIGURATIONS, IMAGE, MANIFESTS, NAMESPACE, Deployed
from tests.live.world import NEW, OLD, World, skips
from tests.manifests.rendering import OVERLAYS, template
from webhook.policy.names import MIGRATION_JOB

pytestmark = pytest.mark.timeout(300)

SELF_MANAGED = str(MANIFESTS / "overlays" / "self-managed")
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    # A Deployment is not refused for the pods that it will not get: this tells of it.
    "pod-security.kubernetes.io/warn": "restricted",
}


@pytest.fixture
async def deployed(plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Deployed]:
    async with Client(plane.api_url, plane.client_context) as admin:
        made = Deployed(plane, admin, tmp_path)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
async def world(deployed: Deployed) -> AsyncIterator[World]:
    """Give a namespace of the Gateway's team."""
    await install(deployed.admin, stock())
    await namespace(deployed, "team-a")
    yield World(deployed.admin, "team-a", deployed.plane)
    await deployed.kubectl("delete", "namespace", "team-a")


async def namespace(deployed: Deployed, name: str, labels: Mapping[str, str] = MappingProxyType({})) -> None:
    """Have a namespace in which pods can be made."""
    metadata = {"name": name, "labels": dict(labels)}
    await deployed.admin.post("/api/v1/namespaces", {"metadata": metadata})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    await until(lambda: deployed.admin.exists(account), what="the default service account")


async def test_a_dry_run_of_everything_is_clean(deployed: Deployed, plane: ControlPlane, tmp_path: Path) -> None:
    await namespace(deployed, NAMESPACE, RESTRICTED)
    await namespace(deployed, "gateways")
    manager = CertManager(plane)
    try:
        await manager.start(deployed.admin)
    finally:
        manager.stop()  # its kinds are all that is needed
    values: list[dict[str, object]] = [
        {},
        {"certificates.source": "cert-manager"},
        {"certificates.source": "cert-manager", "certificates.issuerRef": {"name": "x", "kind": "ClusterIssuer"}},
        {"namespaces": ["gateways"]},
        {
            "webhook.port": 10443,
            "settings": {"drain_seconds": 20},
            "webhook.tolerations": [{"operator": "Exists"}],
        },
    ]
    sources = {f"overlay {name}": ("-k", str(MANIFESTS / "overlays" / name)) for name in OVERLAYS}
    for number, given in enumerate(values):
        file = tmp_path / f"chart-{number}.yaml"
        file.write_text(template("helm", NAMESPACE, given))
        sources[f"chart {given}"] = ("-f", str(file))
    for name, source in sources.items():
        done = await deployed.kubectl("apply", "--dry-run=server", "--validate=strict", *source)
        assert done.code == 0, (name, done.err)
        # One word of warning is kubectl's own: that the namespace was not made by it.
        said = [line for line in done.err.splitlines() if "last-applied-configuration" not in line]
        assert said == [], name
        lines = done.out.splitlines()
        assert len(lines) > 20, name
        assert all(line.endswith("(server dry run)") for line in lines), name
    await deployed.keeps()
    await deployed.kubectl("delete", "namespace", NAMESPACE, "gateways")


@pytest.mark.parametrize("by", ["kubectl", "helm4"])  # Helm 3: test_install_helm.py
async def test_from_nothing_to_enforced_and_out_again(deployed: Deployed, world: World, by: str) -> None:
    await installed(deployed, by)
    assert len(await deployed.left()) > 20

    # The pods that the Deployments ask for pass what their namespace enforces.
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    await until(lambda: rolled_out(deployed), 60, "every pod is let in and runs")
    assert len(await deployed.admin.items(pods)) == 4
    labels = (await deployed.admin.get(f"/api/v1/namespaces/{NAMESPACE}"))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert await bundles(deployed) == {""}

    ports = free_ports(2)
    async with Balancer(ports) as balancer:
        await deployed.register_by_url(balancer.port, seconds=30)
        for port in ports:
            await deployed.start("webhook", port, SCHEMAGATE_CERTIFICATE_NAMES="127.0.0.1")
            await deployed.start("controller", SCHEMAGATE_CERTIFICATE_NAMES="127.0.0.1")
        await deployed.trusted()

        # The first Gateway: it runs, is governed by one annotation, and what runs already is complete.
        await world.operator_gateway(**{MIGRATION_JOB: "enabled"})
        await world.reaches("Complete", image=OLD)
        assert not await world.jobs()
        await world.shut()
        # The upgrade: denied, migrated, let through, started in skip.
        assert "schemagate" in await world.denial("ssg", NEW)
        await world.wants(NEW)
        await world.reaches("Complete", image=NEW)
        assert len(await world.jobs()) == 1
        await world.set_image("ssg", NEW)
        await world.settled()
        assert all(skips(pod) for pod in await world.pods())

        # And out again: processes end with their pods, which is what stopping them stands for.
        removing = asyncio.create_task(removed(deployed, by))
        await deployed.stop()
        await removing
    await deployed.keeps()
    assert not await deployed.admin.exists(f"/api/v1/namespaces/{NAMESPACE}")
    # The Gateway runs on, and rolls out freely.
    await world.set_image("ssg", OLD)
    await world.settled()
    assert not any(skips(pod) for pod in await world.pods())


async def test_named_namespaces_are_migrated_and_in_others_the_gate_stays_shut(
    deployed: Deployed, world: World
) -> None:
    await namespace(deployed, "gateways")
    done = await deployed.kubectl("apply", "-k", str(MANIFESTS / "overlays" / "namespaced"))
    assert done.code == 0, done.err
    named = World(deployed.admin, "gateways", deployed.plane)
    (port,) = free_ports(1)
    await deployed.register_by_url(port, seconds=30)
    await deployed.start("webhook", port, SCHEMAGATE_CERTIFICATE_NAMES="127.0.0.1")
    await deployed.start("controller", SCHEMAGATE_CERTIFICATE_NAMES="127.0.0.1")
    await deployed.trusted()
    for gateway in (named, world):
        await gateway.operator_gateway(**{MIGRATION_JOB: "enabled"})
        await gateway.reaches("Complete", image=OLD)
        await gateway.wants(NEW)
    await named.reaches("Complete", image=NEW)
    await named.set_image("ssg", NEW)

    async def told() -> bool:
        conditions = (await world.record())["status"].get("conditions", ())
        return any("forbidden" in condition["message"] for condition in conditions)

    await until(told, what="the record says that its Job was forbidden")
    assert not await world.jobs()
    await world.denial("ssg", NEW)
    await deployed.stop()
    await deployed.kubectl("delete", "-k", str(MANIFESTS / "overlays" / "namespaced"))
    await deployed.kubectl("delete", "namespace", "gateways")
    await deployed.keeps()


async def test_cert_manager_issues_and_injects_what_the_overlay_asks_for(
    deployed: Deployed, plane: ControlPlane
) -> None:
    manager = CertManager(plane)
    try:
        await manager.start(deployed.admin)
        done = await deployed.kubectl("apply", "-k", str(MANIFESTS / "overlays" / "kind"))
        assert done.code == 0, done.err
        secret = f"/api/v1/namespaces/{NAMESPACE}/secrets/schemagate-serving"

        async def injected() -> bool:
            return await bundles(deployed) == {(await deployed.admin.get(secret))["data"]["ca.crt"]}

        await until(injected, 60, "cert-manager has issued, and injected the authority")
    finally:
        manager.stop()
    # Who applies it once more takes nothing of that away.
    done = await deployed.kubectl("apply", "-k", str(MANIFESTS / "overlays" / "kind"))
    assert done.code == 0, done.err
    assert await injected()
    await deployed.kubectl("delete", "-k", str(MANIFESTS / "overlays" / "kind"))
    await deployed.keeps()


async def installed(deployed: Deployed, by: str) -> None:
    """Install with certificates of our own."""
    if by == "kubectl":
        done = await deployed.kubectl("apply", "-k", SELF_MANAGED)
    else:
        await namespace(deployed, NAMESPACE, RESTRICTED)
        done = await deployed.helm(by, "install", "schemagate", str(CHART), "--set", f"crd.keep=false,{IMAGE}")
    assert done.code == 0, done


async def removed(deployed: Deployed, by: str) -> None:
    """Take away all that was installed, records included."""
    if by == "kubectl":
        done = await deployed.kubectl("delete", "--ignore-not-found", "-k", SELF_MANAGED)
    else:
        done = await deployed.helm(by, "uninstall", "schemagate", "--wait")
        assert done.code == 0, done
        done = await deployed.kubectl("delete", "namespace", NAMESPACE)
    assert done.code == 0, done


async def rolled_out(deployed: Deployed) -> bool:
    """Tell whether both Deployments have all their pods, available."""
    for role in ("webhook", "controller"):
        found = await deployed.deployment(role)
        if found.get("status", {}).get("availableReplicas") != found["spec"]["replicas"]:
            return False
    return True


async def bundles(deployed: Deployed) -> set[str]:
    """Give what the webhooks are registered with, each once; empty where there is none."""
    paths = [f"{CONFIGURATIONS}/{kind}webhookconfigurations/schemagate" for kind in ("mutating", "validating")]
    found = [await deployed.admin.get(path) for path in paths]
    return {hook["clientConfig"].get("caBundle", "") for item in found for hook in item["webhooks"]}
