"""How much of a free text is looked at for credentials. What counts as one: ``migration/test_failures``."""

import pytest

from webhook.policy.diagnosis.line import TEXT_LIMIT, Check, warn
from webhook.policy.redaction import redact_head, safe

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
    assert len(warn(Check.LEADER, "a " * 2500, "").message) == TEXT_LIMIT


@pytest.mark.parametrize("length", range(240, 1400, 97))
@pytest.mark.parametrize("before", ["", "failed to pull image ", 'Failed to apply default image tag "'])
def test_a_credential_that_shows_by_its_end_is_not_shown_when_that_is_cut_off(before: str, length: int) -> None:
    token = "eyJ" + "s3cr3tXY" * (length // 8)
    text = f"{before}AWS:{token}@123.dkr.example.com/gateway:11.2.2 and the rest"
    for limit in (256, 300, 600):
        assert "s3cr3t" not in safe(text, limit)
    assert "***@123.dkr.example.com/gateway:11.2.2" in safe(text, 256, 4096)


def test_a_word_that_is_whole_stays_where_the_rest_is_cut() -> None:
    assert redact_head("one two three", 7) == "one two"
    assert redact_head("one two three", 8) == "one two "
    assert redact_head("one two three", 9) == "one two …"
    assert redact_head("one two three", 13) == "one two three"
