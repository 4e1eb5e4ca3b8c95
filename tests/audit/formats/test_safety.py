"""Whatever a text holds, no format shows a credential, a control character, or more than it must."""

import pytest

from tests.audit.formats.examples import HOSTILE, NOW, SECRET, SPELLINGS, hostile_refusal, hostile_scan
from tests.audit.stocks import found, stock, swapped
from tests.support import builders as make
from tests.support.builders import Manifest
from webhook.audit.formats.document import rejections_document, scan_document
from webhook.audit.formats.junit import rejections_junit, scan_junit
from webhook.audit.formats.sarif import scan_sarif
from webhook.audit.formats.separated import rejections_csv, scan_csv
from webhook.audit.scan.finding import Severity
from webhook.audit.scan.scan import Scan, scan
from webhook.cli.audit.layout import rejections_table, scan_table
from webhook.policy.names import ENFORCE

LARGEST = 64 * 1024


def texts(result: Scan, text: str) -> list[str]:
    row = hostile_refusal(text)
    return [
        scan_table(result, wide=True),
        scan_document(result, NOW),
        scan_csv(result),
        scan_junit(result, Severity.INFO),
        scan_sarif(result),
        rejections_table([row], NOW, wide=True),
        rejections_document([row], NOW),
        rejections_csv([row]),
        rejections_junit([row]),
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_everything_is_printable_and_bounded(text: str) -> None:
    for made in texts(hostile_scan(text), text):
        assert made.replace("\n", "").replace("\r\n", "").replace("\r", "").isprintable()
        assert len(made) < LARGEST


def everywhere(credential: str, *, paused: bool) -> list[Manifest]:
    """A Gateway with a text in every place that somebody writes, all of its rules broken."""
    notes = dict.fromkeys(("schemagate.io/jdbc-url", "schemagate.io/held", "example.com/note"), credential)
    own = [
        {"name": "SSG_DATABASE_JDBC_URL", "value": credential},
        {"name": "EXTRA_JAVA_ARGS", "value": credential},
    ]
    spec = make.pod_spec(make.container(image=f"registry/{credential}:11.3.0", env=own))
    status = {
        "phase": "Failed",
        "specHash": "0" * 64,
        "image": credential,
        "failure": {"class": "Unknown", "message": credential},
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "Failed",
                "message": credential,
                "lastTransitionTime": "2026-11-20T00:00:00Z",
            }
        ],
    }
    objects = swapped("Deployment", {"metadata": {"annotations": notes}, "spec": {"template": {"spec": spec}}})
    objects = swapped("Deployment", {"spec": {"paused": paused}}, objects)
    objects = swapped("Pod", {"spec": spec, "metadata": {"annotations": notes}}, objects)
    objects = swapped("Namespace", {"metadata": {"labels": {ENFORCE: "reject"}, "annotations": notes}}, objects)
    return swapped("GatewayMigration", {"status": status}, objects)


@pytest.mark.parametrize("paused", [True, False])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_credential_comes_out_of_a_scan_in_any_format(spelling: str, paused: bool) -> None:
    objects = everywhere(spelling.format(SECRET), paused=paused)
    result = scan(stock(*objects), NOW)
    assert result.findings
    for made in texts(result, ""):
        assert SECRET not in made
    assert all(SECRET not in item.message + item.next_step for item in found(*objects))


def test_an_annotation_of_a_megabyte_is_nowhere() -> None:
    objects = swapped("Deployment", {"metadata": {"annotations": {"example.com/note": "n" * 2**20}}})
    for made in texts(scan(stock(*objects), NOW), ""):
        assert len(made) < LARGEST
