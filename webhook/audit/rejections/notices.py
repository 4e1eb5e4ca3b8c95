"""What to tell of a rollout that was turned away, as a Kubernetes Event on what is stored."""

from webhook.audit.rejections.rejection import IMAGE_LIMIT, USER_LIMIT, Rejected, shown
from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.inputs import short
from webhook.policy.migration.notices import Notice, NoticeKind
from webhook.policy.record import RejectionDecision
from webhook.policy.record.wire import BYPASS_REASON_LIMIT

_WORDS = {
    RejectionDecision.DENIED: (NoticeKind.WARNING, "RolloutDenied", "turned away"),
    RejectionDecision.HELD: (NoticeKind.NORMAL, "RolloutHeld", "held (paused)"),
    RejectionDecision.WARNED: (NoticeKind.WARNING, "RolloutWarned", "let through with a warning"),
    RejectionDecision.NOTED: (NoticeKind.NORMAL, "RolloutNoted", "let through and noted"),
    RejectionDecision.BYPASSED: (NoticeKind.WARNING, "BypassUsed", "let through by break-glass"),
}


def done_about(decision: RejectionDecision | None) -> str:
    """Say what was done about a rollout; what an older version wrote was turned away."""
    return _WORDS[decision or RejectionDecision.DENIED][2]


def notice_of(rejected: Rejected) -> Notice:
    """Give what to tell: who wanted what, what was done about it, and why. How often is for the Event to count."""
    kind, reason, done = _WORDS[rejected.decision or RejectionDecision.DENIED]
    change = f"{_image(rejected.from_image) or 'none'} to {_image(rejected.to_image) or 'none'}"
    why = f": {shown(rejected.bypass_reason, BYPASS_REASON_LIMIT)}" if rejected.bypass_reason else ""
    user = shown(rejected.user, USER_LIMIT) or "somebody"
    note = f"{done}: {change} ({short(rejected.hash) or 'no hash'}), asked for by {user}; {rejected.reason}{why}"
    return Notice(kind, reason, printable(note, MESSAGE_LIMIT), on_deployment=True)


def _image(image: str) -> str:
    return shown(image, IMAGE_LIMIT)
