"""An API server that keeps reports of the kinds it serves, as a real one does, behind a fake one's socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from tests.kube.fake_api import answer, status
from webhook.policy.names import MANAGED_BY, PRODUCT

GROUPS = ("openreports.io", "wgpolicyk8s.io")


class ReportServer:
    """``served`` groups answer, those of ``forbidden`` refuse; what is stored lies under (group, namespace)."""

    def __init__(self, *served: str) -> None:
        self.served = set(served)
        self.forbidden: set[str] = set()
        self.broken: set[str] = set()
        """Namespaces in which nothing can be written."""
        self.stored: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes: list[tuple[str, str, str]] = []
        self.reads = 0
        self._wrote = asyncio.Condition()
        self._version = 100

    def put(self, group: str, namespace: str, **labels: str) -> dict[str, Any]:
        """Have an object stored, by whomever."""
        self._version += 1
        metadata = {
            "name": PRODUCT,
            "namespace": namespace,
            "uid": f"uid-{self._version}",
            "resourceVersion": str(self._version),
            "labels": labels,
        }
        self.stored[group, namespace] = {"metadata": metadata}
        return self.stored[group, namespace]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        parts = request.path.split("/")
        group, namespace = parts[2], parts[5] if "namespaces" in parts else ""
        body = json.loads(await request.read() or b"{}")
        async with self._wrote:
            step = self._answer(request, group, namespace, body)
            self._wrote.notify_all()
        response: web.StreamResponse = await step(request)
        return response

    async def written(self, times: int) -> None:
        """Wait until so many writes have arrived."""
        async with self._wrote:
            await self._wrote.wait_for(lambda: len(self.writes) >= times)

    def _answer(self, request: web.BaseRequest, group: str, namespace: str, body: dict[str, Any]) -> Any:
        if request.method == "GET":
            self.reads += 1
        else:
            self.writes.append((request.method, group, namespace))
        if group in self.forbidden:
            return status(403, "Forbidden")
        if group not in self.served:
            return status(404, "NotFound")
        if request.method == "GET":
            assert request.query["labelSelector"] == f"{MANAGED_BY}={PRODUCT}"
            assert "PartialObjectMetadataList" in request.headers["Accept"]
            items = [
                {"metadata": item["metadata"]}
                for (other, _), item in self.stored.items()
                if other == group and item["metadata"]["labels"].get(MANAGED_BY) == PRODUCT
            ]
            return answer({"metadata": {"resourceVersion": "1"}, "items": items})
        if namespace in self.broken:
            return status(403, "Forbidden")
        return self._written(request.method, (group, namespace), body)

    def _written(self, method: str, key: tuple[str, str], body: dict[str, Any]) -> Any:
        old = self.stored.get(key)
        if method == "POST":
            if old is not None:
                return status(409, "AlreadyExists")
            stored = self.put(*key, **body["metadata"]["labels"])
            stored |= {**body, "metadata": stored["metadata"]}
            return answer(stored, 201)
        if old is None:
            return status(404, "NotFound")
        if method == "DELETE":
            if body["preconditions"]["uid"] != old["metadata"]["uid"]:
                return status(409, "Conflict")
            return answer(self.stored.pop(key))
        same = {name: body["metadata"][name] for name in ("uid", "resourceVersion")}
        if same != {name: old["metadata"][name] for name in same}:
            return status(409, "Conflict")
        self._version += 1
        metadata = {**old["metadata"], "resourceVersion": str(self._version)}
        self.stored[key] = {**old, **body, "metadata": metadata}
        return answer(self.stored[key])
