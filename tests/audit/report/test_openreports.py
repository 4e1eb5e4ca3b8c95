"""The audit as policy reports: what is told how gravely, what is left out, and that nobody is named."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.builders import NOW
from tests.support.surveys import large, small
from webhook.audit.report.openreports import LEFT_OUT, LIMIT, Outcome, Report, reports
from webhook.audit.report.survey import Standing, Survey
from webhook.audit.report.wait import State, Wait
from webhook.audit.scan.finding import Finding, Rule, Severity
from webhook.policy.reasons import BEYOND_MIGRATION, Reason
from webhook.policy.record import Mode, Rejection, RejectionDecision, RejectionEnd

ENTRY = Rejection(
    hash="a" * 64,
    reason="MigrationPending",
    user="ann@example.com",
    groups=("payments-admins",),
    from_image="gateway:1",
    to_image="gateway:2",
    mode=Mode.REJECT,
    decision=RejectionDecision.DENIED,
    count=3,
    first=NOW - timedelta(hours=1),
    last=NOW,
)
DENIED, HELD, WARNED, NOTED, BYPASSED = RejectionDecision
MIGRATED, ABANDONED, ENDED_BYPASSED, OPENED = RejectionEnd


def of(*entries: Rejection, findings: tuple[Finding, ...] = (), name: str = "ssg") -> Report:
    standing = Standing(
        namespace="team-a",
        name=name,
        wait=Wait(state=State.BLOCKED, line=""),
        rejections=entries,
        findings=findings,
    )
    (report,) = reports(Survey(cluster="", taken=NOW, standings=(standing,))).values()
    return report


def test_a_denial_is_told_with_all_that_a_program_needs_and_without_its_user() -> None:
    body = of(ENTRY).body()
    assert body["summary"] == {"pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0}
    assert body["results"] == [
        {
            "source": "schemagate",
            "category": "Database migration",
            "policy": "schemagate-rollouts",
            "rule": "MigrationPending",
            "result": "fail",
            "severity": "medium",
            "message": "turned away: gateway:1 to gateway:2; its migration is not complete",
            "resources": [{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "team-a", "name": "ssg"}],
            "timestamp": {"seconds": int(NOW.timestamp()), "nanos": 0},
            "properties": {"hash": "a" * 16, "mode": "Reject", "decision": "denied", "count": "3"},
        }
    ]


@pytest.mark.parametrize(
    ("changes", "outcome", "severity"),
    [
        ({"decision": None}, "fail", "medium"),
        ({"decision": HELD}, "fail", "medium"),
        ({"decision": WARNED}, "warn", "low"),
        ({"decision": NOTED}, "warn", "low"),
        ({"reason": "InvalidInputs"}, "error", "medium"),
        ({"passes": True}, "pass", "info"),
        ({"ended": MIGRATED, "passes": True}, "pass", "info"),
        ({"ended": MIGRATED}, "pass", "info"),
        ({"ended": ABANDONED, "passes": True}, "skip", "info"),
        ({"ended": OPENED, "decision": WARNED}, "warn", "medium"),
        ({"decision": BYPASSED}, "fail", "high"),
        ({"decision": BYPASSED, "ended": ENDED_BYPASSED, "passes": True}, "fail", "high"),
        ({"decision": DENIED, "ended": ENDED_BYPASSED}, "fail", "high"),
    ],
)
def test_what_became_of_it_says_how_grave_it_is(changes: dict[str, object], outcome: str, severity: str) -> None:
    (result,) = of(replace(ENTRY, **changes)).body()["results"]  # type: ignore[arg-type]
    assert (result["result"], result["severity"]) == (outcome, severity)


def test_no_way_to_end_makes_break_glass_look_better_than_a_denial() -> None:
    denied = of(ENTRY).results[0]
    for ended in (None, *RejectionEnd):
        for passes in (True, False):
            result = of(replace(ENTRY, decision=BYPASSED, ended=ended, passes=passes)).results[0]
            assert result.outcome is Outcome.FAIL
            assert result.severity.rank > denied.severity.rank


def test_how_it_ended_is_told() -> None:
    (result,) = of(replace(ENTRY, ended=MIGRATED, ended_at=NOW)).body()["results"]
    assert result["properties"]["ended"] == "Migrated"
    assert result["properties"]["endedAt"] == NOW.isoformat()
    assert result["message"].endswith("; migrated, and it went on")


@pytest.mark.parametrize("reason", sorted(BEYOND_MIGRATION))
def test_what_no_migration_cures_waits_for_none(reason: Reason) -> None:
    assert of(replace(ENTRY, reason=reason.value)).results[0].message.endswith("; no migration lets it pass")


@pytest.mark.parametrize("rule", list(Rule))
def test_each_finding_has_a_result_and_names_what_shows_it(rule: Rule) -> None:
    finding = Finding.of(rule, ("team-a", "ssg"), "what", "do", "Pod/ssg-1")
    (result,) = of(findings=(finding,)).body()["results"]
    expected = {Rule.INVALID_INPUTS: "error", Rule.UNREADABLE: "error", Rule.UNSUPPORTED_VERSION: "skip"}
    grave = {Severity.HIGH: "fail", Severity.MEDIUM: "warn"}
    assert result["result"] == (expected.get(rule) or grave[rule.severity])
    assert (result["policy"], result["rule"], result["severity"]) == ("schemagate-scan", rule, rule.severity)
    assert result["message"] == "what; do"
    assert result["resources"] == [{"apiVersion": "v1", "kind": "Pod", "namespace": "team-a", "name": "ssg-1"}]
    assert "timestamp" not in result


def test_the_gravest_and_newest_are_kept_and_the_others_counted() -> None:
    entries = [replace(ENTRY, hash=f"{number:064}", last=NOW - timedelta(minutes=number)) for number in range(250)]
    bypassed = replace(ENTRY, decision=BYPASSED, last=NOW - timedelta(days=9))
    report = of(*entries, bypassed)
    assert len(report.results) == LIMIT
    assert report.results[0].severity is Severity.HIGH
    assert [item.when for item in report.results[1:]] == [item.last for item in entries[: LIMIT - 1]]
    body = report.body()
    assert body["summary"]["fail"] == 251
    last = body["results"][-1]
    assert (last["rule"], last["result"], len(body["results"])) == (LEFT_OUT, "skip", LIMIT + 1)
    assert last["message"].startswith("51 more results")
    assert "resources" not in last


def test_a_full_report_fits_what_is_stored() -> None:
    long = "é" * 2000
    entries = [
        replace(ENTRY, hash=f"{number:064}", from_image=long, to_image=long, reason=long, bypass_reason=long)
        for number in range(300)
    ]
    assert (
        len(json.dumps(of(*entries).body(), ensure_ascii=False).encode()) < 1_500_000
    )  # etcd's limit for one object


def test_a_namespace_without_anything_to_report_has_none() -> None:
    quiet = next(item for item in small().standings if not item.rejections and not item.findings)
    assert reports(Survey(cluster="", taken=NOW, standings=(quiet,))) == {}
    assert reports(Survey(cluster="", taken=NOW, standings=())) == {}


def test_the_same_cluster_gives_the_same_reports_in_whatever_order() -> None:
    survey = large(40, 800)
    other = replace(survey, standings=tuple(reversed(survey.standings)))
    assert {name: report.body() for name, report in reports(other).items()} == {
        name: report.body() for name, report in reports(survey).items()
    }


def test_users_and_their_groups_stay_in_the_cluster() -> None:
    text = json.dumps([report.body() for report in reports(small()).values()])
    assert "ann@example.com" not in text
    assert "helm@ci" not in text
    assert "argocd" not in text


def test_what_somebody_wrote_is_made_safe() -> None:
    text = "\x1b[31m\u202ejdbc:mysql://root:hunter2@db/ssg " + "x" * 10_000
    hostile = replace(ENTRY, from_image=text, to_image=text, reason=text, hash=text, bypass_reason=text)
    (result,) = of(hostile).body()["results"]
    for part in (result["message"], result["rule"], *result["properties"].values()):
        assert part.isprintable()
        assert len(part) <= 1024
        assert "hunter2" not in part
