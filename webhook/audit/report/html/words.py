"""Texts and badges that several parts of the report share."""

from datetime import datetime
from typing import Final

from webhook.audit.report.html.markup import Html, bounded, element, join
from webhook.audit.report.html.moments import span
from webhook.audit.report.survey import Standing
from webhook.audit.report.wait import State, is_open
from webhook.policy.inputs import short
from webhook.policy.reasons import BEYOND_MIGRATION
from webhook.policy.record import Rejection, RejectionEnd

TAG_LIMIT: Final = 48
# Told by a sign and a word beside the colour, for who cannot tell colours apart.
_SIGNS: Final = {
    State.FAILED: "✕",
    State.BLOCKED: "■",
    State.AGAIN: "↻",
    State.RUNNING: "▸",
    State.WAITING: "…",
    State.UNGOVERNED: "○",
    State.READY: "✓",
    State.OFF: "-",
}
_ENDS: Final = {
    RejectionEnd.MIGRATED: "migrated and let through",
    RejectionEnd.ABANDONED: "abandoned",
    RejectionEnd.BYPASSED: "bypassed",
    RejectionEnd.OPENED: "let through unmigrated",
}


def kind_of(state: State) -> str:
    """Give the class that a state has in the style sheet."""
    return f"s-{state.name.lower()}"


def badge(state: State) -> Html:
    """Give a state as sign and word."""
    sign = element("span", _SIGNS[state], class_="sign", aria_hidden="true")
    return element("span", sign, state.value, class_=f"badge {kind_of(state)}")


def where(standing: Standing) -> Html:
    """Give namespace and name, so that they may be broken between."""
    return join((element("span", f"{standing.namespace}/", class_="ns"), Html("<wbr>"), standing.name))


def image_tag(image: str) -> str:
    """Give what tells an image from others of its name: the tag, or the beginning of the digest."""
    name, _, digest = image.rpartition("/")[2].partition("@")
    tag = name.partition(":")[2]
    return bounded(tag or digest[:19] or name, TAG_LIMIT)


def change(before: str, after: str) -> str:
    """Give a change of images by their tags."""
    new = image_tag(after) or "none"
    return new if image_tag(before) == new else f"{image_tag(before) or 'new'} → {new}"


def outcome(entry: Rejection, standing: Standing) -> str:
    """Say what came of a rollout that was, or would have been, turned away."""
    if entry.ended is not None:
        took = f" after {span(entry.ended_at - entry.first)}" if entry.ended_at and entry.first else ""
        why = f": {entry.bypass_reason}" if entry.bypass_reason else ""
        return f"{_ENDS[entry.ended]}{took}{why}"
    if not is_open(entry):
        return "let through unmigrated"
    if entry.passes:
        migrated = any(short(done.hash) == entry.hash for done in standing.completions)
        return f"{'migrated; ' if migrated else ''}passes when it is sent again"
    return "no migration lets it pass" if entry.reason in BEYOND_MIGRATION else "still waits"


def latest(entry: Rejection) -> datetime | None:
    """Give when it was turned away last."""
    return entry.last or entry.first
