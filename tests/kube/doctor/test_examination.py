"""What the doctor gathers, from an API server that answers by path."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from certs.authority import CertificateAuthority
from tests.kube.doctor.site import Site, facts_of, found
from tests.live.installation import NAMESPACE
from tests.support import builders as make
from tests.support.builders import NOW
from webhook.errors import UnreachableError
from webhook.kube.doctor.examination import examine
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.facts import Canary, Certificate
from webhook.policy.diagnosis.line import Check, Level
from webhook.policy.diagnosis.rights import rights
from webhook.policy.names import LICENSE_PATH

SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
LEAF = f"{SECRETS}/schemagate-webhook-tls"

LOST = [
    (SECRETS, {Check.CERTIFICATE, Check.CA_BUNDLE}),
    ("/apis/batch", {Check.MIGRATIONS, Check.FOREIGN_JOBS}),
    ("/apis/authorization", {Check.RIGHTS}),
    ("/apis/coordination", {Check.LEADER}),
    ("/apis/apiextensions", {Check.DEFINITION}),
    ("/apis/apps/v1/deployments", {Check.MIGRATIONS, Check.FOREIGN_JOBS, Check.COVERAGE}),
    ("/apis/apps/v1/namespaces/default", {Check.CANARY}),
    ("/apis/admissionregistration.k8s.io/v1/validatingadmission", {Check.FENCES}),
]
"""What cannot be read, by how its path begins, and the checks that are left without an answer."""


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
    site.keep(make.record(), make.record(metadata={"namespace": "team-b"}, spec={"enabled": False}))
    site.denied = {("jobs", "create", ""), ("jobs", "create", "team-b")}
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
        *LOST,
        ("/apis/discovery", {Check.SERVICE}),
        (f"/apis/apps/v1/namespaces/{NAMESPACE}", {Check.PROCESSES, Check.CERTIFICATE, Check.CA_BUNDLE}),
    ],
)
async def test_what_is_forbidden_is_unknown_and_the_rest_is_told(
    site: Site, tmp_path: Path, start: str, checks: set[Check]
) -> None:
    site.forbidden = {start}
    lines = [line for line in diagnose(await facts_of(site, tmp_path)) if line.level is not Level.OK]
    assert {line.check for line in lines} == checks
    assert {line.level for line in lines} == {Level.UNKNOWN}


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(("start", "checks"), LOST)
async def test_what_is_not_answered_is_unknown_and_hides_nothing_else(
    site: Site, tmp_path: Path, start: str, checks: set[Check], code: int
) -> None:
    site.broken = {start: code}
    lines = [line for line in diagnose(await facts_of(site, tmp_path)) if line.level is not Level.OK]
    assert {line.check for line in lines} == checks
    for line in lines:
        assert line.level is Level.UNKNOWN
        assert f"{code} no luck with {start}" in line.message
        assert "you may not" not in line.message


async def test_what_expires_or_is_refused_is_unknown_too(site: Site, tmp_path: Path) -> None:
    site.broken = {"/apis/batch": 410, "/apis/coordination": 400}
    lines = [line for line in diagnose(await facts_of(site, tmp_path)) if line.level is not Level.OK]
    assert {(line.level, line.check) for line in lines} == {
        (Level.UNKNOWN, check) for check in (Check.LEADER, Check.MIGRATIONS, Check.FOREIGN_JOBS)
    }


async def test_an_answer_without_a_time_is_no_comparison(site: Site, tmp_path: Path) -> None:
    site.tells_time = False
    assert found(await facts_of(site, tmp_path)) == [(Level.UNKNOWN, Check.CLOCKS)]


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


async def test_a_cluster_that_does_not_answer_is_an_error(site: Site, tmp_path: Path) -> None:
    site.canary = (201, {}, [])
    async with site.client(tmp_path) as client:
        await client.close()
        with pytest.raises(UnreachableError):
            await examine(client, NAMESPACE, "default", lambda: NOW)
