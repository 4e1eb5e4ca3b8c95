"""SARIF 2.1.0, by the rules of the standard that a log of ours touches."""

import json
import re
from typing import Any

import pytest

from tests.audit.formats.examples import HOSTILE, SCAN, hostile_scan
from webhook.audit.formats.sarif import scan_sarif
from webhook.audit.scan.finding import Rule
from webhook.audit.scan.scan import Scan

# Sections of the OASIS standard 2.1.0.
LEVELS = {"none", "note", "warning", "error"}  # 3.27.10
REFERENCE = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/%-]+")  # a URI reference, RFC 3986


def run_of(text: str) -> dict[str, Any]:
    log = json.loads(text)
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    check(run)
    return dict(run)


def check(run: dict[str, Any]) -> None:
    driver = run["tool"]["driver"]
    assert driver["name"]  # 3.19.8, required
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}  # 3.14.17
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"].endswith(".")  # 3.49.9, a sentence
        assert rule["defaultConfiguration"]["level"] in LEVELS
    for result in run["results"]:
        assert result["message"]["text"]  # 3.27.11, required
        assert result["level"] in LEVELS
        assert ids[result["ruleIndex"]] == result["ruleId"]  # 3.27.6
        for location in result["locations"]:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert REFERENCE.fullmatch(uri)  # 3.10.1
            (logical,) = location["logicalLocations"]
            assert logical["kind"] == "resource"  # 3.33.7
        assert all(isinstance(value, str) for value in result["partialFingerprints"].values())  # 3.27.17
    for invocation in run["invocations"]:
        assert invocation["executionSuccessful"] is True  # 3.20.14, required
        for note in invocation["toolExecutionNotifications"]:
            assert note["message"]["text"]


def test_every_rule_is_there_and_every_finding_refers_to_one() -> None:
    run = run_of(scan_sarif(SCAN))
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [rule.value for rule in Rule]
    assert [(item["ruleId"], item["level"]) for item in run["results"]] == [
        ("IncompleteHash", "error"),
        ("Ungoverned", "warning"),
        ("UnsupportedVersion", "note"),
    ]
    assert run["results"][0]["message"]["text"] == "rolls out; next: schemagate migrate ssg"
    assert run["results"][2]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "team-b/Pod/old-1"


def test_what_could_not_be_read_is_a_notification() -> None:
    (invocation,) = run_of(scan_sarif(SCAN))["invocations"]
    assert "Pod" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_a_finding_keeps_its_fingerprint_and_no_other_has_it() -> None:
    prints = [item["partialFingerprints"]["finding/v1"] for item in run_of(scan_sarif(SCAN))["results"]]
    again = [item["partialFingerprints"]["finding/v1"] for item in run_of(scan_sarif(SCAN))["results"]]
    assert prints == again
    assert len(set(prints)) == 3


def test_nothing_found_is_a_run_without_results() -> None:
    assert run_of(scan_sarif(Scan()))["results"] == []


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_any_text_makes_a_good_log(text: str) -> None:
    run_of(scan_sarif(hostile_scan(text)))
