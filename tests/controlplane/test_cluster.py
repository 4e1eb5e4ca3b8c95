"""The control plane itself: access, audit, restarts, forgotten history, processes that stand still."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.controlplane import audit
from tests.controlplane.client import ApiError, Client, until
from tests.controlplane.cluster import ControlPlane


def read(kubeconfig: Path) -> tuple[dict[str, Any], str]:
    """Give what a kubeconfig says, and the token that it points to."""
    config = yaml.safe_load(kubeconfig.read_text())
    return config, Path(config["users"][0]["user"]["tokenFile"]).read_text()


async def test_versions_are_real(control_plane: ControlPlane, admin: Client) -> None:
    server = (await admin.get("/version"))["gitVersion"]
    argv = (control_plane.kubectl, "--kubeconfig", control_plane.admin_kubeconfig, "version", "-o", "json")
    kubectl = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    told = json.loads((await kubectl.communicate())[0])
    assert server.startswith("v1.")
    assert told["clientVersion"]["gitVersion"] == told["serverVersion"]["gitVersion"] == server


async def test_a_token_kubeconfig_is_its_service_account(
    control_plane: ControlPlane, admin: Client, namespace: str
) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await admin.post(accounts, {"metadata": {"name": "schemagate"}})
    config, token = read(control_plane.kubeconfig_for("schemagate", namespace))

    trust = ssl.create_default_context(cadata=control_plane.ca_pem.decode())
    async with Client(config["clusters"][0]["cluster"]["server"], trust, token=token) as client:
        review = await client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert review["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:schemagate"
        with pytest.raises(ApiError) as refused:
            await client.get(accounts)
    assert refused.value.status == 403


async def test_audit_tells_who_wrote_what(control_plane: ControlPlane, admin: Client, namespace: str) -> None:
    since = control_plane.audit_position()
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    container = {"name": "c", "image": "i:slow-pull"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    await admin.post(jobs, {"metadata": {"name": "seen"}, "spec": {"template": template}})
    await admin.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "seen"}})

    async def written() -> dict[tuple[str, str], dict[str, Any]]:
        events = {
            (event["objectRef"]["resource"], event["user"]["username"]): event
            for event in control_plane.audit_events(since)
            if event["verb"] == "create" and event.get("objectRef", {}).get("namespace") == namespace
        }
        makers = {resource for resource, _ in events}
        return events if {"jobs", "configmaps", "pods"} <= makers else {}

    events = await until(written)
    assert events["jobs", "admin"]["requestObject"]["metadata"]["name"] == "seen"
    assert "requestObject" not in events["configmaps", "admin"]
    assert ("pods", "system:serviceaccount:kube-system:job-controller") in events


def test_a_half_written_audit_line_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"n": 1}\n{"n": 2}\n{"n":')
    assert audit.events(log) == [{"n": 1}, {"n": 2}]
    since = audit.position(log)
    log.write_text('{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    assert audit.events(log, since) == [{"n": 3}]


async def test_a_restarted_api_server_keeps_its_objects(
    control_plane: ControlPlane, admin: Client, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await admin.post(path, {"metadata": {"name": "kept"}})
    before = control_plane.components["kube-apiserver"].pid
    await asyncio.to_thread(control_plane.restart_api_server)
    assert control_plane.components["kube-apiserver"].pid != before
    assert await until(lambda: admin.exists(f"{path}/kept"))


async def test_readers_from_before_a_compaction_get_410(
    control_plane: ControlPlane, admin: Client, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for number in range(3):
        await admin.post(path, {"metadata": {"name": f"one-{number}"}})
    old = await admin.get(path, limit="1")
    await admin.post(path, {"metadata": {"name": "another"}})
    control_plane.compact()
    await asyncio.to_thread(control_plane.restart_api_server)
    await until(lambda: admin.get(path))

    with pytest.raises(ApiError) as gone:
        await admin.get(path, limit="1", **{"continue": old["metadata"]["continue"]})
    assert (gone.value.status, gone.value.reason) == (410, "Expired")

    version = old["metadata"]["resourceVersion"]
    first, *_ = (await admin.text(path, watch="true", resourceVersion=version, timeoutSeconds="5")).splitlines()
    event = json.loads(first)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


async def test_a_frozen_api_server_says_nothing_until_it_goes_on(
    control_plane: ControlPlane, admin: Client
) -> None:
    with control_plane.frozen("kube-apiserver"):
        reading = asyncio.ensure_future(admin.get("/api/v1/namespaces/default"))
        # A connection that is refused or reset would end this at once; there is no event for an answer not sent.
        done, _ = await asyncio.wait([reading], timeout=0.3)
        assert not done
    assert (await reading)["metadata"]["name"] == "default"


async def test_the_controller_manager_can_stand_still(
    control_plane: ControlPlane, admin: Client, namespace: str
) -> None:
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}
    with control_plane.frozen("kube-controller-manager"):
        job = await admin.post(jobs, {"metadata": {"name": "stalled"}, "spec": {"template": template}})
        assert job["status"] == {}

    async def complete() -> bool:
        return bool((await admin.get(f"{jobs}/stalled"))["status"].get("succeeded"))

    await until(complete, 120)


async def test_a_killed_api_server_refuses(control_plane: ControlPlane, admin: Client) -> None:
    await asyncio.to_thread(control_plane.kill_api_server)
    with pytest.raises(aiohttp.ClientConnectionError):
        await admin.get("/version")
    await asyncio.to_thread(control_plane.restart_api_server)
    assert await until(lambda: admin.get("/version"))
