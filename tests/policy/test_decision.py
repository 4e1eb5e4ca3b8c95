"""Text rules of every answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.policy.decision import Decision, printable
from webhook.policy.patch import Operation
from webhook.policy.reasons import ALLOWING, Reason

LINES = {
    "plain text stays": ("a b", "a b"),
    "newlines and tabs become spaces": ("a\nb\tc\r", "a b c "),
    "line and paragraph separators": ("a\u2028b\u2029c", "a b c"),
    "other white space": ("a\u00a0b\u3000c", "a b c"),
    "an escape sequence loses its escape": ("\x1b[31mred", "[31mred"),
    "bidirectional controls": ("a\u202eb\u2066c\u200f", "abc"),
    "zero width": ("a\u200bb\ufeffc\u2060", "abc"),
    "a lone surrogate": ("a\ud800b", "ab"),
    "private use": ("a\ue000b", "ab"),
    "other scripts stay": ("шлюз 網關", "шлюз 網關"),
    "too long": ("x" * 21, "x" * 19 + "…"),
    "just long enough": ("x" * 20, "x" * 20),
}


@pytest.mark.parametrize(("text", "line"), LINES.values(), ids=LINES.keys())
def test_a_line_is_printable(text: str, line: str) -> None:
    assert printable(text, 20) == line


@given(st.text(st.characters()), st.integers(1, 50))
def test_any_text_becomes_one_short_line(text: str, limit: int) -> None:
    line = printable(text, limit)
    assert line.isprintable()
    assert len(line) <= limit
    assert printable(line, limit) == line
    line.encode()


def test_the_outcome_in_one_word() -> None:
    allow = Decision(allowed=True, reason=Reason.HELD, check="c")
    assert allow.outcome == "allow"
    assert Decision(allowed=True, reason=Reason.HELD, check="c", warnings=("w",)).outcome == "warn"
    assert (
        Decision(allowed=True, reason=Reason.HELD, check="c", patch=(Operation("add", "/a"),)).outcome == "patch"
    )
    assert Decision(allowed=False, reason=Reason.HELD, check="c", warnings=("w",)).outcome == "deny"


def test_reasons_are_words_that_explain_themselves() -> None:
    for reason in Reason:
        assert reason.value.isalnum()
        assert reason.value[0].isupper()
        assert reason.meaning.endswith(".")
        assert (reason in ALLOWING) == reason.effect.startswith("allowed")
