"""CSV (RFC 4180) that a spreadsheet opens without running anything in it."""

import csv
import io
from collections.abc import Sequence

from webhook.audit.formats.rows import Cell, Row, finding_row, refusal_row
from webhook.audit.history import Refusal
from webhook.audit.scan.scan import Scan

# What begins so is a formula to a spreadsheet, in full width too (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_FINDING = ("severity", "rule", "namespace", "name", "subject", "message", "nextStep")
_REFUSAL = (
    *("namespace", "name", "decision", "reason", "mode", "hash", "user", "groups", "from", "to"),
    *("bypassReason", "times", "first", "last", "passes", "ended", "endedAt", "outcome"),
)


def scan_csv(scan: Scan) -> str:
    """Give a line for each finding, after a line of names."""
    return _text(_FINDING, [finding_row(item) for item in scan.findings])


def rejections_csv(rows: Sequence[Refusal]) -> str:
    """Give a line for each rejection, after a line of names."""
    return _text(_REFUSAL, [refusal_row(item) for item in rows])


def _text(names: Sequence[str], rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    return out.getvalue().removesuffix("\r\n")


def _cell(value: Cell) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
