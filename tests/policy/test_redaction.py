"""How much of a free text is looked at for credentials. What counts as one: ``migration/test_failures``."""

import pytest

from webhook.policy.diagnosis.line import TEXT_LIMIT, Check, warn
from webhook.policy.redaction import safe

LONG = f"password={'x' * 5000} and the rest"
"""What is masked makes room for more: so shows whether the rest was looked at."""


def test_a_text_is_looked_at_no_further_than_it_may_be_shown() -> None:
    assert safe(LONG, 1024) == "password=***"
    assert safe(LONG, 1024, 8192) == "password=*** and the rest"


@pytest.mark.parametrize("text", ["", "a line", "a" * 20])
def test_what_fits_and_hides_nothing_stays(text: str) -> None:
    assert safe(text, 20) == text


def test_what_is_longer_is_cut_and_one_line() -> None:
    assert safe("two\nlines " * 10, 20) == "two lines two lines…"


def test_a_line_of_the_doctor_is_looked_at_no_further() -> None:
    line = warn(Check.LEADER, LONG, LONG)
    assert (line.message, line.advice) == ("password=***", "password=***")
    assert len(warn(Check.LEADER, "a" * 5000, "").message) == TEXT_LIMIT
