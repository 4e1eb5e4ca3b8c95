"""A stand-in for a Gateway that a real node runs: it migrates nothing, and tells with what environment it runs."""

from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.controlplane import binaries
from tests.controlplane.client import Client
from tests.node import images
from tests.node.cluster import NodeCluster
from webhook.policy.names import LICENSE_PATH, MIGRATION_JOB

NAME: Final = "ssg"
PORT: Final = 8443
JAVA_ARGS: Final = "-Dcom.example.kept=1"
OLD, NEW, NEWER = (f"schemagate.test/gateway:{tag}" for tag in ("11.2.5", "11.3.0", "11.4.0"))


def load(cluster: NodeCluster) -> None:
    """Import its images, one a version."""
    program = binaries.paths(binaries.NODE)["workload"]
    for number, name in enumerate((OLD, NEW, NEWER)):
        archive = Path(cluster.folder) / f"gateway-{number}.tar"
        cluster.load_image(images.write(archive, name, program, ["gateway", str(PORT)]))


async def deploy(admin: Client, namespace: str) -> None:
    """Create what a chart would: license, settings and a Deployment that asks for its migrations by annotation."""
    core = f"/api/v1/namespaces/{namespace}"
    await admin.post(
        f"{core}/secrets", {"metadata": {"name": "license"}, "stringData": {"license.xml": "<license/>"}}
    )
    settings = {
        "DISKLESS_CONFIG": "true",
        "EXTRA_JAVA_ARGS": JAVA_ARGS,
        "SSG_DATABASE_JDBC_URL": f"jdbc:mysql://db.{namespace}.example.com:3306/ssg",
    }
    await admin.post(f"{core}/configmaps", {"metadata": {"name": "settings"}, "data": settings})
    await admin.post(f"/apis/apps/v1/namespaces/{namespace}/deployments", _deployment())


async def environment(pod: dict[str, Any]) -> dict[str, str]:
    """Ask a running pod for its environment."""
    url = f"http://{pod['status']['podIP']}:{PORT}/"
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
        return dict((await answer.json())["environment"])


def _deployment() -> dict[str, Any]:
    labels = {"app": NAME}
    container = {
        "name": "gateway",
        "image": OLD,
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "license", "mountPath": LICENSE_PATH, "subPath": "license.xml"}],
    }
    pod = {
        "containers": [container],
        "terminationGracePeriodSeconds": 5,
        "volumes": [{"name": "license", "secret": {"secretName": "license"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "annotations": {MIGRATION_JOB: "enabled"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
