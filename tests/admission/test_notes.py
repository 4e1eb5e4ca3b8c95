"""What is noted of verdicts: each once in the log, and what is or would be turned away once in the ledger."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.admission.test_handlers import MUTATE, POD, UPGRADE, VALIDATE, complete, lagging
from tests.admission.test_review import encoded, review
from tests.support.builders import IMAGE, NEXT_IMAGE, NOW, config_map, container, deployment, namespace
from webhook.admission.gather import Gatherer
from webhook.admission.handlers import endpoints
from webhook.admission.notes import Notes
from webhook.audit.decisions import Line
from webhook.audit.rejections.ledger import Ledger
from webhook.audit.rejections.rejection import Rejected
from webhook.embedded.cluster import EmbeddedCluster
from webhook.metrics.admission import Telemetry
from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL, HELD
from webhook.policy.objects import UserInfo
from webhook.policy.record import Mode, RejectionDecision

CREATION = review("Pod", request={"operation": "CREATE"})


class Noted:
    """Webhooks whose notes are read."""

    def __init__(self, cluster: EmbeddedCluster, *, notable: bool = False) -> None:
        self.lines: list[Line] = []
        self.telemetry = Telemetry((VALIDATE, MUTATE, POD))
        self._ledger = Ledger(self.telemetry.ledger_dropped.inc)
        notes = Notes(self.telemetry, self._ledger, lambda: NOW, self, notable=notable)
        self._hooks = endpoints(Gatherer(cluster), notes, lambda: NOW)

    def submit(self, line: Line) -> None:
        self.lines.append(line)

    async def ask(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        reply = await self._hooks[path](encoded(manifest), deadline=float("inf"))
        answer: dict[str, Any] = json.loads(reply.body)["response"]
        return answer

    async def kept(self) -> list[Rejected]:
        found: list[Rejected] = []

        async def keep(_namespace: str, _name: str, news: tuple[Rejected, ...]) -> None:
            found.extend(news)

        await self._ledger.flush(keep)
        return found


def enforcing(mode: str) -> EmbeddedCluster:
    return lagging(config_map(), namespace(**{"schemagate.io/enforce": mode}))


REMEMBERED: dict[str, tuple[str, str, dict[str, Any], str, RejectionDecision | None]] = {
    "a denial": ("reject", VALIDATE, UPGRADE, "deny", RejectionDecision.DENIED),
    "what would be denied": ("audit", VALIDATE, UPGRADE, "allow", RejectionDecision.NOTED),
    "a warning": ("warn", VALIDATE, UPGRADE, "warn", RejectionDecision.WARNED),
    "a rollout held": ("hold", MUTATE, UPGRADE, "warn", RejectionDecision.HELD),
    "Hold that was not applied": ("hold", VALIDATE, UPGRADE, "deny", RejectionDecision.DENIED),
    "a pod without skip": ("reject", POD, CREATION, "warn", None),
    "a no-op patch": ("reject", VALIDATE, review(), "allow", None),
    "what the mutating webhook leaves to the validating one": ("reject", MUTATE, UPGRADE, "allow", None),
    "what the mutating webhook leaves to it in Warn": ("warn", MUTATE, UPGRADE, "allow", None),
}


@pytest.mark.parametrize("case", REMEMBERED)
async def test_every_verdict_is_a_line_and_what_is_turned_away_is_kept(case: str) -> None:
    mode, path, manifest, outcome, remembered = REMEMBERED[case]
    noted = Noted(enforcing(mode))
    await noted.ask(path, manifest)
    (line,) = noted.lines
    assert (line.decision, line.remembered, line.time) == (outcome, remembered, NOW)
    kept = await noted.kept()
    assert [item.decision for item in kept] == ([remembered] if remembered else [])
    for item in kept:
        assert (item.mode, item.from_image, item.to_image) == (Mode(mode.title()), IMAGE, NEXT_IMAGE)
        assert item.hash.startswith(line.hash or "nothing")
        assert (line.from_image, line.to_image, line.mode) == (IMAGE, NEXT_IMAGE, item.mode)


@pytest.mark.parametrize("case", REMEMBERED)
async def test_what_is_usual_is_not_notable(case: str) -> None:
    mode, path, manifest, outcome, remembered = REMEMBERED[case]
    noted = Noted(enforcing(mode), notable=True)
    await noted.ask(path, manifest)
    assert bool(noted.lines) == (remembered is not None or outcome in {"deny", "warn"})


async def test_a_rollout_that_is_held_is_kept_once_however_often_it_is_asked_for() -> None:
    noted = Noted(enforcing("hold"))
    held = deployment(container(image=NEXT_IMAGE))
    answer = await noted.ask(MUTATE, UPGRADE)
    assert "patch" in answer
    mark = (await noted.kept())[0].hash[:16]
    held["spec"]["paused"] = True
    held["metadata"].setdefault("annotations", {})["schemagate.io/held"] = mark
    again = review(request={"object": held})
    for path in (MUTATE, VALIDATE):  # another mutating webhook had the API server ask us once more
        assert (await noted.ask(path, again))["allowed"]
    assert await noted.kept() == []


RESUMES: dict[str, tuple[bool, str, bool]] = {
    "let go as the controller does, before this replica knows": (False, NEXT_IMAGE, False),
    "resumed too early": (True, NEXT_IMAGE, True),
    "let go, and changed with it": (False, f"{NEXT_IMAGE}-2", True),
}
"""Whether our mark stays, the image that comes with it, and whether it is a try of its own."""


@pytest.mark.parametrize("case", RESUMES)
async def test_a_release_that_a_replica_does_not_understand_yet_is_no_rejection(case: str) -> None:
    """Else the controller, which is woken by what is on record, would go on counting its own release."""
    stays, image, remembered = RESUMES[case]
    noted = Noted(enforcing("hold"))
    await noted.ask(MUTATE, UPGRADE)
    mark = {HELD: (await noted.kept())[0].hash[:16]}
    before = deployment(container(image=NEXT_IMAGE), metadata={"annotations": mark})
    before["spec"]["paused"] = True
    after = deployment(container(image=image), metadata={"annotations": mark if stays else {}})
    answer = await noted.ask(MUTATE, review(request={"object": after, "oldObject": before}))
    assert "patch" in answer, "it stays held"
    assert [item.decision for item in await noted.kept()] == ([RejectionDecision.HELD] if remembered else [])
    assert noted.lines[-1].decision == "warn"


async def test_groups_that_tell_something_are_kept() -> None:
    noted = Noted(enforcing("reject"))
    common = ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:team-a"]
    groups = [*common, *(f"group-{number}" for number in range(9))]
    user = {"username": "jane", "groups": groups}
    await noted.ask(VALIDATE, review(request={**UPGRADE["request"], "userInfo": user}))
    (kept,) = await noted.kept()
    assert (kept.user, kept.groups) == ("jane", tuple(f"group-{number}" for number in range(5)))
    assert noted.lines[0].groups == kept.groups


class Trusting(EmbeddedCluster):
    """A cluster in which everybody may break glass, or nobody."""

    def __init__(self, *, trusts: bool) -> None:
        super().__init__()
        self._trusts = trusts
        self.put(config_map())
        self.put(namespace(**{"schemagate.io/enforce": "reject"}))

    async def may_bypass(self, user: UserInfo, namespace: str, name: str) -> bool:
        return self._trusts


@pytest.mark.parametrize("trusts", [True, False])
async def test_a_bypass_is_kept_with_its_reason_and_counted_if_it_is_honoured(trusts: bool) -> None:
    noted = Noted(Trusting(trusts=trusts))
    await noted.ask(VALIDATE, UPGRADE)
    (denied,) = await noted.kept()
    until = (NOW + timedelta(hours=1)).isoformat()
    told = {BYPASS_REASON: "night shift", BYPASS_UNTIL: until, BYPASS_HASH: denied.hash}
    new = deployment(container(image=NEXT_IMAGE), metadata={"annotations": told})
    user = {"username": "jane", "groups": ["sre"]}
    answer = await noted.ask(VALIDATE, review(request={"object": new, "userInfo": user}))
    assert answer["allowed"] == trusts
    (kept,) = await noted.kept()
    if trusts:
        assert (kept.decision, kept.bypass_reason) == (RejectionDecision.BYPASSED, "night shift")
    else:
        assert (kept.decision, kept.bypass_reason) == (RejectionDecision.DENIED, "")
    assert (kept.user, kept.groups, kept.hash) == ("jane", ("sre",), denied.hash)
    assert f"schemagate_bypasses_total {float(trusts)}".encode() in noted.telemetry.exposition()
    assert noted.lines[-1].bypass_reason == "night shift"


async def test_dry_runs_get_the_same_verdict_and_are_not_kept() -> None:
    noted = Noted(lagging())
    answers = []
    for dry_run in (True, False):
        manifest = review(request={"object": deployment(container(image=NEXT_IMAGE)), "dryRun": dry_run})
        answers.append(await noted.ask(VALIDATE, manifest))
        assert len(await noted.kept()) == (not dry_run)
    assert answers[0] == answers[1]
    assert [(line.dry_run, line.remembered) for line in noted.lines] == [
        (True, None),
        (False, RejectionDecision.DENIED),
    ]
    assert b"schemagate_admission_dry_run_total 1.0" in noted.telemetry.exposition()


async def test_a_patched_pod_is_counted_and_not_notable() -> None:
    cluster = lagging()
    cluster.cached = await complete(cluster, IMAGE)
    noted = Noted(cluster, notable=True)
    await noted.ask(POD, CREATION)
    assert noted.lines == []
    assert (
        b'decision="patch",operation="CREATE",reason="SkipInjected",webhook="pods.mutate"} 1.0'
        in noted.telemetry.exposition()
    )
