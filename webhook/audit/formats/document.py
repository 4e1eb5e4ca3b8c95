"""JSON documents with the name and version of their schema."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from webhook.audit.formats.rows import clean, coverage_row, finding_row, refusal_row
from webhook.audit.history import Refusal
from webhook.audit.scan.scan import Scan

SCAN_SCHEMA = "schemagate.io/audit-scan/v1"
REJECTIONS_SCHEMA = "schemagate.io/audit-rejections/v1"


def scan_document(scan: Scan, now: datetime) -> str:
    """Give a scan: ``findings``, ``coverage`` by namespace and in ``total``, ``unread`` kinds, ``omitted``."""
    return _text(
        {
            "schema": SCAN_SCHEMA,
            "time": now.isoformat(),
            "findings": [finding_row(item) for item in scan.findings],
            "omitted": scan.omitted,
            "coverage": [coverage_row(item) for item in scan.coverage],
            "total": coverage_row(scan.total),
            "unread": sorted(scan.unread),
        }
    )


def rejections_document(rows: Sequence[Refusal], now: datetime) -> str:
    """Give rejections, oldest first; keys are those of the rows, with ``groups`` as a list."""
    listed = [{**refusal_row(row), "groups": [clean(group) for group in row.groups]} for row in rows]
    return _text({"schema": REJECTIONS_SCHEMA, "time": now.isoformat(), "rejections": listed})


def _text(document: object) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
