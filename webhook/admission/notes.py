"""What is noted of a verdict: a metric and a line always; in the ledger what was, or would be, turned away."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from webhook.admission.handlers import Verdict
from webhook.audit.decisions import Line
from webhook.audit.rejections.ledger import Ledger
from webhook.audit.rejections.rejection import READ_LIMIT, Rejected, telling
from webhook.metrics.admission import Telemetry
from webhook.policy.inputs import short
from webhook.policy.migration.target import is_held
from webhook.policy.names import HELD
from webhook.policy.reasons import ALLOWING, Reason
from webhook.policy.record import Mode, RejectionDecision
from webhook.policy.rollout.change import Rollout

# The usual course of things.
_QUIET = frozenset({"allow", "patch"})


class Lines(Protocol):
    """Takes lines of the decision log."""

    def submit(self, line: Line) -> None:
        """Take a line; returns at once and never raises."""


class Notes:
    """A VerdictSink: counts and logs all, remembers what is or would be turned away.

    ``notable`` keeps the usual course of things out of the log: what is allowed without a word.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        ledger: Ledger,
        clock: Callable[[], datetime],
        lines: Lines | None = None,
        *,
        notable: bool = False,
    ) -> None:
        self._telemetry = telemetry
        self._ledger = ledger
        self._clock = clock
        self._lines = lines
        self._notable = notable

    def verdict(self, verdict: Verdict) -> None:
        """Take note of a verdict. A dry run is counted and logged, and never remembered."""
        decision = verdict.decision
        self._telemetry.verdict(
            verdict.webhook, verdict.operation, decision.outcome, decision.reason.value, dry_run=verdict.dry_run
        )
        remembered = remembered_as(verdict)
        if remembered is RejectionDecision.BYPASSED:
            self._telemetry.bypassed()
        now = self._clock()
        if remembered is not None and verdict.rollout is not None:
            self._ledger.submit(_rejected(verdict, verdict.rollout, remembered, now))
        usual = (
            decision.outcome in _QUIET and remembered is None and decision.audit.get("decision") != "would-deny"
        )
        if self._lines is not None and not (usual and self._notable):
            self._lines.submit(_line(verdict, remembered, now))


def remembered_as(verdict: Verdict) -> RejectionDecision | None:
    """Say as what a verdict is remembered, None for one that turns nothing away and for every dry run.

    A rollout that is held is the mutating webhook's to tell; called again for the same request it has nothing to
    change any more, and what was held before and is let go too early is on record already. All else is the
    validating webhook's, so that nothing is told twice.
    """
    decision = verdict.decision
    if verdict.dry_run or verdict.rollout is None:
        return None
    if verdict.webhook == "deployments.mutate":
        held = decision.reason is Reason.HELD and decision.audit.get("decision") == "hold" and bool(decision.patch)
        return RejectionDecision.HELD if held and not _released(verdict.rollout) else None
    if decision.reason is Reason.BYPASSED:
        return RejectionDecision.BYPASSED
    if decision.reason in ALLOWING:
        return None
    if not decision.allowed:
        return RejectionDecision.DENIED
    return RejectionDecision.NOTED if _mode(verdict.rollout) is Mode.AUDIT else RejectionDecision.WARNED


def _released(rollout: Rollout) -> bool:
    """Tell whether nothing but our pause and our mark is taken off, as the controller and ``release`` do.

    A replica that lags, or reads another mode, holds it again; counted, that would wake the controller to release
    it once more, without end.
    """
    change = rollout.change
    same = change.old is not None and change.template_unchanged and is_held(change.old.deployment)
    return same and change.new.meta.annotation(HELD) is None


def _mode(rollout: Rollout | None) -> Mode | None:
    return rollout.governance.mode if rollout is not None and rollout.governance is not None else None


def _images(rollout: Rollout) -> tuple[str, str]:
    old, new = rollout.change.old, rollout.change.new
    return (old.gateway.image if old and old.gateway else "", new.gateway.image if new.gateway else "")


def _bypass_reason(rollout: Rollout) -> str:
    return rollout.bypass.reason[:READ_LIMIT] if rollout.bypass else ""


def _rejected(verdict: Verdict, rollout: Rollout, remembered: RejectionDecision, now: datetime) -> Rejected:
    from_image, to_image = _images(rollout)
    return Rejected(
        namespace=verdict.namespace,
        name=rollout.change.name,
        hash=rollout.inputs.spec_hash if rollout.inputs else "",
        reason=verdict.decision.reason.value,
        user=verdict.user[:READ_LIMIT],
        from_image=from_image[:READ_LIMIT],
        to_image=to_image[:READ_LIMIT],
        first=now,
        last=now,
        groups=tuple(group[:READ_LIMIT] for group in telling(verdict.groups)),
        mode=_mode(rollout),
        decision=remembered,
        bypass_reason=_bypass_reason(rollout) if remembered is RejectionDecision.BYPASSED else "",
    )


def _line(verdict: Verdict, remembered: RejectionDecision | None, now: datetime) -> Line:
    """Give the line of a verdict; its texts are cut, since a queue of whole requests would have no bound."""
    decision, rollout = verdict.decision, verdict.rollout
    from_image, to_image = _images(rollout) if rollout is not None else ("", "")
    return Line(
        time=now,
        uid=verdict.uid[:READ_LIMIT],
        webhook=verdict.webhook,
        operation=verdict.operation,
        namespace=verdict.namespace[:READ_LIMIT],
        name=verdict.name[:READ_LIMIT],
        user=verdict.user[:READ_LIMIT],
        groups=tuple(group[:READ_LIMIT] for group in telling(verdict.groups)),
        dry_run=verdict.dry_run,
        decision=decision.outcome,
        remembered=remembered,
        reason=decision.reason.value,
        check=decision.check,
        mode=_mode(rollout),
        hash=short(rollout.inputs.spec_hash) if rollout is not None and rollout.inputs else None,
        from_image=from_image[:READ_LIMIT] or None,
        to_image=to_image[:READ_LIMIT] or None,
        bypass_reason=(_bypass_reason(rollout) or None) if rollout is not None else None,
        message=(decision.message or next(iter(decision.warnings), ""))[:READ_LIMIT] or None,
    )
