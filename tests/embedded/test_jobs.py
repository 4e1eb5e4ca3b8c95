"""Who plays the Job controller, and who plays the API server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import trustme

from tests.support import builders as make
from webhook.admission.limits import Limits
from webhook.admission.server import Reply, WebhookServer
from webhook.embedded.apiserver import EmbeddedApiServer, admission_review
from webhook.embedded.jobs import LOCKED, Ending, JobRunner
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import SourceError
from webhook.policy.migration.evidence import tampering
from webhook.policy.names import COMPONENT, MIGRATION_COMPONENT


def job(name: str = "j", **tweak: Any) -> dict[str, Any]:
    base = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "team-a", "labels": {COMPONENT: MIGRATION_COMPONENT}},
        "spec": {"template": {"spec": {"containers": [{"name": "db-migration", "image": "x"}]}}},
    }
    return make.merged(base, tweak)


@pytest.fixture
def cluster() -> EmbeddedControllerCluster:
    return EmbeddedControllerCluster()


async def test_a_job_ends_as_told(cluster: Any) -> None:
    runner = JobRunner(cluster)
    cluster.put(job("a"))
    cluster.put(job("b"))
    assert runner.active() == [("team-a", "a"), ("team-a", "b")]
    runner.finish("team-a", "a")
    runner.finish("team-a", "b", LOCKED)
    assert runner.active() == []
    good, bad = cluster.get("Job", "team-a", "a"), cluster.get("Job", "team-a", "b")
    pods = await cluster.job_pods("team-a", good["metadata"]["uid"])
    assert tampering(good, pods) is None
    assert bad["status"]["conditions"][0]["reason"] == "DeadlineExceeded"
    (pod,) = await cluster.job_pods("team-a", bad["metadata"]["uid"])
    assert "changelog lock" in await cluster.pod_log("team-a", pod["metadata"]["name"])


@pytest.mark.parametrize("other", [{"labels": None}, {"labels": {COMPONENT: "backup"}}])
def test_jobs_of_others_are_left_alone(cluster: Any, other: Any) -> None:
    cluster.put(job(metadata=other))
    assert JobRunner(cluster).active() == []


def test_the_job_of_an_operator_is_told_by_its_name(cluster: Any) -> None:
    cluster.put(make.operators_job())
    runner = JobRunner(cluster)
    assert runner.active() == [("team-a", "ssg-db-migration")]
    runner.finish("team-a", "ssg-db-migration")
    assert runner.active() == []


def test_no_job_to_end_is_told(cluster: Any) -> None:
    with pytest.raises(SourceError, match="no Job team-a/x"):
        JobRunner(cluster).finish("team-a", "x", Ending())


@pytest.mark.parametrize(("old", "operation"), [(None, "CREATE"), (make.deployment(), "UPDATE")])
def test_reviews_are_what_an_api_server_sends(old: Any, operation: str) -> None:
    request = admission_review(make.deployment(), old, user="admin", dry_run=True)["request"]
    assert (request["operation"], request["oldObject"], request["dryRun"]) == (operation, old, True)
    assert request["resource"] == {"group": "apps", "version": "v1", "resource": "deployments"}
    assert "system:masters" in request["userInfo"]["groups"]
    assert "system:masters" not in admission_review(make.pod(metadata={"name": "p"}), None, user="x")["request"][
        "userInfo"]["groups"]  # fmt: skip


class Webhooks:
    """Answers by path; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.reply: Reply | None = None

    def endpoint(self, path: str) -> Any:
        async def answer(body: bytes, *, deadline: float) -> Reply:
            request = msgspec.json.decode(body)["request"]
            self.asked.append((path, request))
            if self.reply is not None:
                return self.reply
            response = {"uid": request["uid"], "allowed": True, **self.answers.get(path, {})}
            return Reply(200, msgspec.json.encode({"response": response}))

        return answer


class Recorder:
    def request_started(self) -> None: ...
    def request_finished(self, path: str, status: int, seconds: float) -> None: ...
    def refused(self, reason: str) -> None: ...


PATHS = ("/mutate-v1-pod", "/mutate-apps-v1-deployment", "/validate-apps-v1-deployment")


class Api:
    def __init__(self, cluster: EmbeddedControllerCluster) -> None:
        self.hooks = Webhooks()
        authority = trustme.CA()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(tls)
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        endpoints = {path: self.hooks.endpoint(path) for path in PATHS}
        self.server = WebhookServer(endpoints, tls, Limits(), Recorder())
        self.cluster = cluster

    async def __aenter__(self) -> Api:
        await self.server.start("localhost", 0)
        url = f"https://localhost:{self.server.port}"
        self.api = await EmbeddedApiServer(self.cluster, url, self.trust).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.__aexit__()
        await self.server.stop()


PAUSE = "W3sib3AiOiJhZGQiLCJwYXRoIjoiL3NwZWMvcGF1c2VkIiwidmFsdWUiOnRydWV9XQ=="


async def test_what_is_mutated_is_validated_and_then_stored(cluster: Any) -> None:
    async with Api(cluster) as world:
        world.hooks.answers = {
            PATHS[1]: {"patch": PAUSE, "patchType": "JSONPatch", "warnings": ["one"]},
            PATHS[2]: {"warnings": ["two"], "auditAnnotations": {"reason": "Held"}},
        }
        outcome = await world.api.write(make.deployment(), user="helm")
        assert outcome.stored
        assert (outcome.warnings, outcome.audit) == (("one", "two"), {"reason": "Held"})
        assert cluster.deployment("team-a", "ssg").spec.paused
        assert [path for path, _ in world.hooks.asked] == [PATHS[1], PATHS[2]]
        assert world.hooks.asked[1][1]["object"]["spec"]["paused"] is True


async def test_what_is_denied_or_a_dry_run_is_not_stored(cluster: Any) -> None:
    async with Api(cluster) as world:
        outcome = await world.api.write(make.deployment(), user="helm", dry_run=True)
        assert outcome.stored
        assert cluster.deployment("team-a", "ssg") is None
        world.hooks.answers = {PATHS[2]: {"allowed": False, "status": {"message": "no"}}}
        outcome = await world.api.write(make.deployment(), user="helm")
        assert (outcome.stored, outcome.message) == (False, "no")
        assert cluster.deployment("team-a", "ssg") is None


async def test_a_fault_of_the_webhook_is_told(cluster: Any) -> None:
    async with Api(cluster) as world:
        world.hooks.reply = Reply(500, b"broken\n", "text/plain")
        with pytest.raises(RuntimeError, match="/mutate-apps-v1-deployment answered 500: broken"):
            await world.api.write(make.deployment(), user="helm")
        world.hooks.reply = Reply(200, b'{"response":{"uid":"x","allowed":true}}')
        with pytest.raises(RuntimeError, match="answered another request"):
            await world.api.write(make.deployment(), user="helm")


async def test_new_pods_take_the_place_of_the_old(cluster: Any) -> None:
    cluster.put(make.deployment(status=None))
    async with Api(cluster) as world:
        await world.api.start_pods("team-a", "ssg")
        (first,) = await cluster.pods_of("team-a", "ssg")
        await world.api.start_pods("team-a", "ssg")
        (second,) = await cluster.pods_of("team-a", "ssg")
        assert first.metadata.name != second.metadata.name
        assert cluster.deployment("team-a", "ssg").status.available_replicas == 2
        with pytest.raises(LookupError):
            await world.api.start_pods("team-a", "other")


async def test_it_is_a_context_manager(cluster: Any) -> None:
    api = EmbeddedApiServer(cluster, "https://localhost:1", ssl.create_default_context())
    with pytest.raises(RuntimeError, match="context manager"):
        await api.write(make.deployment(), user="x")
    assert asyncio.get_running_loop().is_running()
