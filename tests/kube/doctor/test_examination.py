"""What the doctor gathers, from an API server that answers by path."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from certs.authority import CertificateAuthority
from tests.kube.fake_api import client_of, serving
from tests.live.installation import NAMESPACE, manifests, path_of
from tests.support import builders as make
from tests.support.builders import NOW, Manifest
from tests.support.diagnoses import lease, slice_of
from webhook.errors import UnreachableError
from webhook.kube.api.client import Client
from webhook.kube.doctor.canary import VERSION
from webhook.kube.doctor.examination import examine
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.facts import Canary, Certificate, Facts, Gateways
from webhook.policy.diagnosis.line import Check, Level
from webhook.policy.diagnosis.rights import rights
from webhook.policy.names import LICENSE_PATH

WARNING = f"schemagate: Gateway {VERSION} is older than 11.2.2"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
LEAF = f"{SECRETS}/schemagate-webhook-tls"
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
    """A cluster in which schemagate is installed as its manifests say."""

    def __init__(self) -> None:
        authority = CertificateAuthority.create("ca", now=NOW, lifetime=timedelta(days=30))
        pair = authority.issue(["schemagate-webhook.schemagate.svc"], now=NOW, lifetime=timedelta(days=20))
        self.objects: dict[str, Manifest] = {path_of(item): item for item in manifests()}
        for item in self.objects.values():
            for hook in item.get("webhooks", ()):
                hook["clientConfig"]["caBundle"] = base64.b64encode(authority.certificate_pem).decode()
        data = {"tls.crt": pair.certificate_chain, "tls.key": pair.private_key}
        self.store(
            SECRETS, "schemagate-webhook-tls", data={k: base64.b64encode(v).decode() for k, v in data.items()}
        )
        self.store(
            f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases", "schemagate-controller", **lease()
        )
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
        self.store(slices, "schemagate-webhook-x", **slice_of("webhook-0"))
        for name in ("default", "team-a"):
            self.store("/api/v1/namespaces", name)
        self.forbidden: set[str] = set()
        self.denied: set[tuple[str, str, str]] = set()
        self.canary: tuple[int, Mapping[str, Any], list[str]] = (201, {}, [WARNING])
        self.reviews: list[Manifest] = []
        self.written: list[tuple[str, Mapping[str, str], Manifest]] = []

    def store(self, collection: str, name: str, **more: Any) -> None:
        parts = collection.split("/namespaces/")
        where = {"namespace": parts[1].split("/")[0]} if len(parts) > 1 else {}
        self.objects[f"{collection}/{name}"] = {**more, "metadata": {"name": name, **where}}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if any(path.startswith(start) for start in self.forbidden):
            message = f'x is forbidden: User "jane" cannot create resource "{path}"'
            return _json({"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}, 403)
        if request.method == "POST":
            return self._posted(path, request, json.loads(await request.read()))
        assert request.method == "GET"
        if path == "/version":
            return _json({"gitVersion": "v1.36.3"})
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
            allowed = asked["verb"] != "*" and key not in self.denied
            return _json({"status": {"allowed": allowed}}, 201)
        self.written.append((path, request.query, body))
        code, answer, warnings = self.canary
        response = _json(answer, code)
        for said in warnings:
            response.headers.add("Warning", f'299 - "{said}"')
        return response

    @asynccontextmanager
    async def client(self, folder: Path) -> AsyncGenerator[Client]:
        async with serving([self.handle]) as api, client_of(api, folder) as client:
            yield client


def _json(body: Mapping[str, Any], code: int = 200) -> web.Response:
    headers = {"Content-Type": "application/json", "Date": format_datetime(NOW, usegmt=True)}
    return web.Response(status=code, body=json.dumps(body).encode(), headers=headers)


@pytest.fixture
def site() -> Site:
    return Site()


async def facts_of(site: Site, folder: Path) -> Facts:
    async with site.client(folder) as client:
        return await examine(client, NAMESPACE, "default", lambda: NOW)


def found(facts: Facts) -> list[tuple[Level, Check]]:
    return [(line.level, line.check) for line in diagnose(facts) if line.level is not Level.OK]


async def test_a_healthy_installation_is_seen_whole(site: Site, tmp_path: Path) -> None:
    facts = await facts_of(site, tmp_path)
    assert [line for line in diagnose(facts) if line.level is not Level.OK] == []
    assert facts.version == "v1.36.3"
    assert facts.server_time == NOW
    assert isinstance(facts.certificate, Certificate)
    assert facts.certificate.names == ("schemagate-webhook.schemagate.svc",)
    assert len(facts.certificate.verified) == 3


async def test_nothing_is_written_but_a_dry_run(site: Site, tmp_path: Path) -> None:
    await facts_of(site, tmp_path)
    ((path, query, body),) = site.written
    assert path == "/apis/apps/v1/namespaces/default/deployments"
    assert query == {"dryRun": "All"}
    assert (body["spec"]["replicas"], body["spec"]["paused"]) == (0, True)
    (container,) = body["spec"]["template"]["spec"]["containers"]
    assert container["volumeMounts"][0]["mountPath"] == LICENSE_PATH


async def test_both_accounts_are_asked_for_as_the_api_server_knows_them(site: Site, tmp_path: Path) -> None:
    facts = await facts_of(site, tmp_path)
    assert facts.rights == dict.fromkeys(rights(NAMESPACE), True)
    assert {review["user"] for review in site.reviews} == {
        "system:serviceaccount:schemagate:schemagate-controller",
        "system:serviceaccount:schemagate:schemagate-webhook",
    }
    assert {tuple(review["groups"]) for review in site.reviews} == {
        ("system:serviceaccounts", "system:serviceaccounts:schemagate", "system:authenticated")
    }
    (logs,) = [each for each in site.reviews if each["resourceAttributes"].get("subresource") == "log"]
    assert logs["resourceAttributes"] == {"resource": "pods", "subresource": "log", "verb": "get"}


async def test_a_right_by_namespace_is_enough_where_there_are_records(site: Site, tmp_path: Path) -> None:
    path = "/apis/schemagate.io/v1alpha1/namespaces/team-a/gatewaymigrations"
    site.store(path, "ssg", **{key: value for key, value in make.record().items() if key != "metadata"})
    site.denied = {("jobs", "create", "")}
    facts = await facts_of(site, tmp_path)
    assert found(facts) == []
    site.denied |= {("jobs", "create", "team-a")}
    facts = await facts_of(site, tmp_path)
    assert found(facts) == [(Level.FAIL, Check.RIGHTS)]
    assert isinstance(facts.rights, Mapping)
    assert [str(right) for right, held in facts.rights.items() if not held] == ["create jobs.batch in team-a"]


@pytest.mark.parametrize(
    ("start", "checks"),
    [
        (SECRETS, {Check.CERTIFICATE, Check.CA_BUNDLE}),
        ("/apis/batch", {Check.MIGRATIONS, Check.FOREIGN_JOBS}),
        ("/apis/authorization", {Check.RIGHTS}),
        ("/apis/coordination", {Check.LEADER}),
        ("/apis/discovery", {Check.SERVICE}),
        ("/apis/apiextensions", {Check.DEFINITION}),
        ("/apis/apps/v1/namespaces/default", {Check.CANARY}),
        ("/apis/apps/v1/deployments", {Check.MIGRATIONS, Check.FOREIGN_JOBS, Check.COVERAGE}),
        ("/apis/admissionregistration.k8s.io/v1/validatingadmission", {Check.FENCES}),
    ],
)
async def test_what_is_forbidden_is_unknown_and_the_rest_is_told(
    site: Site, tmp_path: Path, start: str, checks: set[Check]
) -> None:
    site.forbidden = {start}
    lines = [line for line in diagnose(await facts_of(site, tmp_path)) if line.level is not Level.OK]
    assert {line.check for line in lines} == checks
    assert {line.level for line in lines} == {Level.UNKNOWN}


async def test_a_refused_canary_keeps_the_words_of_the_api_server(site: Site, tmp_path: Path) -> None:
    said = 'Internal error occurred: failed calling webhook "deployments.validate.schemagate.io": x509: bad'
    site.canary = (500, {"kind": "Status", "code": 500, "message": said}, [])
    facts = await facts_of(site, tmp_path)
    assert isinstance(facts.canary, Canary)
    assert said in facts.canary.refusal
    assert found(facts) == [(Level.FAIL, Check.CANARY)]


async def test_a_canary_that_a_quota_refuses_is_no_missing_right(site: Site, tmp_path: Path) -> None:
    site.canary = (403, {"kind": "Status", "code": 403, "message": "exceeded quota: q"}, [])
    facts = await facts_of(site, tmp_path)
    assert isinstance(facts.canary, Canary)
    assert "exceeded quota" in facts.canary.refusal


async def test_the_secret_that_a_deployment_mounts_is_the_one_that_counts(site: Site, tmp_path: Path) -> None:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/schemagate-webhook"
    volumes = [{"name": "tls", "secret": {"secretName": "schemagate-serving"}}]
    site.objects[path]["spec"]["template"]["spec"]["volumes"] = volumes
    facts = await facts_of(site, tmp_path)
    assert facts.certificate == Certificate(secret="schemagate-serving", problem="there is no such Secret")


async def test_a_secret_that_holds_no_pair_is_told_without_what_it_holds(site: Site, tmp_path: Path) -> None:
    site.objects[LEAF]["data"]["tls.key"] = base64.b64encode(b"s3cr3t").decode()
    facts = await facts_of(site, tmp_path)
    assert isinstance(facts.certificate, Certificate)
    assert facts.certificate.problem.startswith("what it holds cannot be used")
    assert "s3cr3t" not in repr(facts)


async def test_another_ca_bundle_does_not_verify(site: Site, tmp_path: Path) -> None:
    stranger = CertificateAuthority.create("stranger", now=NOW, lifetime=timedelta(days=1))
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/schemagate"
    (hook,) = site.objects[path]["webhooks"]
    hook["clientConfig"]["caBundle"] = base64.b64encode(stranger.certificate_pem).decode()
    assert found(await facts_of(site, tmp_path)) == [(Level.FAIL, Check.CA_BUNDLE)]


async def test_what_else_is_asked_about_pods_is_named(site: Site, tmp_path: Path) -> None:
    collection = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    rule = {"apiGroups": [""], "operations": ["CREATE"], "resources": ["pods"]}
    site.store(collection, "mesh", webhooks=[{"rules": [{**rule, "operations": ["*"], "resources": ["*"]}]}])
    site.store(collection, "defaults", webhooks=[{"rules": [rule]}])
    site.store(collection, "services", webhooks=[{"rules": [{**rule, "resources": ["services"]}]}])
    site.store(collection, "empty")
    assert (await facts_of(site, tmp_path)).other_webhooks == ("defaults", "mesh")


async def test_an_unguarded_gateway_is_counted(site: Site, tmp_path: Path) -> None:
    literal = [{"name": "SSG_DATABASE_JDBC_URL", "value": make.URL}]
    site.objects["/apis/apps/v1/namespaces/team-a/deployments/ssg"] = make.deployment(
        make.container(env=literal, envFrom=None)
    )
    facts = await facts_of(site, tmp_path)
    assert facts.gateways == Gateways(ungoverned=("team-a/ssg",), count=1, namespaces=frozenset({"team-a"}))


async def test_a_cluster_that_does_not_answer_is_an_error(site: Site, tmp_path: Path) -> None:
    site.canary = (201, {}, [])
    async with site.client(tmp_path) as client:
        await client.close()
        with pytest.raises(UnreachableError):
            await examine(client, NAMESPACE, "default", lambda: NOW)
