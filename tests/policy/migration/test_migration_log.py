"""Logs that Liquibase 4.33, MySQL Connector/J 9.4 and MariaDB 10.11 wrote, the last 200 lines of each run."""

from pathlib import Path

import pytest

from webhook.policy.migration.migration_log import finding, interrupted, redacted_tail
from webhook.policy.record import FailureClass

LOGS = Path(__file__).parents[2] / "testdata" / "migration_logs"
HOLDER = "ssg-7c5d8 (10.0.3.17) since 11/22/26, 5:40 PM"
EXPECTED: dict[str, tuple[FailureClass, str] | None] = {
    "changed-changeset": (
        FailureClass.CHANGESET_FAILED,
        "changeset ssg-11.2.5.xml::1::layer7 was changed after it ran",
    ),
    "changeset-failed": (FailureClass.CHANGESET_FAILED, "changeset ssg-11.3.0.xml::2::layer7 failed"),
    "changeset-failed-after-a-wait": (
        FailureClass.CHANGESET_FAILED,
        "changeset ssg-11.3.0.xml::2::layer7 failed",
    ),
    "changeset-failed-at-level-off": (
        FailureClass.CHANGESET_FAILED,
        "changeset ssg-11.3.0.xml::2::layer7 failed",
    ),
    "connection-lost-in-a-changeset": (
        FailureClass.CHANGESET_FAILED,
        "changeset ssg-11.3.0-slow.xml::1::layer7 failed",
    ),
    "connection-refused": (
        FailureClass.DATABASE_UNREACHABLE,
        "the database could not be reached: Connection refused",
    ),
    "lock-held": (FailureClass.LOCK_HELD, f"the schema lock is held by {HOLDER}"),
    "lock-waited-for": (FailureClass.LOCK_HELD, ""),
    "no-rights-on-the-database": (FailureClass.AUTH_FAILED, ""),
    "stopped-in-a-changeset": None,
    "unknown-database": (
        FailureClass.DATABASE_UNREACHABLE,
        "the database could not be reached: Unknown database 'ssg_gone'",
    ),
    "unknown-host": (
        FailureClass.DATABASE_UNREACHABLE,
        "the database could not be reached: UnknownHostException: db.invalid",
    ),
    "wrong-password": (FailureClass.AUTH_FAILED, ""),
}


def log_of(name: str) -> str:
    return (LOGS / f"{name}.log").read_text()


def test_every_recorded_log_has_its_expectation() -> None:
    assert {path.stem for path in LOGS.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_log_tells_why_the_migration_failed(name: str) -> None:
    found = finding(log_of(name))
    assert (found and (found.classification, found.message)) == EXPECTED[name]


def test_a_lock_that_was_waited_for_and_got_is_not_held() -> None:
    waited = "Waiting for changelog lock....\n"
    got = "INFO liquibase.lockservice: Successfully acquired change log lock\n"
    assert finding(waited) is not None
    assert finding(waited + got) is None
    assert finding(waited + "Running Changeset: a.xml::1::b\n") is None  # level off logs no lock
    assert finding(got + waited) is not None


def test_the_changeset_that_was_stopped_is_named() -> None:
    assert interrupted(log_of("stopped-in-a-changeset")) == "ssg-11.3.0-slow.xml::1::layer7"
    assert interrupted(log_of("changeset-failed")) == ""
    assert interrupted(log_of("lock-waited-for")) == ""


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "stopped-in-a-changeset"])
def test_the_tail_of_a_real_log_shows_causes_instead_of_stack_frames(name: str) -> None:
    tail = redacted_tail(log_of(name))
    assert "\tat " not in log_of(name) or "Exception" in tail
    assert not [line for line in tail.splitlines() if line.strip().startswith(("at ", "... "))]


@pytest.mark.parametrize(
    "statement",
    [
        "Reason: Duplicate entry [Failed SQL: (1062) INSERT INTO secrets (v) VALUES ('{}')]",
        "[Failed SQL: (1406) UPDATE ssg.internal_user SET hash = '{}' WHERE name = 'admin']",
        '[Failed SQL: (1406) UPDATE ssg.internal_user SET hash = "{}"]',
        "FINE liquibase.executor: insert into t values ('a', '{}",
        "  VALUES ('it''s', '{}')]",
    ],
)
def test_values_of_a_statement_do_not_come_out(statement: str) -> None:
    assert "s3cr3t" not in redacted_tail(statement.format("s3cr3tV4lue"))


def test_what_the_database_said_of_a_statement_stays() -> None:
    assert "Duplicate column name 'revision' [Failed SQL: (1060) ALTER TABLE" in redacted_tail(
        log_of("changeset-failed")
    )
