"""Five Gateways of a new version at once, and one that is killed amid its changes: what the product is for."""

import signal

import pytest

from tests.gateway.conftest import Fleet
from tests.gateway.standin import NEW, OLD, SLOW

FIVE = range(5)


def test_five_at_once_contend_and_one_of_them_migrates(fleet: Fleet) -> None:
    fleet.migrated(OLD)
    # Long enough for each of the five to find the lock held.
    java = "-Dslow.seconds=15 -Dliquibase.changelogLockPollRate=1"
    gateways = [fleet.start(SLOW, java=java) for _ in FIVE]
    assert [gateway.answer()["schema"] for gateway in gateways] == [NEW] * 5
    ran = [f"Running Changeset: ssg-{SLOW}.xml::1" in gateway.log for gateway in gateways]
    waited = ["Waiting for changelog lock" in gateway.log for gateway in gateways]
    assert sorted(ran) == [False] * 4 + [True]
    assert waited == [not each for each in ran]
    names = [name for name, _ in fleet.changesets()]
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_is_stopped_amid_its_changes_leaves_the_lock_and_no_other_starts(
    fleet: Fleet, number: signal.Signals
) -> None:
    fleet.migrated(OLD)
    first = fleet.start(SLOW)
    first.says(f"Running Changeset: ssg-{SLOW}.xml::1")
    assert first.end(number) == 128 + number
    held = fleet.lock()
    assert held[0] == "1"

    rest = [fleet.start(SLOW) for _ in FIVE]
    for gateway in rest:
        gateway.says("Waiting for changelog lock")
    assert fleet.lock() == held
    assert all("is now started" not in gateway.log for gateway in rest)


def test_five_in_skip_start_beside_a_lock_that_is_held(fleet: Fleet) -> None:
    fleet.migrated(NEW)
    fleet.hold_lock()
    held = fleet.lock()
    gateways = [fleet.start(NEW, "skip") for _ in FIVE]
    assert [gateway.answer()["mode"] for gateway in gateways] == ["skip"] * 5
    assert fleet.lock() == held
