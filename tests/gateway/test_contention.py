"""Five Gateways of a new version at once, and one that is killed amid its changes: what the product is for."""

import signal

import pytest

from tests.controlplane.processes import wait_until
from tests.gateway.conftest import Fleet
from tests.gateway.standin import NEW, OLD, PATIENCE, POLLS, SLOW

pytestmark = pytest.mark.timeout(300)
FIVE = range(5)
WAITS, RUNS = "Waiting for changelog lock", f"Running Changeset: ssg-{SLOW}.xml::1"


def test_five_at_once_contend_and_one_of_them_migrates(fleet: Fleet) -> None:
    fleet.migrated(OLD)
    with fleet.shut_gate():
        gateways = [fleet.start(SLOW, java=POLLS) for _ in FIVE]
        wait_until(
            lambda: all(WAITS in gateway.log or RUNS in gateway.log for gateway in gateways),
            PATIENCE,
            "all are there",
        )
    assert [gateway.answer()["schema"] for gateway in gateways] == [NEW] * 5
    ran = [RUNS in gateway.log for gateway in gateways]
    assert sorted(ran) == [False] * 4 + [True]
    assert [WAITS in gateway.log for gateway in gateways] == [not each for each in ran]
    names = [name for name, _ in fleet.changesets()]
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_is_stopped_amid_its_changes_leaves_the_lock_and_no_other_starts(
    fleet: Fleet, number: signal.Signals
) -> None:
    fleet.migrated(OLD)
    with fleet.shut_gate():
        first = fleet.start(SLOW)
        first.says(RUNS)
        assert first.end(number) == 128 + number
    held = fleet.lock()
    assert held[0] == "1"

    rest = [fleet.start(SLOW) for _ in FIVE]
    for gateway in rest:
        gateway.says(WAITS)
    assert fleet.lock() == held
    assert all("is now started" not in gateway.log for gateway in rest)


def test_five_in_skip_start_beside_a_lock_that_is_held(fleet: Fleet) -> None:
    fleet.migrated(NEW)
    fleet.hold_lock()
    held = fleet.lock()
    gateways = [fleet.start(NEW, "skip") for _ in FIVE]
    assert [gateway.answer()["mode"] for gateway in gateways] == ["skip"] * 5
    assert fleet.lock() == held
