"""A cluster at one moment, put together from what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import msgspec

from tests.audit.stocks import complete, stock
from tests.support import builders as make
from tests.support.builders import IMAGE, NOW
from tests.support.surveys import large, small
from webhook.audit.report.survey import Standing, Survey, survey
from webhook.audit.report.wait import State
from webhook.audit.scan.finding import Rule
from webhook.audit.scan.stock import Stock
from webhook.policy.names import ENFORCE, HELD
from webhook.policy.objects import Deployment, view


def of(*manifests: make.Manifest) -> Survey:
    stored = stock(*manifests)
    return survey(stored, cluster="here", taken=NOW)


def named(result: Survey, name: str) -> Standing:
    return next(standing for standing in result.standings if standing.name == name)


class Counted(tuple[Deployment, ...]):
    """Deployments that count how often somebody goes through them."""

    gone_through = 0

    def __iter__(self) -> Iterator[Deployment]:
        self.gone_through += 1
        return super().__iter__()


def test_gateways_are_judged_once_for_how_they_stand_and_what_is_wrong() -> None:
    stored = stock(make.deployment(), complete())
    counted = Counted(stored.deployments)
    assert survey(replace(stored, deployments=counted), cluster="here", taken=NOW).standings
    assert counted.gone_through == 1


def test_all_gateways_are_there_the_most_urgent_first() -> None:
    result = small()
    assert [(item.name, item.wait.state) for item in result.standings] == [
        ("edge", State.FAILED),
        ("shop", State.BLOCKED),
        ("partner-api", State.AGAIN),
        ("ledger", State.RUNNING),
        ("ledger-dr", State.WAITING),
        ("batch", State.UNGOVERNED),
        ("soap", State.UNGOVERNED),
        ("login", State.READY),
        ("oauth", State.READY),
        ("saml", State.READY),
        ("bench", State.OFF),
    ]
    assert sum(result.states.values()) == len(result.standings)
    assert result.modes == {"Reject": 8, "Hold": 0, "Warn": 0, "Audit": 0}


def test_attempts_end_when_they_ended() -> None:
    result = small()
    failed, running, migrated = (named(result, name).attempt for name in ("edge", "ledger", "oauth"))
    assert failed is not None
    assert (failed.failed, failed.end) == (True, NOW - timedelta(minutes=47))
    assert running is not None
    assert (running.failed, running.end) == (False, None)
    assert migrated is not None
    assert (migrated.failed, migrated.end) == (False, NOW - timedelta(days=1))
    assert named(result, "shop").attempt is None


def test_a_held_deployment_is_told() -> None:
    assert [standing.name for standing in small().standings if standing.held] == ["ledger-dr"]
    paused = make.deployment(spec={"paused": True})
    assert not named(of(paused, make.config_map(), make.namespace(**{ENFORCE: "hold"})), "ssg").held
    held = make.deployment(metadata={"annotations": {HELD: "x"}}, spec={"paused": True})
    assert named(of(held, make.config_map(), make.namespace(**{ENFORCE: "hold"})), "ssg").held


def test_governance_is_that_of_the_webhook() -> None:
    standing = named(of(make.deployment(), make.config_map(), make.namespace(**{ENFORCE: "warn"})), "ssg")
    assert (standing.source, standing.mode, standing.image) == ("Namespace", "Warn", IMAGE)
    standing = named(of(make.deployment(), make.config_map(), complete()), "ssg")
    assert (standing.source, standing.mode, standing.wait.state) == ("Record", "Reject", State.READY)


def test_a_gateway_without_a_database_is_not_ungoverned() -> None:
    without = make.config_map(data={"DISKLESS_CONFIG": "true"})
    assert named(of(make.deployment(), without), "ssg").wait.state is State.OFF
    assert named(of(make.deployment(), make.config_map()), "ssg").wait.state is State.UNGOVERNED


def test_a_record_without_a_deployment_is_there_too() -> None:
    standing = named(of(complete(phase="Complete")), "ssg")
    assert (standing.image, standing.wait.state) == ("", State.READY)


def test_what_cannot_be_read_is_there_with_its_finding() -> None:
    # An API server stores none such today; one of a later version may.
    template = msgspec.Raw(b'{"spec":{"containers":"none"}}')
    found = view(Deployment, make.deployment())
    broken = msgspec.structs.replace(found, spec=msgspec.structs.replace(found.spec, template=template))
    stored = Stock(deployments=[broken])
    standing = named(survey(stored, cluster="here", taken=NOW), "ssg")
    assert [finding.rule for finding in standing.findings] == [Rule.UNREADABLE]
    assert standing.wait.state is State.UNGOVERNED


def test_findings_stand_with_their_gateway() -> None:
    result = small()
    rules = {(item.name, finding.rule) for item in result.standings for finding in item.findings}
    assert {
        ("soap", Rule.UNGOVERNED),
        ("ledger-dr", Rule.SHARED_DATABASE),
        ("edge", Rule.MIGRATION_FAILED),
    } <= rules


def test_the_large_one_is_as_large_as_it_says() -> None:
    result = large()
    assert (len(result.standings), sum(item.rejected for item in result.standings)) == (200, 5000)
