"""What formats are tried with: texts of people who mean well, and of others."""

from datetime import timedelta

from tests.policy.migration.test_failures import SECRET, SPELLINGS
from tests.support.builders import IMAGE, NEXT_IMAGE, NOW
from webhook.audit.history import Refusal
from webhook.audit.scan.finding import Finding, Rule
from webhook.audit.scan.scan import Coverage, Scan
from webhook.policy.record import Mode, RejectionDecision, RejectionEnd

__all__ = ["HOSTILE", "NOW", "REFUSAL", "SCAN", "SECRET", "SPELLINGS", "hostile_refusal", "hostile_scan"]

HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =1",
    "\uff1d1+1",
    'a","=1',
    "<script>alert(1)</script>]]>",
    "&amp;&#0;",
    "\x00\x01\x1b[31mred\x1b[0m",
    "\u202eevil\u2066\u200b\ufeff",
    "\ud800",
    "\ufffe\uffff",
    "line one\nline two\u2028three",
    "u" * 10_000,
    "\x1b" * 1_000_000,
)

FINDINGS = (
    Finding.of(Rule.INCOMPLETE_HASH, ("team-a", "ssg"), "rolls out", "schemagate migrate ssg"),
    Finding.of(Rule.UNGOVERNED, ("team-b", "edge"), "runs unguarded", "label it"),
    Finding.of(Rule.UNSUPPORTED_VERSION, ("team-b", "old"), "is too old", "upgrade it", "Pod/old-1"),
)
SCAN = Scan(
    findings=FINDINGS,
    coverage=(
        Coverage(namespace="team-a", gateways=2, governed=2, complete=1, incomplete=1),
        Coverage(namespace="team-b", gateways=2, ungoverned=2),
    ),
    gateways=(("team-a", "ssg"), ("team-a", "fine"), ("team-b", "edge"), ("team-b", "old")),
    unread=frozenset({"Pod"}),
)
REFUSAL = Refusal(
    namespace="team-a",
    name="ssg",
    decision=RejectionDecision.DENIED,
    reason="MigrationPending",
    mode=Mode.REJECT,
    hash="0123456789abcdef",
    user="alice",
    groups=("devs", "ops"),
    from_image=IMAGE,
    to_image=NEXT_IMAGE,
    times=3,
    first=NOW - timedelta(hours=1),
    last=NOW,
    passes=False,
    outcome="blocked: not migrated",
)
ENDED = Refusal(
    namespace="team-a",
    name="ssg",
    decision=RejectionDecision.DENIED,
    reason="MigrationPending",
    mode=Mode.REJECT,
    hash="0123456789abcdef",
    user="bob",
    passes=True,
    ended=RejectionEnd.MIGRATED,
    ended_at=NOW,
)


def hostile_scan(text: str) -> Scan:
    """A scan with a text wherever one may be somebody's."""
    finding = Finding.of(Rule.UNGOVERNED, (text, text), text, text, f"Pod/{text}")
    return Scan(findings=(finding,), coverage=(Coverage(namespace=text, gateways=1),), gateways=((text, "x"),))


def hostile_refusal(text: str) -> Refusal:
    """A rejection with a text wherever one may be somebody's."""
    return Refusal(
        namespace=text,
        name=text,
        decision=None,
        reason=text,
        mode=None,
        hash=text,
        user=text,
        groups=(text,),
        from_image=text,
        to_image=text,
        bypass_reason=text,
        outcome=text,
    )
