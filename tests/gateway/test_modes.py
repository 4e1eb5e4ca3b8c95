"""What a Gateway's contract says of modes, settings and versions, on the real database."""

import pytest

from tests.gateway.conftest import Fleet
from tests.gateway.standin import NEW, NEWER, OLD
from webhook.policy.names import MODE_PROPERTY

pytestmark = pytest.mark.timeout(300)

# Every changeset of the newest version.
ALL = [f"ssg-{OLD}.xml::1", f"ssg-{OLD}.xml::2", *(f"ssg-{NEW}.xml::{number}" for number in (1, 2, 3))]
ALL += [f"ssg-{NEWER}.xml::1"]


def names(fleet: Fleet) -> list[str]:
    return [name for name, _ in fleet.changesets()]


@pytest.mark.parametrize("mode", ["", "default"])
def test_by_default_a_gateway_migrates_and_then_starts(fleet: Fleet, mode: str) -> None:
    gateway = fleet.start(OLD, mode)
    assert gateway.answer() == {"version": OLD, "schema": OLD, "mode": "default"}
    assert names(fleet) == ALL[:2]
    assert fleet.lock()[0] == "0"


def test_liquibase_only_migrates_and_ends_and_runs_nothing_twice(fleet: Fleet) -> None:
    fleet.migrated(OLD)
    fleet.migrated(NEWER)
    before = fleet.changesets()
    assert [name for name, _ in before] == ALL
    fleet.migrated(NEWER)
    assert fleet.changesets() == before


def test_skip_starts_without_touching_a_lock_that_is_held(fleet: Fleet) -> None:
    fleet.migrated(NEW)
    fleet.hold_lock()
    held, changesets = fleet.lock(), fleet.changesets()
    gateway = fleet.start(NEW, "skip")
    assert gateway.answer() == {"version": NEW, "schema": NEW, "mode": "skip"}
    assert "liquibase" not in gateway.log.lower()
    assert (fleet.lock(), fleet.changesets()) == (held, changesets)


@pytest.mark.parametrize("mode", ["default", "liquibase-only"])
def test_a_lock_that_is_held_stops_whoever_has_something_to_run(fleet: Fleet, mode: str) -> None:
    fleet.migrated(OLD)
    fleet.hold_lock()
    held = fleet.lock()
    gateway = fleet.start(NEW, mode)
    gateway.says("Waiting for changelog lock")
    assert gateway.end() == 137
    assert "is now started" not in gateway.log
    assert (fleet.lock(), names(fleet)) == (held, ALL[:2])


@pytest.mark.parametrize("mode", ["default", "liquibase-only"])
def test_a_lock_that_is_held_does_not_stop_who_has_nothing_to_run(fleet: Fleet, mode: str) -> None:
    """Liquibase looks before it locks (FastCheckService)."""
    fleet.migrated(NEW)
    fleet.hold_lock()
    gateway = fleet.start(NEW, mode)
    if mode == "default":
        assert gateway.answer()["schema"] == NEW
    else:
        assert gateway.ended() == 0
    assert "Waiting for changelog lock" not in gateway.log
    assert fleet.lock()[0] == "1"


def test_with_unlock_takes_the_lock_away_and_migrates(fleet: Fleet) -> None:
    fleet.migrated(OLD)
    fleet.hold_lock()
    job = fleet.start(NEW, "liquibase-only-with-unlock")
    assert job.ended() == 0, job.log
    assert (names(fleet), fleet.lock()[0]) == (ALL[:5], "0")


def test_a_rollback_starts_in_skip_and_the_next_upgrade_runs_nothing_again(fleet: Fleet) -> None:
    fleet.migrated(OLD)
    fleet.migrated(NEWER)
    migrated = fleet.changesets()
    assert fleet.start(OLD, "skip").answer() == {"version": OLD, "schema": NEWER, "mode": "skip"}
    fleet.migrated(NEWER)
    assert fleet.start(NEWER, "skip").answer() == {"version": NEWER, "schema": NEWER, "mode": "skip"}
    assert fleet.changesets() == migrated


def test_skip_starts_whatever_there_is_of_a_schema_and_makes_nothing(fleet: Fleet) -> None:
    """It never looks: what it is asked here says so, and nothing else depends on it."""
    missing = fleet.start(OLD, "skip")
    assert missing.answer() == {"version": OLD, "schema": None, "mode": "skip"}
    assert fleet.name not in fleet.databases()
    fleet.migrated(OLD)
    assert missing.answer()["schema"] == OLD
    assert fleet.start(NEW, "skip").answer() == {"version": NEW, "schema": OLD, "mode": "skip"}


@pytest.mark.parametrize("second", ["skip", "liquibase-only"])
def test_two_modes_are_refused(fleet: Fleet, second: str) -> None:
    """Which of them would count in a Gateway is not known: whoever writes the arguments has to see to it."""
    gateway = fleet.start(OLD, "skip", java=f"-D{MODE_PROPERTY}={second}")
    assert gateway.ended() == 1
    assert "more than one schema update mode" in gateway.log
    assert fleet.name not in fleet.databases()


@pytest.mark.parametrize("options", ["", "?createDatabaseIfNotExist=true", "?useSSL=false"])
def test_a_missing_database_is_created_unless_told_otherwise(fleet: Fleet, options: str) -> None:
    job = fleet.start(OLD, "liquibase-only", url=fleet.url + options)
    assert job.ended() == 0, job.log
    assert fleet.name in fleet.databases()


def test_node_properties_name_the_database(fleet: Fleet) -> None:
    job = fleet.start(OLD, "liquibase-only", node_properties=True)
    assert job.ended() == 0, job.log
    assert names(fleet) == ALL[:2]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"accepts": "false"}, "ACCEPT_LICENSE=true"),
        ({"license_text": ""}, "there is no license"),
        ({"mode": "liquibase"}, "unknown schema update mode liquibase"),
        ({"level": "loud"}, "unknown LIQUIBASE_LOG_LEVEL loud"),
        ({"password": ""}, "SSG_DATABASE_PASSWORD is not set"),
    ],
)
def test_settings_that_no_gateway_starts_with(fleet: Fleet, settings: dict[str, str], told: str) -> None:
    gateway = fleet.start(OLD, **settings)
    assert gateway.ended() == 1
    assert told in gateway.log
    assert fleet.name not in fleet.databases()
