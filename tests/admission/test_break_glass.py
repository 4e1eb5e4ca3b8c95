"""Break-glass and dry runs as the webhooks see them: who asks, and what is asked of the API server."""

from datetime import timedelta
from typing import Any

import pytest

from tests.admission.test_handlers import MUTATE, VALIDATE, LaggingCluster, Seen, lagging
from tests.admission.test_review import encoded, review
from tests.support.builders import NEXT_IMAGE, NOW, config_map, container, deployment, namespace
from tests.support.rollouts import NEXT_HASH
from webhook.admission.gather import Gatherer
from webhook.admission.handlers import Verdict, endpoints
from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL, ENFORCE
from webhook.policy.objects import UserInfo
from webhook.policy.reasons import Reason
from webhook.policy.record import Mode
from webhook.policy.rollout.change import DryRun, Terms

BROKEN = {
    BYPASS_REASON: "outage",
    BYPASS_UNTIL: (NOW + timedelta(hours=1)).isoformat(),
    BYPASS_HASH: NEXT_HASH[:16],
}
ACCOUNT = {"username": "system:serviceaccount:team-a:deployer", "groups": ["system:masters"]}


class Unanswering(LaggingCluster):
    """A cluster that never says who may do what."""

    async def may_bypass(self, user: UserInfo, namespace: str, name: str) -> bool:
        raise TimeoutError


def breaking(notes: dict[str, str] | None = None, **request: Any) -> dict[str, Any]:
    new = deployment(container(image=NEXT_IMAGE), metadata={"annotations": BROKEN if notes is None else notes})
    return review(request={"object": new, **request})


async def judged(
    cluster: LaggingCluster, manifest: dict[str, Any], path: str = VALIDATE, terms: Terms | None = None
) -> Verdict:
    seen = Seen()
    reply = await endpoints(Gatherer(cluster, Mode.REJECT, terms), seen, lambda: NOW)[path](
        encoded(manifest), deadline=float("inf")
    )
    assert reply.status == 200, reply.body
    (verdict,) = seen.verdicts
    return verdict


def told(verdict: Verdict) -> str:
    return verdict.decision.audit.get("bypass", "")


async def test_a_person_who_may_is_let_through_and_what_for_is_known() -> None:
    verdict = await judged(lagging(), breaking())
    assert (verdict.decision.reason, told(verdict)) == (Reason.BYPASSED, "honoured")
    assert verdict.rollout is not None
    assert verdict.rollout.bypass is not None
    assert (verdict.rollout.bypass.reason, verdict.rollout.bypass.until) == ("outage", BROKEN[BYPASS_UNTIL])


async def test_a_service_account_is_refused_without_asking_what_it_may() -> None:
    cluster = lagging()
    verdict = await judged(cluster, breaking(userInfo=ACCOUNT))
    assert (verdict.decision.allowed, told(verdict)) == (False, "refused-ServiceAccount")
    assert "access" not in cluster.reads


async def test_a_dry_run_is_refused_without_asking_what_the_user_may() -> None:
    cluster = lagging()
    verdict = await judged(cluster, breaking(dryRun=True))
    assert (verdict.decision.allowed, told(verdict)) == (False, "refused-DryRun")
    assert "access" not in cluster.reads


async def test_a_person_who_may_not_is_refused() -> None:
    verdict = await judged(lagging(), breaking(userInfo={"username": "jane", "groups": ["dev"]}))
    assert (verdict.decision.allowed, told(verdict)) == (False, "refused-NotAuthorized")


async def test_no_answer_is_told_as_none_and_opens_nothing() -> None:
    cluster = Unanswering()
    for manifest in (config_map(), namespace(**{ENFORCE: "reject"})):
        cluster.put(manifest)
    verdict = await judged(cluster, breaking())
    assert (verdict.decision.allowed, told(verdict)) == (False, "refused-AccessUnknown")


async def test_in_hold_mode_a_bypass_pauses_nothing() -> None:
    cluster = lagging(config_map(), namespace(**{ENFORCE: "hold"}))
    for path in (MUTATE, VALIDATE):
        verdict = await judged(cluster, breaking(), path)
        assert (verdict.decision.reason, verdict.decision.patch) == (Reason.BYPASSED, ())
    refused = await judged(cluster, breaking(userInfo=ACCOUNT), MUTATE)
    assert (refused.decision.reason, told(refused)) == (Reason.HELD, "refused-ServiceAccount")
    assert "bypass not honoured: it takes a person" in refused.decision.warnings[1]


@pytest.mark.parametrize(("dry_run", "allowed"), [(True, True), (False, False)])
async def test_a_dry_run_may_be_warned_instead_of_denied(dry_run: bool, allowed: bool) -> None:
    verdict = await judged(lagging(), breaking({}, dryRun=dry_run), terms=Terms(dry_run=DryRun.WARN))
    assert (verdict.decision.allowed, verdict.decision.reason) == (allowed, Reason.MIGRATION_PENDING)
    assert verdict.decision.audit["decision"] == ("would-deny" if dry_run else "deny")
    assert [line.startswith("schemagate: rollout of") for line in verdict.decision.warnings] == [True] * dry_run


async def test_how_far_ahead_a_bypass_may_end_is_a_setting() -> None:
    verdict = await judged(lagging(), breaking(), terms=Terms(bypass_longest=timedelta(minutes=1)))
    assert told(verdict) == "refused-TooFarAhead"
