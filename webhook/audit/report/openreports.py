"""The audit as policy reports, one for each namespace: what exporters and dashboards for such reports read.

The same results fit a Report (``openreports.io/v1alpha1``, by openreports/reports-api v0.2.1) and a PolicyReport
(``wgpolicyk8s.io/v1alpha2``). Users are named in neither: such reports are sent on to chats and other systems,
while the records, which say who it was, stay in the cluster.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from webhook.audit.rejections.notices import done_about
from webhook.audit.rejections.rejection import IMAGE_LIMIT, shown
from webhook.audit.rejections.rows import ENDS
from webhook.audit.report.survey import Standing, Survey
from webhook.audit.scan.finding import Finding, Rule, Severity
from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.inputs import short
from webhook.policy.names import PRODUCT
from webhook.policy.reasons import BEYOND_MIGRATION, Reason
from webhook.policy.record import Rejection, RejectionDecision, RejectionEnd
from webhook.policy.record.wire import BYPASS_REASON_LIMIT, REASON_LIMIT

LIMIT: Final = 200
"""Results that a report holds, the gravest; further ones are counted in its summary and left out."""
ROLLOUTS: Final = f"{PRODUCT}-rollouts"
"""The policy of what the ledger remembers; the rule is the reason."""
SCAN: Final = f"{PRODUCT}-scan"
"""The policy of what the scan found; the rule is the scan's."""
CATEGORY: Final = "Database migration"
LEFT_OUT: Final = "ResultsLeftOut"


class Outcome(StrEnum):
    """What a result says, in the words of both kinds of report. The gravest first."""

    FAIL = "fail"
    ERROR = "error"
    WARN = "warn"
    SKIP = "skip"
    PASS = "pass"  # noqa: S105 # a result


_FOUND: Final[Mapping[Rule, Outcome]] = {
    Rule.INVALID_INPUTS: Outcome.ERROR,
    Rule.UNREADABLE: Outcome.ERROR,
    Rule.UNSUPPORTED_VERSION: Outcome.SKIP,
}
_BY_SEVERITY: Final = {Severity.HIGH: Outcome.FAIL}
_OUTCOMES: Final = tuple(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A rule, an object (``Kind/name``) and what is said of it; ``when`` is None where no time is known."""

    policy: str
    rule: str
    outcome: Outcome
    severity: Severity
    subject: str
    message: str
    when: datetime | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    def to_manifest(self, namespace: str) -> dict[str, Any]:
        """Give it as an item of ``results``."""
        kind, _, name = self.subject.partition("/")
        api_version = "apps/v1" if kind == "Deployment" else "v1"
        manifest: dict[str, Any] = {
            "source": PRODUCT,
            "category": CATEGORY,
            "policy": self.policy,
            "rule": self.rule,
            "result": self.outcome.value,
            "severity": self.severity.value,
            "message": self.message,
        }
        if name:
            subject = {"apiVersion": api_version, "kind": kind, "namespace": namespace, "name": name}
            manifest["resources"] = [subject]
        if self.when is not None:
            manifest["timestamp"] = {"seconds": int(self.when.timestamp()), "nanos": 0}
        if self.properties:
            manifest["properties"] = dict(self.properties)
        return manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What there is to report of a namespace: at most ``LIMIT`` results, the gravest and newest first.

    ``summary`` counts all of them by outcome, those beyond the limit too.
    """

    namespace: str
    results: tuple[Result, ...]
    summary: Mapping[Outcome, int]

    def body(self) -> dict[str, Any]:
        """Give what both kinds of report hold beside their metadata. The same report gives the same body."""
        items = [item.to_manifest(self.namespace) for item in self.results]
        left_out = sum(self.summary.values()) - len(self.results)
        if left_out:
            items.append(_left_out(left_out, self.namespace).to_manifest(self.namespace))
        counts = {outcome.value: self.summary.get(outcome, 0) for outcome in Outcome}
        return {"summary": counts, "results": items}


def reports(survey: Survey) -> dict[str, Report]:
    """Give the reports by namespace; a namespace with nothing to report has none."""
    found: dict[str, list[Result]] = {}
    for standing in survey.standings:
        results = [_remembered(standing, entry) for entry in standing.rejections]
        results += [_found(finding) for finding in standing.findings]
        if results:
            found.setdefault(standing.namespace, []).extend(results)
    return {namespace: _report(namespace, results) for namespace, results in sorted(found.items())}


def _report(namespace: str, results: Sequence[Result]) -> Report:
    ordered = sorted(results, key=_rank)
    summary = Counter(item.outcome for item in ordered)
    return Report(namespace=namespace, results=tuple(ordered[:LIMIT]), summary=summary)


def _rank(item: Result) -> tuple[object, ...]:
    age = -item.when.timestamp() if item.when else 0.0
    grave = (-item.severity.rank, _OUTCOMES.index(item.outcome))
    return (*grave, age, item.subject, item.policy, item.rule, item.message)


def _remembered(standing: Standing, entry: Rejection) -> Result:
    """Give the result of what a record remembers of a rollout."""
    outcome, severity = _judged(entry)
    properties = {
        "hash": short(shown(entry.hash, REASON_LIMIT)),
        "mode": entry.mode.value if entry.mode else "",
        "decision": entry.decision.value if entry.decision else "",
        "count": str(entry.count),
        "bypassReason": shown(entry.bypass_reason, BYPASS_REASON_LIMIT),
        "ended": entry.ended.value if entry.ended else "",
        "endedAt": entry.ended_at.isoformat() if entry.ended_at else "",
    }
    change = f"{shown(entry.from_image, IMAGE_LIMIT) or 'none'} to {shown(entry.to_image, IMAGE_LIMIT) or 'none'}"
    return Result(
        policy=ROLLOUTS,
        rule=shown(entry.reason, REASON_LIMIT),
        outcome=outcome,
        severity=severity,
        subject=f"Deployment/{standing.name}",
        message=printable(f"{done_about(entry.decision)}: {change}; {_became(entry)}", MESSAGE_LIMIT),
        when=entry.last,
        properties={name: value for name, value in properties.items() if value},
    )


def _judged(entry: Rejection) -> tuple[Outcome, Severity]:
    """Say how grave it is: break-glass is never told less loudly than a denial, however it ended."""
    if RejectionDecision.BYPASSED is entry.decision or entry.ended is RejectionEnd.BYPASSED:
        return Outcome.FAIL, Severity.HIGH
    if entry.ended is RejectionEnd.ABANDONED:
        return Outcome.SKIP, Severity.INFO
    if entry.ended is RejectionEnd.OPENED:
        return Outcome.WARN, Severity.MEDIUM
    if entry.ended is RejectionEnd.MIGRATED or entry.passes:
        return Outcome.PASS, Severity.INFO
    if entry.reason == Reason.INVALID_INPUTS.value:
        return Outcome.ERROR, Severity.MEDIUM
    if entry.decision in {RejectionDecision.WARNED, RejectionDecision.NOTED}:
        return Outcome.WARN, Severity.LOW
    return Outcome.FAIL, Severity.MEDIUM


def _became(entry: Rejection) -> str:
    if entry.ended is RejectionEnd.MIGRATED:
        return "migrated, and it went on"
    if entry.ended is not None:
        return ENDS[entry.ended]
    if entry.passes:
        return "it would pass now"
    return "no migration lets it pass" if entry.reason in BEYOND_MIGRATION else "its migration is not complete"


def _found(finding: Finding) -> Result:
    """Give the result of a finding. It has no time: a scan knows what is, not since when."""
    return Result(
        policy=SCAN,
        rule=finding.rule.value,
        outcome=_FOUND.get(finding.rule) or _BY_SEVERITY.get(finding.severity, Outcome.WARN),
        severity=finding.severity,
        subject=finding.subject,
        message=printable(f"{finding.message}; {finding.next_step}", 2 * MESSAGE_LIMIT),
    )


def _left_out(count: int, namespace: str) -> Result:
    ask = " and ".join(f"schemagate audit {what} -n {namespace}" for what in ("rejections", "scan"))
    said = f"{count} more results are in the summary alone; all of them: {ask}"
    return Result(
        policy=PRODUCT,
        rule=LEFT_OUT,
        outcome=Outcome.SKIP,
        severity=Severity.INFO,
        subject="",
        message=said,
    )
