"""What is read of a migration's log, as a kubelet gives it: the end, whatever came before."""

import pytest

from tests.controlplane.client import Client, until
from tests.gateway.image import NAMES
from tests.gateway.standin import NEW
from tests.node.cluster import NodeCluster
from webhook.kube.api.connection import connect
from webhook.kube.reads import Reads
from webhook.policy.migration.job import CONTAINER
from webhook.policy.migration.migration_log import Finding, finding
from webhook.policy.record import FailureClass

pytestmark = pytest.mark.timeout(900)
NAME = "chatty"
KEPT = 64 * 1024
REASON = f"Migration failed for changeset ssg-{NEW}.xml::2::layer7:"


async def test_the_reason_is_found_after_a_statement_longer_than_all_that_is_kept(
    cluster: NodeCluster, admin: Client, namespace: str, standins: None
) -> None:
    """As a changeset logs that stores whole policies; containerd cuts such a line into pieces of 16 KiB."""
    script = f"head -c {5 * KEPT} /dev/zero | tr '\\0' x; echo; echo '{REASON}'"
    container = {"name": CONTAINER, "image": NAMES[NEW], "command": ["sh", "-c", script]}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await admin.post(
        pods, {"metadata": {"name": NAME}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    )

    async def ended() -> bool:
        return bool((await admin.get(f"{pods}/{NAME}"))["status"]["phase"] == "Succeeded")

    await until(ended, 180, "the pod has ended")
    client = await connect(cluster.admin_kubeconfig)
    try:
        log = await Reads(client).pod_log(namespace, NAME)
    finally:
        await client.close()
    assert log.endswith(f"x\n{REASON}\n")
    assert len(log) == KEPT
    assert finding(log) == Finding(FailureClass.CHANGESET_FAILED, f"changeset ssg-{NEW}.xml::2::layer7 failed")
