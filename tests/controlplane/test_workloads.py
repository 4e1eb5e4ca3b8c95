"""What becomes of Deployments, Jobs and pods on the fake node."""

import re
from typing import Any

import pytest

from tests.controlplane.client import ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.kubelet import finish, pod_of


def a_job(name: str, tag: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "db-migration", "image": f"caapim/gateway:{tag}"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template, **spec}}


def a_deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "gateway", "image": "caapim/gateway:11.2.5"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


async def ended(admin: Client, namespace: str, job: str, condition: str) -> dict[str, Any]:
    """Wait for a condition of a Job and give the Job."""

    async def find() -> dict[str, Any] | None:
        found = await admin.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/{job}")
        kinds = {each["type"] for each in found["status"].get("conditions", []) if each["status"] == "True"}
        return found if condition in kinds else None

    found = await until(find, what=f"Job {job} is {condition}")
    assert found
    return found


async def test_pods_of_a_deployment_become_ready_and_go_with_it(admin: Client, namespace: str) -> None:
    deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    await admin.post(deployments, a_deployment("gateway", 3))

    async def ready() -> bool:
        status = (await admin.get(f"{deployments}/gateway"))["status"]
        return bool(status.get("readyReplicas") == 3)

    await until(ready)
    pods = f"/api/v1/namespaces/{namespace}/pods"
    assert {pod["status"]["phase"] for pod in await admin.items(pods)} == {"Running"}

    await admin.delete(f"{deployments}/gateway", propagationPolicy="Background")

    async def gone() -> bool:
        return not await admin.items(pods)

    await until(gone)


async def test_a_job_completes_with_the_evidence_of_a_kubelet(admin: Client, namespace: str) -> None:
    await admin.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", a_job("good", "11.3.0"))
    job = await ended(admin, namespace, "good", "Complete")
    assert job["status"]["succeeded"] == 1

    (status,) = (await pod_of(admin, namespace, "good", "Succeeded"))["status"]["containerStatuses"]
    assert re.fullmatch(r"caapim/gateway@sha256:[0-9a-f]{64}", status["imageID"])
    assert status["restartCount"] == 0
    end = status["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (0, "Completed")
    assert end["startedAt"] < end["finishedAt"]


async def test_an_image_with_a_digest_keeps_it_as_its_id(admin: Client, namespace: str) -> None:
    digest = "sha256:" + "1a" * 32
    await admin.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", a_job("digest", f"11.3.0-slow@{digest}"))
    (status,) = (await pod_of(admin, namespace, "digest"))["status"]["containerStatuses"]
    assert status["imageID"] == f"caapim/gateway@{digest}"


async def test_a_job_fails(admin: Client, namespace: str) -> None:
    await admin.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", a_job("bad", "11.3.0-fail"))
    await ended(admin, namespace, "bad", "Failed")
    (status,) = (await pod_of(admin, namespace, "bad", "Failed"))["status"]["containerStatuses"]
    end = status["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (1, "Error")


@pytest.mark.parametrize(("exit_code", "condition"), [(0, "Complete"), (137, "Failed")])
async def test_a_slow_job_ends_by_hand(admin: Client, namespace: str, exit_code: int, condition: str) -> None:
    await admin.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", a_job("slow", "11.3.0-slow"))
    pod = await pod_of(admin, namespace, "slow")
    await finish(admin, pod, exit_code, image_id="example.com/gateway@sha256:" + "0" * 64, restart_count=2)
    await ended(admin, namespace, "slow", condition)
    phase = "Failed" if exit_code else "Succeeded"
    (status,) = (await pod_of(admin, namespace, "slow", phase))["status"]["containerStatuses"]
    assert (status["imageID"], status["restartCount"]) == ("example.com/gateway@sha256:" + "0" * 64, 2)
    assert status["state"]["terminated"]["exitCode"] == exit_code


async def test_a_slow_job_ends_at_its_deadline(admin: Client, namespace: str) -> None:
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    await admin.post(jobs, a_job("late", "11.3.0-slow"))
    await pod_of(admin, namespace, "late")
    await admin.patch(f"{jobs}/late", {"spec": {"activeDeadlineSeconds": 1}})
    await ended(admin, namespace, "late", "Failed")


async def test_a_job_waits_for_its_image(admin: Client, namespace: str) -> None:
    await admin.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", a_job("pull", "11.3.0-pull"))

    async def reason() -> str:
        pod = await pod_of(admin, namespace, "pull", "Pending")
        statuses = pod["status"].get("containerStatuses", [{}])
        return str(statuses[0].get("state", {}).get("waiting", {}).get("reason", ""))

    assert await until(reason) == "ImagePullBackOff"


async def test_a_pod_vanishes_from_a_job(admin: Client, namespace: str) -> None:
    await admin.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", a_job("vanish", "11.3.0-vanish"))
    await ended(admin, namespace, "vanish", "Failed")

    async def gone() -> bool:
        return not await admin.items(f"/api/v1/namespaces/{namespace}/pods")

    await until(gone)


async def test_a_deleted_pod_is_ended_before_it_goes(admin: Client, namespace: str) -> None:
    await admin.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", a_job("deleted", "11.3.0-slow"))
    pod = await pod_of(admin, namespace, "deleted")
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
    await admin.delete(path)

    async def gone() -> bool:
        return not await admin.exists(path)

    await until(gone)
    await ended(admin, namespace, "deleted", "Failed")


async def test_a_pod_log_is_read_through_the_api_server(
    control_plane: ControlPlane, admin: Client, namespace: str
) -> None:
    await admin.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", a_job("talks", "11.3.0-slow"))
    pod = await pod_of(admin, namespace, "talks")
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log"

    control_plane.write_log("Liquibase: Update has been successful.\nMigration done\n")
    assert await admin.text(path) == "Liquibase: Update has been successful.\nMigration done\n"
    assert await admin.text(path, tailLines="1", container="db-migration") == "Migration done\n"

    control_plane.write_log(None)
    with pytest.raises(ApiError):
        await admin.text(path)
    control_plane.write_log("")
    assert await admin.text(path) == ""
