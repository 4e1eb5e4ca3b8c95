"""An API server that answers by path, with schemagate installed on it as its manifests say."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from certs.authority import CertificateAuthority
from tests.kube.fake_api import client_of, serving
from tests.live.installation import NAMESPACE, manifests, path_of
from tests.support.builders import NOW, Manifest
from tests.support.diagnoses import established, lease, running, slice_of
from webhook.kube.api.client import Client
from webhook.kube.doctor.canary import VERSION
from webhook.kube.doctor.examination import examine
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.facts import Facts
from webhook.policy.diagnosis.line import Check, Level

WARNING = f"schemagate: Gateway {VERSION} is older than 11.2.2"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
LISTED = (
    "/apis/apps/v1/deployments",
    "/apis/schemagate.io/v1alpha1/gatewaymigrations",
    "/apis/security.brcmlabs.com/v1/gateways",
    "/api/v1/namespaces",
    "/apis/batch/v1/jobs",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
)


class Site:
    """A cluster in which schemagate is installed: as the base says, or as these objects do."""

    def __init__(
        self,
        objects: Sequence[Manifest] | None = None,
        namespace: str = NAMESPACE,
        secret: str = "schemagate-webhook-tls",
    ) -> None:
        self.namespace = namespace
        authority = CertificateAuthority.create("ca", now=NOW, lifetime=timedelta(days=30))
        pair = authority.issue([f"schemagate-webhook.{namespace}.svc"], now=NOW, lifetime=timedelta(days=20))
        # What is cert-manager's nobody here looks at.
        applied = [item for item in objects or manifests() if not item["apiVersion"].startswith("cert-manager")]
        self.objects: dict[str, Manifest] = {path_of(item): _as_stored(item) for item in applied}
        for item in self.objects.values():
            for hook in item.get("webhooks", ()):
                hook["clientConfig"]["caBundle"] = base64.b64encode(authority.certificate_pem).decode()
        data = {"tls.crt": pair.certificate_chain, "tls.key": pair.private_key}
        values = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self.store(f"/api/v1/namespaces/{namespace}/secrets", secret, data=values)
        leases = LEASES.replace(NAMESPACE, namespace)
        self.store(leases, "schemagate-controller", **lease())
        self.leases: list[Manifest] = []
        """What the Lease is in one reading after the other, before it is what is stored."""
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        self.store(slices, "schemagate-webhook-x", **slice_of("webhook-0"))
        for name in ("default", "team-a"):
            self.store("/api/v1/namespaces", name)
        self.waits: list[float] = []
        self.forbidden: set[str] = set()
        self.broken: dict[str, int] = {}
        """Beginnings of paths, and the code that is answered."""
        self.tells_time = True
        self.denied: set[tuple[str, str, str]] = set()
        self.canary: tuple[int, Mapping[str, Any], list[str]] = (201, {}, [WARNING])
        self.reviews: list[Manifest] = []
        self.written: list[tuple[str, Mapping[str, str], Manifest]] = []

    def store(self, collection: str, name: str, **more: Any) -> None:
        parts = collection.split("/namespaces/")
        where = {"namespace": parts[1].split("/")[0]} if len(parts) > 1 else {}
        self.objects[f"{collection}/{name}"] = {**more, "metadata": {"name": name, **where}}

    async def wait(self, seconds: float) -> None:
        """Note for how long somebody would wait."""
        self.waits.append(seconds)

    def keep(self, *items: Manifest) -> None:
        """Store objects of the kinds that Gateways are made of."""
        for item in items:
            namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
            plural = {"GatewayMigration": "gatewaymigrations"}.get(item["kind"], f"{item['kind'].lower()}s")
            self.objects[f"/apis/{item['apiVersion']}/namespaces/{namespace}/{plural}/{name}"] = item

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if any(path.startswith(start) for start in self.forbidden):
            message = f'x is forbidden: User "jane" cannot create resource "{path}"'
            return _json({"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}, 403)
        for start, code in self.broken.items():
            if path.startswith(start):
                return _json({"kind": "Status", "code": code, "message": f"no luck with {start}"}, code)
        if request.method == "POST":
            return self._posted(path, request, json.loads(await request.read()))
        assert request.method == "GET"
        if path == "/version":
            answer = _json({"gitVersion": "v1.36.3"})
            if not self.tells_time:
                answer.headers["Date"] = "once"
            return answer
        if self.leases and path.endswith("/leases/schemagate-controller"):
            return _json(self.leases.pop(0))
        if path in self.objects:
            return _json(self.objects[path])
        plural = path.rpartition("/")[2]
        items = [
            item
            for stored, item in self.objects.items()
            if stored.rpartition("/")[0].endswith(f"/{plural}")
            and path.rpartition("/")[0].split("/namespaces")[0] in stored
        ]
        if items or path in LISTED or "?" in request.raw_path:
            return _json({"metadata": {"resourceVersion": "1"}, "items": items})
        return _json({"kind": "Status", "code": 404, "reason": "NotFound", "message": path}, 404)

    def _posted(self, path: str, request: web.BaseRequest, body: Manifest) -> web.StreamResponse:
        if path.endswith("/subjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            self.reviews.append(body["spec"])
            key = (asked["resource"], asked["verb"], asked.get("namespace", ""))
            allowed = key not in self.denied and self._grants(body["spec"]["user"], asked)
            return _json({"status": {"allowed": allowed}}, 201)
        self.written.append((path, request.query, body))
        code, answer, warnings = self.canary
        response = _json(answer, code)
        for said in warnings:
            response.headers.add("Warning", f'299 - "{said}"')
        return response

    def _grants(self, user: str, asked: Mapping[str, str]) -> bool:
        """Tell what RBAC says: a right is held where a binding that counts there names a role with it."""
        _, _, namespace, name = user.split(":")
        for path, binding in self.objects.items():
            if binding.get("kind") not in {"ClusterRoleBinding", "RoleBinding"}:
                continue
            where = binding["metadata"].get("namespace", "")
            about = any((one["namespace"], one["name"]) == (namespace, name) for one in binding["subjects"])
            if not about or where not in {"", asked.get("namespace", "")}:
                continue
            kind = binding["roleRef"]["kind"]
            root = path.rpartition("/")[0].rpartition("/")[0]
            if kind == "ClusterRole":
                root = root.partition("/namespaces/")[0]
            role = self.objects[f"{root}/{kind.lower()}s/{binding['roleRef']['name']}"]
            if any(_covers(rule, asked) for rule in role["rules"]):
                return True
        return False

    @asynccontextmanager
    async def client(self, folder: Path) -> AsyncGenerator[Client]:
        async with serving([self.handle]) as api, client_of(api, folder) as client:
            yield client


def _as_stored(item: Manifest) -> Manifest:
    """Give an object with what an API server and controllers say of it."""
    if item["kind"] == "CustomResourceDefinition":
        return {**item, "status": established()["status"]}
    return running(item) if item["kind"] == "Deployment" else item


def _covers(rule: Manifest, asked: Mapping[str, str]) -> bool:
    part = asked.get("subresource", "")
    resource = asked["resource"] + (f"/{part}" if part else "")
    names = rule.get("resourceNames")
    return (
        asked.get("group", "") in rule["apiGroups"]
        and resource in rule["resources"]
        and asked["verb"] in rule["verbs"]
        and (not names or asked.get("name") in names)
    )


def _json(body: Mapping[str, Any], code: int = 200) -> web.Response:
    headers = {"Content-Type": "application/json", "Date": format_datetime(NOW, usegmt=True)}
    return web.Response(status=code, body=json.dumps(body).encode(), headers=headers)


async def facts_of(site: Site, folder: Path) -> Facts:
    """Examine a cluster; nobody waits."""
    async with site.client(folder) as client:
        return await examine(client, site.namespace, "default", lambda: NOW, site.wait)


def found(facts: Facts) -> list[tuple[Level, Check]]:
    """Give level and check of what is not OK."""
    return [(line.level, line.check) for line in diagnose(facts) if line.level is not Level.OK]
