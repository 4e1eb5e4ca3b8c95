"""Findings and rejections as a person reads them."""

from collections.abc import Sequence
from datetime import datetime

from webhook.audit.history import Refusal
from webhook.audit.scan.scan import Scan
from webhook.cli.layout import duration, image_tag
from webhook.cli.output import table

_FINDING = ("SEVERITY", "RULE", "NAMESPACE", "OBJECT", "MESSAGE")
_FINDING_WIDE = ("SEVERITY", "RULE", "NAMESPACE", "DEPLOYMENT", "OBJECT", "NEXT", "MESSAGE")
_REFUSAL = ("LAST", "NAMESPACE", "NAME", "DECISION", "REASON", "TIMES", "USER", "CHANGE", "OUTCOME")
_REFUSAL_WIDE = (
    *("FIRST", "LAST", "NAMESPACE", "NAME", "DECISION", "MODE", "REASON", "HASH", "TIMES", "USER", "GROUPS"),
    *("CHANGE", "OUTCOME"),
)


def scan_table(scan: Scan, *, wide: bool = False) -> str:
    """Lay out a line for each finding, and one with the figures of all."""
    lines = []
    if scan.findings:
        rows = [
            [item.severity.value, item.rule.value, item.namespace]
            + ([item.name, item.subject, item.next_step, item.message] if wide else [item.subject, item.message])
            for item in scan.findings
        ]
        lines += [table(_FINDING_WIDE if wide else _FINDING, rows), ""]
    if scan.omitted:
        lines += [f"and {scan.omitted} findings more", ""]
    total = scan.total
    parts = {
        "governed": total.governed,
        "ungoverned": total.ungoverned,
        "without a database": total.without_database,
        "unknown": total.unknown,
    }
    states = {
        "complete": total.complete,
        "incomplete": total.incomplete,
        "held": total.held,
        "too old to be guarded": total.unsupported,
    }
    said = _figures(states)
    gateways = f"{total.gateways} Gateway{'s' * (total.gateways != 1)}"
    lines.append(f"{gateways}: {_figures(parts) or 'none'}{f' ({said})' if said else ''}")
    return "\n".join(lines)


def rejections_table(rows: Sequence[Refusal], now: datetime, *, wide: bool = False) -> str:
    """Lay out a line for each rejection."""
    return table(_REFUSAL_WIDE if wide else _REFUSAL, [_line(row, now, wide=wide) for row in rows])


def _line(row: Refusal, now: datetime, *, wide: bool) -> list[str]:
    known = row.from_image or row.to_image
    change = f"{image_tag(row.from_image) or 'new'} → {image_tag(row.to_image) or 'none'}" if known else "-"
    cells = {
        "FIRST": duration(row.first, now),
        "LAST": duration(row.last, now),
        "NAMESPACE": row.namespace,
        "NAME": row.name,
        "DECISION": row.decision.value if row.decision else "-",
        "MODE": row.mode.value if row.mode else "-",
        "REASON": row.reason,
        "HASH": row.hash or "-",
        "TIMES": str(row.times),
        "USER": row.user,
        "GROUPS": ",".join(row.groups) or "-",
        "CHANGE": change,
        "OUTCOME": row.outcome or "-",
    }
    return [cells[name] for name in (_REFUSAL_WIDE if wide else _REFUSAL)]


def _figures(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)
