"""Every review recorded from a real API server, against clusters in different states: the answers are golden.

``SCHEMAGATE_REWRITE_GOLDENS=1`` writes them anew; read the difference before you commit it.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.builders import NOW
from webhook.admission.gather import Gatherer
from webhook.admission.handlers import Verdict, endpoints
from webhook.admission.server import Endpoint
from webhook.controller.reconcile import Reconciler
from webhook.embedded.files import load
from webhook.embedded.jobs import JobRunner
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.policy.record import Record

CASES = Path(__file__).parent.parent / "testdata" / "cases"
GOLDENS = Path(__file__).parent.parent / "testdata" / "goldens" / "reviews"
REWRITE = os.environ.get("SCHEMAGATE_REWRITE_GOLDENS") == "1"
REVIEWS = sorted(path.stem for path in (CASES / "reviews").glob("*.json"))
NAMESPACES = ("team-a", "team-b", "team-h")


class Seen:
    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []

    def verdict(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)


def recorded() -> EmbeddedControllerCluster:
    cluster = EmbeddedControllerCluster()
    cluster.load(load([str(CASES / "objects")]))
    return cluster


def enforced(mode: str) -> EmbeddedControllerCluster:
    cluster = recorded()
    for name in NAMESPACES:
        labels = {"schemagate.io/enforce": mode}
        cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    return cluster


async def migrated() -> EmbeddedControllerCluster:
    """Every image that a review names is announced, migrated and complete; the controller did it."""
    cluster = enforced("reject")
    reconciler, runner = Reconciler(cluster, lambda: NOW), JobRunner(cluster)
    wanted = {("team-a", "ssg"): ("11.2.4", "11.2.5", "11.3.0", "11.3.1"), ("team-h", "my-gateway"): ("11.2.2",)}
    for where in (*wanted, ("team-b", "edge")):
        await reconciler.reconcile(*where)
    for where, tags in wanted.items():
        for tag in tags:
            record = cluster.get("GatewayMigration", *where) or {}
            record["spec"]["image"] = f"docker.io/caapim/gateway:{tag}"
            cluster.put(record)
            await reconciler.reconcile(*where)
            for job in runner.active():
                runner.finish(*job)
            await reconciler.reconcile(*where)
    return cluster


async def as_recorded() -> EmbeddedControllerCluster:
    return recorded()


def with_mode(mode: str) -> Callable[[], Any]:
    async def make() -> EmbeddedControllerCluster:
        return enforced(mode)

    return make


STATES: dict[str, Callable[[], Any]] = {
    "ungoverned": as_recorded,
    "reject": with_mode("reject"),
    "hold": with_mode("hold"),
    "warn": with_mode("warn"),
    "audit": with_mode("audit"),
    "migrated": migrated,
}
PATHS = {
    "Pod": ("/mutate-v1-pod",),
    "Deployment": ("/mutate-apps-v1-deployment", "/validate-apps-v1-deployment"),
    "Scale": ("/validate-apps-v1-deployment",),
}


async def answer(endpoint: Endpoint, seen: Seen, body: bytes) -> dict[str, Any]:
    reply = await endpoint(body, deadline=float("inf"))
    assert reply.status == 200
    envelope = json.loads(reply.body)
    response = envelope["response"]
    assert (envelope["apiVersion"], envelope["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert response.pop("uid") == json.loads(body)["request"]["uid"]
    if "patch" in response:
        response["patch"] = json.loads(base64.b64decode(response["patch"]))
    return {**response, "decidedBy": seen.verdicts[-1].decision.check}


def reviews() -> Iterator[tuple[str, str, bytes]]:
    for name in REVIEWS:
        body = (CASES / "reviews" / f"{name}.json").read_bytes()
        for path in PATHS[json.loads(body)["request"]["kind"]["kind"]]:
            yield name, path, body


@pytest.mark.parametrize("state", STATES)
async def test_recorded_reviews_get_their_golden_answers(state: str) -> None:
    seen = Seen()
    hooks = endpoints(Gatherer(await STATES[state]()), seen, lambda: NOW)
    answers: dict[str, dict[str, Any]] = {}
    for name, path, body in reviews():
        answers.setdefault(name, {})[path] = await answer(hooks[path], seen, body)
    golden = GOLDENS / f"{state}.yaml"
    if REWRITE:
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(yaml.safe_dump(answers, sort_keys=True, width=110), encoding="utf-8")
    assert golden.exists(), "golden missing: run with SCHEMAGATE_REWRITE_GOLDENS=1 and read what it wrote"
    assert answers == yaml.safe_load(golden.read_text(encoding="utf-8"))


def test_no_golden_is_stray() -> None:
    assert {path.name for path in GOLDENS.iterdir()} == {f"{state}.yaml" for state in STATES}


@pytest.mark.parametrize("state", STATES)
async def test_what_is_no_gateway_is_untouched(state: str) -> None:
    seen = Seen()
    hooks = endpoints(Gatherer(await STATES[state]()), seen, lambda: NOW)
    strangers = [name for name in REVIEWS if name.rpartition("helm-")[2] in {"grafana", "mysql", "pm-tagger"}]
    strangers.append("pod-create-upstream-migration-job")
    assert len(strangers) == 5
    for name, path, body in reviews():
        if name in strangers:
            got = await answer(hooks[path], seen, body)
            assert got["allowed"], name
            assert "patch" not in got, name
            assert "warnings" not in got, name


async def test_a_rollout_is_turned_away_until_the_controller_has_migrated_it() -> None:
    body = (CASES / "reviews" / "deployment-update-operator-image-change.json").read_bytes()
    path, verdicts = "/validate-apps-v1-deployment", []
    for make in (STATES["reject"], migrated):
        seen = Seen()
        verdicts.append(await answer(endpoints(Gatherer(await make()), seen, lambda: NOW)[path], seen, body))
    assert [verdict["allowed"] for verdict in verdicts] == [False, True]


async def test_records_of_migrated_gateways_read_back_as_written() -> None:
    cluster = await migrated()
    for record in cluster.records():
        assert Record.from_manifest(record.to_manifest(), strict=True) == record
