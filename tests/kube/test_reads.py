"""What is asked of the cluster at the moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.kube.fake_api import Step, answer, client_of, item, serving, status
from webhook.kube.reads import Reads, WebhookReads
from webhook.policy.objects import UserInfo

LOG = "Liquibase: done"


def owned(name: str, uid: str | None, **owner: Any) -> dict[str, Any]:
    made = item(name, 1)
    made["metadata"]["ownerReferences"] = uid and [{"kind": "Job", "uid": uid, "controller": True, **owner}]
    return made


async def test_a_label_alone_makes_nobodys_pod_one_of_the_job(tmp_path: Path) -> None:
    pods = [
        owned("forged", None),
        owned("other", "j-2"),
        owned("owned", "j-1", controller=False),
        owned("ours", "j-1"),
    ]
    async with serving([answer({"items": pods})]) as api, client_of(api, tmp_path) as client:
        found = await Reads(client).job_pods("team-a", "j-1")
        assert [pod["metadata"]["name"] for pod in found] == ["ours"]
        assert api.asked[0].query == {"labelSelector": "batch.kubernetes.io/controller-uid=j-1"}


def text(log: str = LOG) -> Step:
    async def step(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=log)

    return step


def pod(*containers: str) -> Step:
    return answer(item("p", 1, spec={"containers": [{"name": name} for name in containers]}))


@pytest.mark.parametrize(
    ("case", "steps", "asked", "log"),
    [
        ("ours", [text()], ["db-migration"], LOG),
        (
            "another's",
            [status(400), pod("liquibase", "proxy"), text()],
            ["db-migration", None, "liquibase"],
            LOG,
        ),
        ("not started", [status(400), pod("db-migration", "proxy")], ["db-migration", None], ""),
        (
            "another's, not started",
            [status(400), pod("liquibase"), status(400)],
            ["db-migration", None, "liquibase"],
            "",
        ),
        ("gone meanwhile", [status(400), status(404), status(404)], ["db-migration", None, None], ""),
        ("gone", [status(404)], ["db-migration"], ""),
        ("not ours to read", [status(403)], ["db-migration"], ""),
        ("not even the pod", [status(400), status(403)], ["db-migration", None], ""),
    ],
)
async def test_the_log_of_the_container_that_migrates(
    tmp_path: Path, case: str, steps: list[Step], asked: list[str | None], log: str
) -> None:
    async with serving(steps) as api, client_of(api, tmp_path) as client:
        assert await Reads(client).pod_log("team-a", "p") == log
        assert [one.query.get("container") for one in api.asked] == asked
        assert api.asked[0].query["tailLines"] == "200"


async def test_of_a_long_log_the_end_is_kept(tmp_path: Path) -> None:
    """The kubelet is not asked to cut it: it would leave out the end (``tests/node/migrations/test_logs.py``)."""
    lines = "".join(f"{number:05}{'x' * 16_000}\n" for number in range(200))
    async with serving([text(lines)]) as api, client_of(api, tmp_path) as client:
        found = await Reads(client).pod_log("team-a", "p")
        assert found == lines[-64 * 1024 :]
        assert int(api.asked[0].query["limitBytes"]) > len(lines)


ASKED = {
    "group": "schemagate.io",
    "resource": "gatewaymigrations",
    "verb": "bypass",
    "namespace": "team-a",
    "name": "ssg",
}
WHO: dict[str, tuple[UserInfo, dict[str, Any]]] = {
    "all that is known": (
        UserInfo("jane", ("ops",), "u-1", {"example.org/scopes": ("a", "b")}),
        {"user": "jane", "groups": ["ops"], "uid": "u-1", "extra": {"example.org/scopes": ["a", "b"]}},
    ),
    "a name alone": (UserInfo("jane"), {"user": "jane"}),
}


@pytest.mark.parametrize(("user", "who"), WHO.values(), ids=WHO.keys())
async def test_an_access_review_says_all_that_authorizers_judge_by(
    tmp_path: Path, user: UserInfo, who: dict[str, Any]
) -> None:
    steps = [answer({"status": {"allowed": allowed}}) for allowed in (True, False)]
    async with serving(steps) as api, client_of(api, tmp_path) as client:
        reads = WebhookReads(client)
        assert [await reads.may_bypass(user, "team-a", "ssg") for _ in range(2)] == [True, False]
        assert json.loads(api.asked[0].body)["spec"] == {**who, "resourceAttributes": ASKED}


def a_map(version: int) -> Step:
    return answer(item("ssg", version, data={"a": str(version)}))


async def test_only_what_may_be_recent_is_remembered(tmp_path: Path) -> None:
    steps = [a_map(1), a_map(2), status(404), a_map(4)]
    async with serving(steps) as api, client_of(api, tmp_path) as client:
        reads = WebhookReads(client, fresh=600)
        recent = [await reads.recent_config_map("team-a", "ssg") for _ in range(2)]
        assert [found and found.data for found in recent] == [{"a": "1"}] * 2
        found = await reads.config_map("team-a", "ssg")
        assert found is not None
        assert found.data == {"a": "2"}
        assert await reads.config_map("team-a", "ssg") is None
        assert len(api.asked) == 3
        # Nor is what was remembered longer ago than that.
        reads = WebhookReads(client, fresh=0)
        found = await reads.recent_config_map("team-a", "ssg")
        assert found is not None
        assert found.data == {"a": "4"}
