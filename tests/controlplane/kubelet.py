"""A kubelet by hand, for pods of Jobs that kwok leaves running: those whose image tag ends in `-slow`."""

from datetime import UTC, datetime
from typing import Any

from tests.controlplane.client import STRATEGIC, Client, until


async def pod_of(client: Client, namespace: str, job: str, phase: str = "Running") -> dict[str, Any]:
    """Wait for a Job's pod in this phase, one that is not being deleted, and give it."""

    async def find() -> dict[str, Any] | None:
        selector = f"batch.kubernetes.io/job-name={job}"
        pods = await client.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
        alive = (pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
        return next((pod for pod in alive if pod["status"].get("phase") == phase), None)

    found = await until(find, what=f"a pod of Job {job} in {phase}")
    assert found
    return found


async def finish(
    client: Client,
    pod: dict[str, Any],
    exit_code: int = 0,
    *,
    image_id: str | None = None,
    restart_count: int = 0,
    reason: str | None = None,
    disrupted: bool = False,
) -> dict[str, Any]:
    """End a running pod's containers as a kubelet reports it, and give the pod.

    `reason` is the containers' (Completed, Error, OOMKilled…); `disrupted` says that an eviction ended the pod.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    succeeded = exit_code == 0
    ended = [
        {
            **status,
            "imageID": image_id or status["imageID"],
            "ready": False,
            "started": False,
            "restartCount": restart_count,
            "state": {
                "terminated": {
                    "exitCode": exit_code,
                    "reason": reason or ("Completed" if succeeded else "Error"),
                    "startedAt": status["state"]["running"]["startedAt"],
                    "finishedAt": now,
                    "containerID": status["containerID"],
                }
            },
        }
        for status in pod["status"]["containerStatuses"]
    ]
    because = "PodCompleted" if succeeded else "PodFailed"
    conditions = [
        {"type": kind, "status": "False", "reason": because, "lastTransitionTime": now}
        for kind in ("Ready", "ContainersReady")
    ]
    if disrupted:
        target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        conditions.append({**target, "lastTransitionTime": now})
    status = {
        "phase": "Succeeded" if succeeded else "Failed",
        "conditions": conditions,
        "containerStatuses": ended,
    }
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
    return await client.patch(path, {"status": status}, STRATEGIC)
