"""Who leads, and whose clock is wrong."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.live.installation import manifests
from tests.support.builders import NOW, Manifest
from tests.support.diagnoses import found, healthy, lease, only
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.leader import LEASE, duration_of, looks_held, moved
from webhook.policy.diagnosis.line import Check, Level, Unread
from webhook.settings import Settings


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (None, "no controller ever led"),
        (lease(holder=""), "nobody holds Lease"),
        (
            lease(age=60),
            "controller-0 holds Lease schemagate-controller, but renewed it 60 s ago, and not while",
        ),
        ({"spec": {"holderIdentity": "x", "renewTime": "yesterday"}}, "nobody holds Lease"),
        ({"spec": {"holderIdentity": "x", "renewTime": "2026-11-22T12:00:00"}}, "nobody holds Lease"),
        ({}, "nobody holds Lease"),
    ],
)
def test_who_does_not_lead_is_told(held: Manifest | None, told: str) -> None:
    assert told in only(Level.FAIL, Check.LEADER, lease=held)


def test_the_lease_is_the_one_that_the_controller_holds() -> None:
    assert Settings.model_fields["lease_name"].default == LEASE
    assert any(
        LEASE in (rule.get("resourceNames") or ())
        for item in manifests("40-roles.yaml")
        for rule in item.get("rules", ())
    )


def test_a_lease_that_may_not_be_read_is_unknown() -> None:
    assert "may not get leases" in only(Level.UNKNOWN, Check.LEADER, lease=Unread("get leases"))


@pytest.mark.parametrize(("seconds", "told"), [(40, "40 s ahead of"), (-3600, "3600 s behind")])
def test_a_clock_that_is_wrong_is_told(seconds: int, told: str) -> None:
    message = only(Level.WARN, Check.CLOCKS, local_time=NOW + timedelta(seconds=seconds))
    assert message == f"this computer's clock is {told} that of the API server"


def test_a_leader_whose_clock_is_ahead_is_told() -> None:
    message = only(Level.WARN, Check.CLOCKS, lease=lease(age=-90), lease_moved=True)
    assert message == "the leader's clock is 90 s ahead of that of the API server"


def test_a_leader_whose_clock_is_behind_leads_all_the_same() -> None:
    message = only(Level.WARN, Check.CLOCKS, lease=lease(age=90), lease_moved=True)
    assert (
        message == "the leader's clock is 85 s behind that of the API server"
    )  # at the least: it may renew just now


def test_a_long_lease_is_no_clock_that_is_behind() -> None:
    held = lease(age=100)
    held["spec"]["leaseDurationSeconds"] = 300
    assert found(lease=held) == []


def test_a_time_to_come_is_no_proof_that_somebody_leads() -> None:
    message = only(Level.FAIL, Check.LEADER, lease=lease(age=-90))
    assert "renewed it 90 s from now, and not while" in message


def test_a_clock_is_not_told_by_a_lease_that_nobody_renews() -> None:
    assert [line.check for line in found(lease=lease(age=3600))] == [Check.LEADER]


def test_without_the_servers_time_no_clock_is_told_right() -> None:
    message = only(Level.UNKNOWN, Check.CLOCKS, timed=False)
    assert message.startswith("the API server tells no time")


@pytest.mark.parametrize(
    ("changes", "whose"),
    [
        ({}, "API server, leader and this computer"),
        ({"lease": Unread("get leases")}, "API server and this computer"),
        ({"lease": None}, "API server and this computer"),
    ],
)
def test_only_clocks_that_were_looked_at_are_said_to_be_right(changes: dict[str, object], whose: str) -> None:
    facts = {"lease": healthy().lease, **changes}
    lines = diagnose(replace(healthy(), **facts))  # type: ignore[arg-type] # each of them takes it
    (line,) = [line for line in lines if line.check is Check.CLOCKS]
    assert (line.level, line.message) == (Level.OK, f"{whose} are less than 30 s apart")


@pytest.mark.parametrize(
    ("held", "looks"),
    [
        (lease(age=15), True),
        (lease(age=-16), False),
        (lease(age=16), False),
        (lease(holder=""), False),
        (None, False),
        ({}, False),
    ],
)
def test_a_lease_that_looks_old_or_empty_is_worth_a_second_look(held: Manifest | None, looks: bool) -> None:
    assert looks_held(held, NOW) is looks


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (lease(age=60), lease(age=55), True),
        (lease(age=60), lease("controller-1", age=60), True),
        (lease(holder="", age=3), lease(age=1), True),
        (None, lease(), True),
        (lease(age=60), lease(age=60), False),
        (lease(age=60), lease(holder="", age=50), False),
        (lease(age=60), None, False),
    ],
)
def test_whoever_takes_or_renews_a_lease_leads(
    before: Manifest | None, after: Manifest | None, expected: bool
) -> None:
    assert moved(before, after) is expected


def test_a_lease_that_says_nothing_lasts_as_long_as_ours() -> None:
    assert duration_of({}) == duration_of(lease()) == Settings.model_fields["lease_seconds"].default
