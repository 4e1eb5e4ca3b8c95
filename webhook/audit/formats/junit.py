"""JUnit XML, as build servers show it: a suite for each namespace, a case for each Gateway or rejection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from webhook.audit.formats.rows import clean
from webhook.audit.history import Refusal
from webhook.audit.scan.finding import Finding, Severity
from webhook.audit.scan.scan import Scan
from webhook.policy.record import STOPPED


@dataclass(frozen=True, slots=True)
class _Case:
    suite: str
    name: str
    kind: str
    text: str
    failed: bool = False
    skipped: bool = False


def scan_junit(scan: Scan, fail_on: Severity | None) -> str:
    """Give a case for each finding, failed from the severity on, and one that passes for each clean Gateway.

    While a kind is unread no Gateway passes: there is a case that is skipped for each of them, and for each object
    that cannot be read.
    """
    cases = [_finding(item, fail_on) for item in scan.findings]
    kinds = sorted(kind for kind in scan.unread if " " not in kind)
    if kinds:
        said = f"not judged as a whole: {', '.join(kinds)} not read"
        cases += [_Case(where, name, "", said, skipped=True) for where, name in scan.gateways]
    else:
        found = {(item.namespace, item.name) for item in scan.findings}
        cases += [_Case(*gateway, "", "") for gateway in scan.gateways if gateway not in found]
    cases += [_unreadable(item) for item in sorted(scan.unread) if " " in item]
    return _text("schemagate audit scan", cases)


def rejections_junit(rows: Sequence[Refusal]) -> str:
    """Give a case for each rejection; those that stopped a rollout and are open still are failed."""
    return _text("schemagate audit rejections", [_refusal(row) for row in rows])


def _finding(item: Finding, fail_on: Severity | None) -> _Case:
    failed = fail_on is not None and item.severity.rank >= fail_on.rank
    text = f"{item.message}\nnext: {item.next_step}"
    return _Case(item.namespace, f"{item.subject}: {item.rule}", item.rule, text, failed)


def _unreadable(item: str) -> _Case:
    """Give the case of one object, named as its kind, a space, namespace and name."""
    namespace, _, name = item.partition(" ")[2].partition("/")
    return _Case(namespace, name, "", f"not judged: {item} cannot be read", skipped=True)


def _refusal(row: Refusal) -> _Case:
    failed = row.open and not row.passes and row.decision in STOPPED
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
    elif case.skipped:
        ElementTree.SubElement(element, "skipped", message=lines[0])
    elif case.text:
        ElementTree.SubElement(element, "system-out").text = "\n".join(lines)


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    failures, skipped = sum(case.failed for case in cases), sum(case.skipped for case in cases)
    return {
        "tests": str(len(cases)),
        "failures": str(failures),
        "errors": "0",
        "skipped": str(skipped),
        "time": "0",
    }
