"""What is noted of a verdict: a metric always, a log line and the ledger when it matters."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from webhook.admission.handlers import Verdict
from webhook.audit.ledger import Ledger
from webhook.audit.rejection import Rejected
from webhook.policy.decision import printable
from webhook.policy.inputs import short
from webhook.policy.reasons import ALLOWING
from webhook.policy.rollout.change import Rollout
from webhook.telemetry import Telemetry

# The usual course of things: metrics and audit annotations tell it.
_QUIET = frozenset({"allow", "patch"})
_NAME_LIMIT = 256


class Notes:
    """A VerdictSink: counts all, logs what is not the usual course, remembers what is or would be turned away."""

    def __init__(self, telemetry: Telemetry, ledger: Ledger, log: Any, clock: Callable[[], datetime]) -> None:
        self._telemetry = telemetry
        self._ledger = ledger
        self._log = log
        self._clock = clock

    def verdict(self, verdict: Verdict) -> None:
        """Take note of a verdict. A dry run is counted, and never remembered."""
        decision = verdict.decision
        self._telemetry.verdict(
            verdict.webhook, verdict.operation, decision.outcome, decision.reason.value, dry_run=verdict.dry_run
        )
        if decision.outcome not in _QUIET or decision.audit.get("decision") == "would-deny":
            self._write(verdict)
        rollout = verdict.rollout
        if rollout is not None and decision.reason not in ALLOWING and not verdict.dry_run:
            self._ledger.submit(self._rejected(verdict, rollout))

    def _write(self, verdict: Verdict) -> None:
        decision = verdict.decision
        self._log.info(
            "verdict",
            webhook=verdict.webhook,
            operation=verdict.operation,
            namespace=printable(verdict.namespace, _NAME_LIMIT),
            name=printable(verdict.name, _NAME_LIMIT),
            user=printable(verdict.user, _NAME_LIMIT),
            dry_run=verdict.dry_run,
            decision=decision.outcome,
            reason=decision.reason.value,
            check=decision.check,
            hash=short(verdict.rollout.inputs.spec_hash) if verdict.rollout and verdict.rollout.inputs else None,
        )

    def _rejected(self, verdict: Verdict, rollout: Rollout) -> Rejected:
        change, now = rollout.change, self._clock()
        old = change.old.gateway if change.old else None
        return Rejected(
            namespace=verdict.namespace,
            name=change.name,
            hash=rollout.inputs.spec_hash if rollout.inputs else "",
            reason=verdict.decision.reason.value,
            user=verdict.user,
            from_image=old.image if old else "",
            to_image=change.new.gateway.image if change.new.gateway else "",
            first=now,
            last=now,
        )
