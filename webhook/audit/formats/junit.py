"""JUnit XML, as build servers show it: a suite for each namespace, a case for each Gateway or rejection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from webhook.audit.formats.rows import clean
from webhook.audit.history import Refusal
from webhook.audit.scan.finding import Finding, Severity
from webhook.audit.scan.scan import Scan
from webhook.policy.record import RejectionDecision

_STOPPED = frozenset({RejectionDecision.DENIED, RejectionDecision.HELD, None})


@dataclass(frozen=True, slots=True)
class _Case:
    suite: str
    name: str
    kind: str
    text: str
    failed: bool


def scan_junit(scan: Scan, fail_on: Severity | None) -> str:
    """Give a case for each finding, failed from the severity on, and one that passes for each clean Gateway."""
    found = {(item.namespace, item.name) for item in scan.findings}
    cases = [_finding(item, fail_on) for item in scan.findings]
    cases += [
        _Case(where, name, "", "", failed=False) for where, name in scan.gateways if (where, name) not in found
    ]
    return _text("schemagate audit scan", cases)


def rejections_junit(rows: Sequence[Refusal]) -> str:
    """Give a case for each rejection; those that stopped a rollout and are open still are failed."""
    return _text("schemagate audit rejections", [_refusal(row) for row in rows])


def _finding(item: Finding, fail_on: Severity | None) -> _Case:
    failed = fail_on is not None and item.severity.rank >= fail_on.rank
    text = f"{item.message}\nnext: {item.next_step}"
    return _Case(item.namespace, f"{item.subject}: {item.rule}", item.rule, text, failed)


def _refusal(row: Refusal) -> _Case:
    failed = row.open and not row.passes and row.decision in _STOPPED
    name = f"{row.name}: {row.reason} {row.hash} by {row.user}"
    last = row.last.isoformat() if row.last else "at a time unknown"
    text = f"{row.times} times, last {last}: {row.outcome or 'nothing more is known'}"
    return _Case(row.namespace, name, row.reason, text, failed)


def _text(title: str, cases: Iterable[_Case]) -> str:
    suites: dict[str, list[_Case]] = {}
    for case in cases:
        suites.setdefault(case.suite, []).append(case)
    every = [case for suite in suites.values() for case in suite]
    root = ElementTree.Element("testsuites", {"name": title, **_counts(every)})
    for name, suite in sorted(suites.items()):
        element = ElementTree.SubElement(root, "testsuite", {"name": clean(name), **_counts(suite)})
        for case in suite:
            _add(element, case)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _add(suite: ElementTree.Element, case: _Case) -> None:
    element = ElementTree.SubElement(
        suite, "testcase", classname=clean(case.suite), name=clean(case.name), time="0"
    )
    lines = [clean(line) for line in case.text.split("\n")]
    if case.failed:
        failure = ElementTree.SubElement(element, "failure", type=clean(case.kind), message=lines[0])
        failure.text = "\n".join(lines)
    elif case.text:
        ElementTree.SubElement(element, "system-out").text = "\n".join(lines)


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    failures = sum(case.failed for case in cases)
    return {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0", "time": "0"}
