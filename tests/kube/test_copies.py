"""What the controller remembers of pods that have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.kube.fake_api import answer, client_of, event, item, serving
from webhook.errors import UnreachableError
from webhook.kube.copies import ControllerCopies, Copies
from webhook.kube.informer.projections import JOB_UID
from webhook.kube.reads import Reads

PULL = {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}


def pod(name: str, phase: str, **status: Any) -> bytes:
    made = item(name, 1, status={"phase": phase, **status})
    made["metadata"]["labels"] = {JOB_UID: "j-1"}
    return msgspec.json.encode(made)


async def test_what_a_pod_waited_for_outlives_it_until_another_runs(tmp_path: Path) -> None:
    async with serving() as api, client_of(api, tmp_path) as client:
        copies = ControllerCopies(client, lambda *_: None, lambda *_: None)
        pods = copies.obstacle_copies
        assert copies.obstacle("team-a", "j-1") == ""
        pods.learn(pod("a", "Pending", **PULL))
        assert copies.obstacle("team-a", "j-1") == "ImagePullBackOff: no such image"
        # Deleted at the deadline of its Job: a kubelet forgets what it waited for.
        pods.learn(pod("a", "Failed"))
        pods.forget("team-a", "a", "uid-a")
        assert copies.obstacle("team-a", "j-1") == "ImagePullBackOff: no such image"
        pods.learn(pod("b", "Running"))
        assert copies.obstacle("team-a", "j-1") == ""
        pods.learn(pod("b", "Failed"))
        assert copies.obstacle("team-a", "j-1") == ""


async def test_events_of_a_job_are_asked_for_by_its_uid(tmp_path: Path) -> None:
    event = {"reason": "FailedCreate", "note": "quota", "deprecatedLastTimestamp": "2026-01-01T00:00:00Z"}
    async with serving([answer({"items": [event]})]) as api, client_of(api, tmp_path) as client:
        (found,) = await Reads(client).job_events("team-a", "j-1")
        assert (found.reason, found.note) == ("FailedCreate", "quota")
        assert found.deprecated_last_timestamp == "2026-01-01T00:00:00Z"
        (asked,) = api.asked
        assert asked.path.startswith("/apis/events.k8s.io/v1/namespaces/team-a/events?")
        assert asked.query["fieldSelector"] == "regarding.uid=j-1"


async def test_without_the_right_to_read_events_nothing_was_told(tmp_path: Path) -> None:
    async with serving([answer({"kind": "Status", "code": 403}, 403)]) as api, client_of(api, tmp_path) as client:
        assert not await Reads(client).job_events("team-a", "j-1")


BAD: dict[str, dict[str, Any]] = {
    "gatewaymigrations": {"spec": {"mode": "news"}},
    "gateways": {"spec": {"app": 5}},
}


@pytest.mark.parametrize("kind", BAD)
async def test_what_cannot_be_read_is_not_absent(tmp_path: Path, kind: str) -> None:
    """Else a single word that we do not know would take a Gateway out of the guard."""
    async with serving() as api, client_of(api, tmp_path) as client:
        copies = Copies(client, lambda *_: None, lambda *_: None)
        look = copies.record if kind == "gatewaymigrations" else copies.gateway
        good: dict[str, Any] = {"spec": {}}

        def told(what: str, version: int, **fields: Any) -> None:
            copies._reflectors[kind]._take("x", event(what, item("ssg", version, **fields)))

        assert look("team-a", "ssg") is None
        told("ADDED", 1, **BAD[kind])
        with pytest.raises(UnreachableError, match="team-a/ssg cannot be read"):
            look("team-a", "ssg")
        assert look("team-a", "other") is None
        told("MODIFIED", 2, **good)
        assert look("team-a", "ssg") is not None
        # What was known of it before still holds.
        told("MODIFIED", 3, **BAD[kind])
        assert look("team-a", "ssg") is not None
        told("DELETED", 4, **BAD[kind])
        assert look("team-a", "ssg") is None
        # One of that name that was never read.
        told("ADDED", 5, **good)
        told("MODIFIED", 6, uid="another", **BAD[kind])
        with pytest.raises(UnreachableError):
            look("team-a", "ssg")
        told("DELETED", 7, uid="another", **BAD[kind])
        assert look("team-a", "ssg") is None
