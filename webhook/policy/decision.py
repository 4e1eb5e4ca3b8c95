"""The verdict on a request, as a value, and the text rules that every answer obeys."""

import unicodedata
from collections.abc import Mapping

from webhook.policy.patch import Patch
from webhook.policy.reasons import Reason
from webhook.policy.value import Value

MESSAGE_LIMIT = 1024
"""Longest message of a denial, in characters."""
WARNING_LIMIT = 250
"""Longest warning: the API server cuts at 256 once all warnings together pass 4096 (Kubernetes 1.36)."""
ANNOTATION_LIMIT = 256
"""Longest value of an audit annotation, in characters."""


def printable(text: str, limit: int) -> str:
    """Give one printable line of at most ``limit`` characters.

    A control character or newline makes the API server drop a whole warning, and reaches a terminal verbatim
    from a denial; bidirectional controls and zero-width characters make a line read otherwise than it is.
    """
    if len(text) <= limit and text.isprintable():
        return text
    line = "".join(
        " " if char.isspace() else char
        for char in text[: limit * 4]
        if char.isspace() or not unicodedata.category(char).startswith("C")
    )
    return line if len(line) <= limit else line[: limit - 1] + "…"


class Decision(Value, frozen=True):
    """What to answer and why.

    ``check`` names the check that decided. ``allowed`` is what the client is told; ``patch`` changes the
    object of a mutating request. ``warnings`` reach the client's terminal, ``audit`` the API server's audit
    log (bare keys, no object text, no URL).
    """

    allowed: bool
    reason: Reason
    check: str
    message: str = ""
    warnings: tuple[str, ...] = ()
    audit: Mapping[str, str] = {}
    patch: Patch = ()

    @property
    def outcome(self) -> str:
        """Word for metrics and logs: ``deny``, ``warn``, ``patch`` or ``allow``."""
        if not self.allowed:
            return "deny"
        if self.warnings:
            return "warn"
        return "patch" if self.patch else "allow"
