"""The leader's work on certificates, against storage that answers as an API server does."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from certs import CertError
from certs.bundle import certificates
from webhook.errors import ConflictError, ForbiddenError, NameTakenError, NotFoundError, RejectedError
from webhook.kube.api.client import Client
from webhook.kube.certificates.keeper import CertificateKeeper
from webhook.logs import logger
from webhook.metrics.certificates import KeeperMetrics
from webhook.policy.names import ROTATE, ROTATED
from webhook.runtime.process import utc_now
from webhook.settings import Settings

ROOT = "/apis/admissionregistration.k8s.io/v1"
CONFIGURATIONS = [f"{ROOT}/{kind}webhookconfigurations/schemagate" for kind in ("mutating", "validating")]
AUTHORITY, LEAF = (f"/api/v1/namespaces/ns/secrets/{name}" for name in ("schemagate-ca", "schemagate-webhook-tls"))


class Storage:
    """Objects by path, with versions; ``refused`` are paths that may not be written."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.refused: set[str] = set()
        self.before_write: Any = None
        for path in CONFIGURATIONS:
            config = {"service": {"namespace": "ns", "name": "schemagate-webhook"}}
            hooks = [{"name": "a", "clientConfig": dict(config)}, {"name": "b", "clientConfig": dict(config)}]
            self.put(path, {"metadata": {"name": "schemagate"}, "webhooks": hooks})

    def put(self, path: str, item: dict[str, Any]) -> None:
        version = str(int(self.objects.get(path, {"metadata": {}})["metadata"].get("resourceVersion", "0")) + 1)
        self.objects[path] = {**item, "metadata": {**item["metadata"], "resourceVersion": version}}

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> bytes:
        if method == "GET":
            if path not in self.objects:
                raise NotFoundError(path)
            return json.dumps(self.objects[path]).encode()
        if self.before_write is not None:
            act, self.before_write = self.before_write, None
            act()
        if path in self.refused:
            raise ForbiddenError(path)
        body = json.loads(json.dumps(body, default=lambda value: base64.b64encode(value).decode()))
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise NameTakenError(path)
        stored = self.objects.get(path, {"metadata": {}})
        if method == "PUT" and body["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
            raise ConflictError(path)
        if method == "PATCH" and isinstance(body, list):
            body = self.patched(stored, body)
        elif method == "PATCH":
            notes = {**stored["metadata"].get("annotations", {}), **body["metadata"]["annotations"]}
            body = {**stored, "metadata": {**stored["metadata"], "annotations": notes}}
        self.put(path, body)
        self.writes.append(f"{method} {path.rpartition('/')[2]}")
        return b"{}"

    @staticmethod
    def patched(stored: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
        result = json.loads(json.dumps(stored))
        for operation in operations:
            *way, last = operation["path"].strip("/").split("/")
            at = result
            for step in way:
                at = at[int(step)] if isinstance(at, list) else at[step]
            if operation["op"] == "test":
                if at[last] != operation["value"]:
                    raise RejectedError("test failed")
            else:
                at[last] = operation["value"]
        return cast("dict[str, Any]", result)

    def bundles(self) -> set[bytes]:
        hooks = (hook["clientConfig"] for path in CONFIGURATIONS for hook in self.objects[path]["webhooks"])
        return {base64.b64decode(hook.get("caBundle", "")) for hook in hooks}

    def data(self, path: str, key: str) -> bytes:
        return base64.b64decode(self.objects[path]["data"][key])


def keeper(storage: Storage, registry: CollectorRegistry | None = None) -> CertificateKeeper:
    client = cast("Client", storage)
    metrics = KeeperMetrics(registry or CollectorRegistry())
    settings = Settings.model_construct()
    return CertificateKeeper(client, client, "ns", settings, metrics, now=utc_now, log=logger(), clock=lambda: 0.0)


async def test_everything_is_made_in_order_and_then_nothing_is_written() -> None:
    storage, registry = Storage(), CollectorRegistry()
    keeps = keeper(storage, registry)
    assert await keeps._look() == 60
    assert storage.writes == [
        "POST schemagate-ca",
        "PATCH schemagate",
        "PATCH schemagate",
        "PUT schemagate-ca",
        "POST schemagate-webhook-tls",
    ]
    assert storage.bundles() == {storage.data(LEAF, "ca.crt")}
    assert storage.objects[LEAF]["type"] == "kubernetes.io/tls"
    storage.writes.clear()
    await keeps._look()
    assert storage.writes == []
    for kind in ("ca", "leaf"):
        labels = {"kind": kind, "reason": "Missing"}
        assert registry.get_sample_value("schemagate_certificate_renewals_total", labels) == 1
    assert registry.get_sample_value("schemagate_ca_bundle_repairs_total", {"configuration": "mutating"}) == 1
    assert registry.get_sample_value("schemagate_ca_bundle_in_sync", {"configuration": "mutating"}) == 1


async def test_who_does_not_lead_any_more_tells_nothing_of_certificates() -> None:
    storage, registry = Storage(), CollectorRegistry()
    keeps = keeper(storage, registry)
    await keeps._look()
    storage.refused.add(CONFIGURATIONS[0])
    del storage.objects[CONFIGURATIONS[0]]["webhooks"][0]["clientConfig"]["caBundle"]
    keeps._reflectors = []  # this storage cannot be watched
    expiry = [("schemagate_certificate_expiry_timestamp_seconds", {"kind": kind}) for kind in ("ca", "leaf")]

    def in_sync() -> float | None:
        return registry.get_sample_value("schemagate_ca_bundle_in_sync", {"configuration": "mutating"})

    tried = asyncio.Event()
    storage.before_write = tried.set
    running = asyncio.create_task(keeps.run())
    async with asyncio.timeout(30):
        await tried.wait()
    assert in_sync() == 0
    assert None not in [registry.get_sample_value(*sample) for sample in expiry]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [registry.get_sample_value(*sample) for sample in expiry] == [None, None]
    assert in_sync() == 1
    # Who leads again tells them again.
    storage.refused.clear()
    await keeps._look()
    assert None not in [registry.get_sample_value(*sample) for sample in expiry]


async def test_two_at_once_agree_on_one_authority() -> None:
    storage = Storage()
    rival: list[dict[str, Any]] = []
    await keeper(other := Storage())._look()
    rival.append(other.objects[AUTHORITY])
    storage.before_write = lambda: storage.put(AUTHORITY, rival[0])
    keeps = keeper(storage)
    with pytest.raises(NameTakenError):
        await keeps._look()
    await keeps._look()
    assert storage.data(AUTHORITY, "ca.crt") == other.data(AUTHORITY, "ca.crt")
    assert storage.bundles() == {other.data(AUTHORITY, "ca.crt")}


async def test_a_blanked_bundle_is_mended_by_one_write_and_nothing_else_is_touched() -> None:
    storage = Storage()
    keeps = keeper(storage)
    await keeps._look()
    (good,) = storage.bundles()
    storage.writes.clear()
    del storage.objects[CONFIGURATIONS[1]]["webhooks"][1]["clientConfig"]["caBundle"]
    storage.objects[CONFIGURATIONS[1]]["webhooks"][0]["timeoutSeconds"] = 7
    await keeps._look()
    assert storage.writes == ["PATCH schemagate"]
    assert storage.bundles() == {good}
    assert storage.objects[CONFIGURATIONS[1]]["webhooks"][0]["timeoutSeconds"] == 7


@pytest.mark.parametrize("annotation", ["inject-ca-from", "inject-ca-from-secret"])
async def test_what_the_injector_of_cert_manager_writes_is_left_alone_and_told_once(annotation: str) -> None:
    storage, registry = Storage(), CollectorRegistry()
    keeps = keeper(storage, registry)
    await keeps._look()
    storage.writes.clear()
    ours, theirs = storage.bundles().pop(), b"what the injector wrote"
    injected = storage.objects[CONFIGURATIONS[0]]
    injected["metadata"]["annotations"] = {f"cert-manager.io/{annotation}": "ns/schemagate-serving"}
    for hook in injected["webhooks"]:
        hook["clientConfig"]["caBundle"] = base64.b64encode(theirs).decode()
    with capture_logs() as logs:
        for _ in range(3):
            assert await keeps._look() == 60
    assert [entry["configuration"] for entry in logs if entry["event"] == "ca_bundle_left_alone"] == ["mutating"]
    assert storage.writes == []
    assert storage.bundles() == {ours, theirs}
    labels = {"configuration": "mutating"}
    assert registry.get_sample_value("schemagate_ca_bundle_in_sync", labels) == 0
    # It does not keep what is ours from being renewed.
    storage.objects[LEAF]["metadata"]["annotations"] = {ROTATE: "please"}
    await keeps._look()
    assert storage.writes == ["PUT schemagate-webhook-tls"]
    # Taken off, it is ours to mend again.
    del injected["metadata"]["annotations"]
    await keeps._look()
    assert storage.bundles() == {ours}


async def test_a_configuration_that_changes_meanwhile_is_looked_at_again() -> None:
    storage = Storage()
    keeps = keeper(storage)
    await keeps._look()
    storage.objects[CONFIGURATIONS[0]]["webhooks"][0]["clientConfig"]["caBundle"] = ""
    storage.before_write = lambda: storage.put(CONFIGURATIONS[0], storage.objects[CONFIGURATIONS[0]])
    with pytest.raises(RejectedError):
        await keeps._look()
    await keeps._look()
    assert len(storage.bundles()) == 1


async def test_a_leaf_does_not_wait_for_a_bundle_that_cannot_be_written() -> None:
    storage = Storage()
    keeps = keeper(storage)
    await keeps._look()
    before = storage.data(LEAF, "tls.crt")
    hook = storage.objects[CONFIGURATIONS[0]]["webhooks"][0]["clientConfig"]
    hook["caBundle"] = base64.b64encode(base64.b64decode(hook["caBundle"]) + b"\n").decode()
    storage.refused.add(CONFIGURATIONS[0])
    storage.objects[LEAF]["metadata"]["annotations"] = {ROTATE: "please"}
    with pytest.raises(ForbiddenError):
        await keeps._look()
    assert storage.data(LEAF, "tls.crt") != before


async def test_a_wish_is_fulfilled_once() -> None:
    storage = Storage()
    keeps = keeper(storage)
    await keeps._look()
    storage.objects[LEAF]["metadata"]["annotations"] = {ROTATE: "a", "kept": "yes"}
    storage.objects[LEAF]["metadata"]["labels"] = {"kept": "too"}
    storage.objects[AUTHORITY]["metadata"]["annotations"] = {ROTATE: "b"}
    storage.writes.clear()
    await keeps._look()
    assert storage.objects[LEAF]["metadata"]["annotations"] == {ROTATE: "a", ROTATED: "a", "kept": "yes"}
    assert storage.objects[LEAF]["metadata"]["labels"] == {"kept": "too"}
    assert storage.objects[AUTHORITY]["metadata"]["annotations"] == {ROTATE: "b", ROTATED: "b"}
    (bundle,) = storage.bundles()
    assert len(certificates(bundle)) == 2
    storage.writes.clear()
    await keeps._look()
    assert storage.writes == []


def test_what_fails_is_counted_by_a_closed_set_of_names() -> None:
    registry = CollectorRegistry()
    metrics = KeeperMetrics(registry)
    metrics.failed(ForbiddenError("no"))
    metrics.failed(CertError("no"))
    for name in ("ForbiddenError", "other"):
        assert registry.get_sample_value("schemagate_certificate_failures_total", {"error": name}) == 1
