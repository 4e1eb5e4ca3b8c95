"""The chart on a real API server, by the real Helm 3 and 4: installed, upgraded, uninstalled, installed again."""

import base64
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.live.deployed import CHART, CONFIGURATIONS, DEFINITION, IMAGE, NAMESPACE, Deployed
from tests.manifests.rendering import HELMS

pytestmark = pytest.mark.timeout(300)

RECORDS = "/apis/schemagate.io/v1alpha1/namespaces/default/gatewaymigrations"
VALIDATING = f"{CONFIGURATIONS}/validatingwebhookconfigurations/schemagate"
BUNDLE = base64.b64encode(b"what the controller wrote").decode()
GONE = f"/api/v1/namespaces/{NAMESPACE}/services/schemagate-gone"


@pytest.fixture
async def deployed(plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Deployed]:
    """Give the namespace alone, which enforces Pod Security."""
    async with Client(plane.api_url, plane.client_context) as admin:
        made = Deployed(plane, admin, tmp_path)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        await admin.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})
        try:
            yield made
        finally:
            made.close()
        await made.kubectl("delete", "namespace", NAMESPACE)


def older(folder: Path) -> Path:
    """Give a chart as a version before might have been: a column less, a Service more, another timeout."""
    chart = folder / "older"
    shutil.copytree(CHART, chart)
    head = chart / "Chart.yaml"
    head.write_text(head.read_text().replace("version: 0.1.0", "version: 0.0.1"))
    definition = yaml.safe_load((chart / "files" / "base" / "20-crd.yaml").read_text())
    definition["spec"]["versions"][0]["additionalPrinterColumns"].pop()
    (chart / "files" / "base" / "20-crd.yaml").write_text(yaml.safe_dump(definition))
    service = yaml.safe_load((chart / "files" / "base" / "60-network.yaml").read_text().partition("\n---\n")[0])
    service["metadata"]["name"] = GONE.rpartition("/")[2]
    (chart / "files" / "base" / "65-gone.yaml").write_text(yaml.safe_dump(service))
    registration = chart / "files" / "base" / "90-webhooks.yaml"
    registration.write_text(registration.read_text().replace("timeoutSeconds: 5", "timeoutSeconds: 4"))
    return chart


async def columns(deployed: Deployed) -> int:
    """Give how many columns the record's kind has in the cluster."""
    return len((await deployed.admin.get(DEFINITION))["spec"]["versions"][0]["additionalPrinterColumns"])


@pytest.mark.parametrize("helm", HELMS)
async def test_a_release_comes_moves_on_and_goes_and_records_stay(
    deployed: Deployed, tmp_path: Path, helm: str
) -> None:
    admin = deployed.admin
    # --wait: every pod is let in by what the namespace enforces.
    wait = ("--wait", "--timeout", "90s")
    done = await deployed.helm(helm, "install", "schemagate", str(older(tmp_path)), "--set", IMAGE, *wait)
    assert done.code == 0, done
    assert "It guards nothing yet" in done.out
    assert f"helm uninstall schemagate -n {NAMESPACE}" in done.out
    before = await columns(deployed)
    record = {
        "apiVersion": "schemagate.io/v1alpha1",
        "kind": "GatewayMigration",
        "metadata": {"name": "ssg"},
        "spec": {},
    }
    kept = await admin.post(RECORDS, record)
    fill = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": BUNDLE}]
    await admin.patch(VALIDATING, fill, "application/json-patch+json")

    # What the chart says is brought up to date, the record's kind as well; what the controller wrote stays.
    values = ("--set", f"webhook.replicas=3,secondLock.enabled=true,{IMAGE}")
    done = await deployed.helm(helm, "upgrade", "schemagate", str(CHART), *values, *wait)
    assert done.code == 0, done
    assert await admin.exists(f"{CONFIGURATIONS}/validatingadmissionpolicybindings/migrations.lock.schemagate.io")
    assert await columns(deployed) == before + 1
    assert not await admin.exists(GONE)

    async def available() -> bool:
        return bool((await deployed.deployment("webhook"))["status"].get("availableReplicas") == 3)

    # Helm looks at the ReplicaSet, whose counts come first.
    await until(available, what="all replicas are available")
    (hook,) = (await admin.get(VALIDATING))["webhooks"]
    assert (hook["timeoutSeconds"], hook["clientConfig"]["caBundle"]) == (5, BUNDLE)

    done = await deployed.helm(helm, "uninstall", "schemagate", "--wait")
    assert done.code == 0, done
    await deployed.keeps(DEFINITION)
    assert (await admin.get(f"{RECORDS}/ssg"))["metadata"]["uid"] == kept["metadata"]["uid"]

    # It takes its own kind back, and this time is told to take all along.
    done = await deployed.helm(
        helm, "install", "schemagate", str(CHART), "--set", f"crd.keep=false,{IMAGE}", *wait
    )
    assert done.code == 0, done
    assert (await admin.get(f"{RECORDS}/ssg"))["metadata"]["uid"] == kept["metadata"]["uid"]
    done = await deployed.helm(helm, "uninstall", "schemagate", "--wait")
    assert done.code == 0, done
    await deployed.keeps()
