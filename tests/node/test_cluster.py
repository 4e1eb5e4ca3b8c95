"""The real node itself: images without a registry, pods, Services, logs, commands in pods, and its end."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.controlplane import binaries
from tests.controlplane.client import Client, until
from tests.node import images
from tests.node.cluster import NodeCluster

pytestmark = pytest.mark.timeout(900)
IMAGE = "schemagate.test/workload:1"
PORT = 8000


@pytest.fixture(scope="module")
def workload(cluster: NodeCluster) -> str:
    """Import an image made by hand, and give its name."""
    program = binaries.paths(binaries.NODE)["workload"]
    cluster.load_image(images.write(cluster.folder / "workload.tar", IMAGE, program))
    return IMAGE


def pod(name: str, image: str) -> dict[str, Any]:
    container = {
        "name": "serve",
        "image": image,
        "args": ["serve", str(PORT)],
        "env": [{"name": "FIRST", "value": "1"}, {"name": "SECOND", "value": "$(FIRST) $(UNDEFINED)"}],
        "ports": [{"containerPort": PORT}],
    }
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": [container]}}


async def ask(address: str, port: int) -> dict[str, Any]:
    """Send one HTTP request on a connection of its own."""
    url, timeout = f"http://{address}:{port}/asked", aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def answered(address: str, port: int) -> dict[str, Any]:
    """Wait for an answer, and give it."""

    async def found() -> dict[str, Any]:
        try:
            return await ask(address, port)
        except (aiohttp.ClientError, TimeoutError):
            return {}

    return await until(found, what=f"{address}:{port} answers") or {}


async def running(admin: Client, path: str) -> dict[str, Any]:
    """Wait until a pod is ready and give it."""

    async def ready() -> dict[str, Any] | None:
        found = await admin.get(path)
        conditions = found["status"].get("conditions", [])
        is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        return found if is_ready else None

    found = await until(ready, 180, f"{path} is ready")
    assert found
    return found


async def test_a_pod_answers_behind_a_service(
    cluster: NodeCluster, admin: Client, namespace: str, workload: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    await admin.post(f"{path}/pods", pod("answer", workload))
    spec = {"selector": {"app": "answer"}, "ports": [{"port": 80, "targetPort": PORT}]}
    service = await admin.post(f"{path}/services", {"metadata": {"name": "answer"}, "spec": spec})
    stored = await running(admin, f"{path}/pods/answer")

    direct = await answered(stored["status"]["podIP"], PORT)
    assert await answered(service["spec"]["clusterIP"], 80) == direct
    assert direct["host"] == "answer"
    assert direct["environment"]["SECOND"] == "1 $(UNDEFINED)"

    async def logged() -> bool:
        return "/asked" in await admin.text(f"{path}/pods/answer/log")

    await until(logged, what="what the pod wrote is in its log")


async def test_kubectl_runs_a_command_in_a_pod(
    cluster: NodeCluster, admin: Client, namespace: str, workload: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    await admin.post(path, pod("entered", workload))
    await running(admin, f"{path}/entered")
    argv = ("-n", namespace, "exec", "entered", "--", "/workload", "nothing")
    done = await asyncio.create_subprocess_exec(
        cluster.kubectl, "--kubeconfig", cluster.admin_kubeconfig, *argv, stderr=asyncio.subprocess.PIPE
    )
    words = (await done.communicate())[1].decode()
    assert "usage: workload" in words
    assert done.returncode == 2


async def test_a_pod_is_nobody_and_may_write_nothing(
    cluster: NodeCluster, admin: Client, namespace: str, workload: str
) -> None:
    """Pod Security `restricted` is the API server's; what its fields do is the node's."""
    path = f"/api/v1/namespaces/{namespace}"
    await admin.patch(path, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    restricted = pod("restricted", workload)
    restricted["spec"]["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    restricted["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    await admin.post(f"{path}/pods", restricted)
    stored = await running(admin, f"{path}/pods/restricted")
    identity = stored["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    tasks = (line.split() for line in cluster.ctr("tasks", "list").splitlines())
    (pid,) = [columns[1] for columns in tasks if columns[0] == identity]
    status = cluster.machine.run("cat", f"/proc/{pid}/status")
    assert "Uid:\t65532\t65532\t65532\t65532" in status
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
