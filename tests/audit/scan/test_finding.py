"""Findings and their rules."""

import itertools

import pytest

from webhook.audit.scan.finding import Finding, Rule, Severity
from webhook.policy.decision import MESSAGE_LIMIT


def test_severities_compare_by_rank() -> None:
    ordered = sorted(Severity, key=lambda severity: severity.rank)
    assert ordered == [Severity.INFO, Severity.LOW, Severity.MEDIUM, Severity.HIGH]
    assert len({severity.rank for severity in Severity}) == len(Severity)


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_says_what_it_means_and_what_to_do(rule: Rule) -> None:
    assert rule.value.isidentifier()
    for text in (rule.meaning, rule.advice):
        assert text.endswith(".")
        assert text.isprintable()


def test_no_two_rules_mean_the_same() -> None:
    assert all(one.meaning != other.meaning for one, other in itertools.combinations(Rule, 2))


def test_texts_of_a_finding_are_fit_to_be_shown() -> None:
    nasty = "password=hunter2 \x1b[31m\u202e" + "x" * 10_000
    one = Finding.of(Rule.UNGOVERNED, ("team-a", "ssg"), nasty, nasty, f"Pod/{nasty}")
    for text in (one.message, one.next_step, one.subject):
        assert text.isprintable()
        assert len(text) <= MESSAGE_LIMIT
    assert "hunter2" not in one.message + one.next_step
    assert one.severity is Severity.MEDIUM


def test_the_subject_is_the_deployment_unless_it_is_told() -> None:
    assert Finding.of(Rule.UNGOVERNED, ("team-a", "ssg"), "m", "n").subject == "Deployment/ssg"
