"""JUnit XML as build servers read it."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tests.audit.formats.examples import ENDED, HOSTILE, REFUSAL, SCAN, hostile_refusal, hostile_scan
from webhook.audit.formats.junit import rejections_junit, scan_junit
from webhook.audit.scan.finding import Severity
from webhook.audit.scan.scan import Scan
from webhook.policy.record import RejectionDecision


def suites(text: str) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    counted = [(suite, list(suite.iter("testcase"))) for suite in root.iter("testsuite")]
    for suite, cases in [(root, list(root.iter("testcase"))), *counted]:
        counts = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "skipped")}
        assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (
            str(len(cases)),
            str(counts["failure"]),
            str(counts["skipped"]),
        )
    return {str(suite.get("name")): suite for suite, _ in counted}


@pytest.mark.parametrize(
    ("fail_on", "failed"),
    [(Severity.HIGH, 1), (Severity.MEDIUM, 2), (Severity.LOW, 3), (Severity.INFO, 3), (None, 0)],
)
def test_findings_fail_from_a_severity_on(fail_on: Severity | None, failed: int) -> None:
    found = suites(scan_junit(SCAN, fail_on))
    assert sorted(found) == ["team-a", "team-b"]
    assert sum(int(suite.get("failures", "")) for suite in found.values()) == failed


def test_a_finding_tells_what_it_is_and_a_clean_gateway_passes() -> None:
    whole = replace(SCAN, unread=frozenset())
    bad, clean = suites(scan_junit(whole, Severity.HIGH))["team-a"].findall("testcase")
    failure = bad.find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("IncompleteHash", "rolls out")
    assert failure.text == "rolls out\nnext: schemagate migrate ssg"
    assert (clean.get("classname"), clean.get("name"), len(clean)) == ("team-a", "fine", 0)


def test_no_gateway_passes_while_something_that_it_is_judged_by_is_unread() -> None:
    found = suites(scan_junit(replace(SCAN, unread=frozenset({"Pod", "ConfigMap"})), Severity.HIGH))
    skipped = [
        (case.get("classname"), case.get("name"), case.findall("skipped"))
        for suite in found.values()
        for case in suite
        if case.find("skipped") is not None
    ]
    assert [(where, name) for where, name, _ in skipped] == list(SCAN.gateways)
    for _, _, (told,) in skipped:
        assert told.get("message") == "not judged as a whole: ConfigMap, Pod not read"


def test_an_object_that_cannot_be_read_is_skipped_and_the_others_pass() -> None:
    scan = Scan(gateways=(("team-a", "fine"),), unread=frozenset({"GatewayMigration team-b/odd"}))
    found = suites(scan_junit(scan, Severity.HIGH))
    (fine,) = found["team-a"]
    assert len(fine) == 0
    (odd,) = found["team-b"]
    told = odd.find("skipped")
    assert odd.get("name") == "odd"
    assert told is not None
    assert told.get("message") == "not judged: GatewayMigration team-b/odd cannot be read"


@pytest.mark.parametrize(
    ("decision", "passes", "failed"),
    [
        (RejectionDecision.DENIED, False, True),
        (RejectionDecision.HELD, False, True),
        (RejectionDecision.DENIED, True, False),
        (RejectionDecision.WARNED, False, False),
        (RejectionDecision.NOTED, False, False),
        (RejectionDecision.BYPASSED, False, False),
        (None, None, True),
    ],
)
def test_a_rejection_that_still_stops_a_rollout_fails(
    decision: RejectionDecision | None, passes: bool | None, failed: bool
) -> None:
    row = replace(REFUSAL, decision=decision, passes=passes)
    assert suites(rejections_junit([row]))["team-a"].get("failures") == str(int(failed))


def test_one_that_ended_passes() -> None:
    assert suites(rejections_junit([ENDED]))["team-a"].get("failures") == "0"


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_any_text_makes_good_xml(text: str) -> None:
    suites(scan_junit(hostile_scan(text), Severity.INFO))
    suites(rejections_junit([hostile_refusal(text)]))


def test_nothing_found_is_an_empty_report() -> None:
    assert suites(rejections_junit([])) == {}
