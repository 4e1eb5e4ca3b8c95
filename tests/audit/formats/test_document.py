"""JSON documents: their keys are what programs rely on."""

import json

from tests.audit.formats.examples import NOW, REFUSAL, SCAN
from webhook.audit.formats.document import rejections_document, scan_document


def test_a_scan_has_its_schema_findings_and_figures() -> None:
    document = json.loads(scan_document(SCAN, NOW))
    assert list(document) == ["schema", "time", "findings", "omitted", "coverage", "total", "unread"]
    assert (document["schema"], document["time"]) == ("schemagate.io/audit-scan/v1", "2026-11-22T12:00:00+00:00")
    assert document["findings"][0] == {
        "severity": "high",
        "rule": "IncompleteHash",
        "namespace": "team-a",
        "name": "ssg",
        "subject": "Deployment/ssg",
        "message": "rolls out",
        "nextStep": "schemagate migrate ssg",
    }
    assert [item["namespace"] for item in document["coverage"]] == ["team-a", "team-b"]
    assert document["total"] == {
        "namespace": "*",
        "gateways": 4,
        "governed": 2,
        "ungoverned": 2,
        "unknown": 0,
        "withoutDatabase": 0,
        "unsupported": 0,
        "complete": 1,
        "incomplete": 1,
        "held": 0,
        "waiting": 0,
        "failed": 0,
    }
    assert document["unread"] == ["Pod"]


def test_rejections_have_their_schema_and_every_field() -> None:
    document = json.loads(rejections_document([REFUSAL], NOW))
    assert document["schema"] == "schemagate.io/audit-rejections/v1"
    assert document["rejections"] == [
        {
            "namespace": "team-a",
            "name": "ssg",
            "decision": "denied",
            "reason": "MigrationPending",
            "mode": "Reject",
            "hash": "0123456789abcdef",
            "user": "alice",
            "groups": ["devs", "ops"],
            "from": "docker.io/caapim/gateway:11.2.2",
            "to": "docker.io/caapim/gateway:11.3.0",
            "bypassReason": None,
            "times": 3,
            "first": "2026-11-22T11:00:00+00:00",
            "last": "2026-11-22T12:00:00+00:00",
            "passes": False,
            "ended": None,
            "endedAt": None,
            "outcome": "blocked: not migrated",
        }
    ]
