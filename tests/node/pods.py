"""The product's own pods: which of them are ready, and what a person looks at when they are not."""

from typing import Final

from tests.controlplane.client import Client, until
from tests.live.deployed import LABEL, NAMESPACE, Deployed

PATH: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"
_DEPLOYMENTS: Final = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"


async def ready(admin: Client, role: str = "webhook") -> dict[str, str]:
    """Give the pods of a process that are ready and stay, each with its address."""
    pods = await admin.items(PATH, labelSelector=f"{LABEL},app.kubernetes.io/component={role}")
    return {
        pod["metadata"]["name"]: pod["status"]["podIP"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ())
        )
    }


async def rolled_out(installation: Deployed, seconds: float = 300) -> None:
    """Wait until both processes run in all replicas as their Deployments say, and no other pod is left."""

    async def everywhere() -> bool:
        wanted = 0
        for deployment in await installation.admin.items(_DEPLOYMENTS):
            status, replicas = deployment["status"], deployment["spec"]["replicas"]
            if status.get("observedGeneration") != deployment["metadata"]["generation"]:
                return False
            if {status.get(count, 0) for count in ("replicas", "updatedReplicas", "readyReplicas")} != {replicas}:
                return False
            wanted += replicas
        return bool(wanted) and len(await installation.admin.items(PATH)) == wanted

    try:
        await until(everywhere, seconds, "every pod of ours is ready")
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{await told(installation)}") from None


async def told(installation: Deployed) -> str:
    """Give what a person would look at when pods do not become ready."""
    described = await installation.kubectl("describe", "pods", "-n", NAMESPACE)
    logs = await installation.kubectl("logs", "-n", NAMESPACE, "-l", LABEL, "--tail=20", "--prefix")
    return f"{described.out[-6000:]}\n{logs.out}{logs.err}"
