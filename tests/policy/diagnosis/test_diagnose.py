"""All checks speak, in their order, and say nothing that must not be said."""

from dataclasses import fields, replace

import pytest

from tests.policy.migration.test_failures import SECRET, SPELLINGS
from tests.support.diagnoses import found, healthy
from webhook.policy.diagnosis.diagnose import CHECKS, diagnose
from webhook.policy.diagnosis.facts import Canary
from webhook.policy.diagnosis.line import TEXT_LIMIT, Check, Level, Unread, fail, named


def test_every_check_says_of_a_healthy_installation_that_it_is_well() -> None:
    lines = diagnose(healthy())
    assert [line.check for line in lines] == list(Check)
    assert {line.level for line in lines} == {Level.OK}
    assert not any(line.advice for line in lines)
    assert list(CHECKS) == list(Check)


def test_who_may_read_nothing_gets_an_answer_for_every_check() -> None:
    facts = healthy()
    unread = {field.name: Unread(f"read {field.name}") for field in fields(facts) if "Unread" in str(field.type)}
    lines = diagnose(replace(facts, **unread))  # type: ignore[arg-type] # each of them takes it
    assert {line.check for line in lines if line.level is Level.UNKNOWN} == set(Check) - {
        Check.KUBERNETES,
        Check.CLOCKS,
    }


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_credential_comes_out(spelling: str) -> None:
    text = f"POST: 500 before {spelling.format(SECRET)} after"
    (line,) = found(canary=Canary(namespace="default", version="11.1.0", refusal=text))
    assert SECRET not in line.message
    assert SECRET not in fail(Check.CANARY, text, text).advice


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "x" * 10_000, "\u202eright"])
def test_texts_are_printable_and_bounded(text: str) -> None:
    line = fail(Check.CANARY, text, text)
    for said in (line.message, line.advice):
        assert said.isprintable()
        assert len(said) <= TEXT_LIMIT


def test_a_list_of_names_is_shortened() -> None:
    assert named(["a"]) == "a"
    assert named(["a", "b", "c"], 2) == "a, b and 1 more"
