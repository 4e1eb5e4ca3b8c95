"""Every way in which a migration fails here, and what the product makes of the real log of it."""

import re
import signal

import pytest

from tests.gateway.conftest import Fleet
from tests.gateway.standin import BROKEN, NEW, OLD, POLLS, SLOW, Standin
from webhook.policy.migration.failures import PodEnd, classify
from webhook.policy.names import LOCK_WAIT_MINUTES
from webhook.policy.record import Failure, FailureClass

pytestmark = pytest.mark.timeout(300)
# What the product reads of a log, in webhook/kube/reads.py.
LINES = 200
DEADLINE = ("DeadlineExceeded",)
# At `off` the log holds the end alone. The product's Job asks for `info`, unless its record wants otherwise.
LEVELS = pytest.mark.parametrize("level", ["info", "off", "debug"])
TELLING = pytest.mark.parametrize("level", ["info", "debug"])
IN_CHANGESET = "GET_LOCK"


def failure(job: Standin, code: int, *reasons: str) -> Failure:
    """Give what the product says of a pod that ended like this."""
    log = "\n".join(job.log.splitlines()[-LINES:])
    found = classify(PodEnd(reasons, code, log))
    assert "s3cr3t" not in found.log_tail
    return found


def failed(job: Standin) -> Failure:
    code = job.ended()
    assert code == 1, job.log
    return failure(job, code)


@LEVELS
def test_a_broken_changeset_is_named_and_the_mended_image_goes_on(fleet: Fleet, level: str) -> None:
    fleet.migrated(OLD)
    found = failed(fleet.start(BROKEN, "liquibase-only", level=level))
    assert found.classification is FailureClass.CHANGESET_FAILED
    assert found.message == f"changeset ssg-{NEW}.xml::2::layer7 failed"
    assert "Duplicate column name 'revision'" in found.log_tail
    # DDL is not taken back: the first changeset stays, and only the lock is given back.
    assert [name for name, _ in fleet.changesets()][2:] == [f"ssg-{NEW}.xml::1"]
    assert fleet.lock()[0] == "0"
    fleet.migrated(NEW)
    assert len(fleet.changesets()) == 5


def test_a_changeset_that_was_changed_after_it_ran_is_named(fleet: Fleet) -> None:
    fleet.migrated(OLD)
    fleet.ask("UPDATE DATABASECHANGELOG SET MD5SUM = '9:0' WHERE ID = '2'")
    found = failed(fleet.start(NEW, "liquibase-only"))
    assert found.classification is FailureClass.CHANGESET_FAILED
    assert found.message == f"changeset ssg-{OLD}.xml::2::layer7 was changed after it ran"


def test_a_lock_that_is_held_names_its_holder_once_liquibase_gives_up(fleet: Fleet) -> None:
    """Its wait is told by the environment, as the product's Job does, in whole minutes; level off logs least."""
    fleet.migrated(OLD)
    fleet.hold_lock()
    job = fleet.start(NEW, "liquibase-only", level="off", java=POLLS, environment={LOCK_WAIT_MINUTES: "1"})
    found = failed(job)
    assert found.classification is FailureClass.LOCK_HELD
    assert re.fullmatch(r"the schema lock is held by ssg-7c5d8 \(10\.0\.3\.17\) since \d.+", found.message)


@TELLING
def test_a_deadline_before_liquibase_gives_up_still_tells_of_the_lock(fleet: Fleet, level: str) -> None:
    fleet.migrated(OLD)
    fleet.hold_lock()
    job = fleet.start(NEW, "liquibase-only", level=level)
    job.says("Waiting for changelog lock")
    found = failure(job, job.end(signal.SIGTERM), *DEADLINE)
    assert (found.classification, found.message) == (
        FailureClass.LOCK_HELD,
        "the schema lock is held, exit code 143",
    )


@TELLING
def test_a_changeset_that_fails_after_a_wait_for_the_lock_is_what_counts(fleet: Fleet, level: str) -> None:
    fleet.migrated(OLD)
    fleet.hold_lock()
    job = fleet.start(BROKEN, "liquibase-only", level=level, java=POLLS)
    job.says("Waiting for changelog lock")
    fleet.ask("UPDATE DATABASECHANGELOGLOCK SET LOCKED = 0")
    assert failed(job).classification is FailureClass.CHANGESET_FAILED


@TELLING
def test_a_deadline_in_a_changeset_names_it(fleet: Fleet, level: str) -> None:
    fleet.migrated(OLD)
    with fleet.shut_gate():
        job = fleet.start(SLOW, "liquibase-only", level=level)
        job.says(f"Running Changeset: ssg-{SLOW}.xml::1")
        fleet.session(IN_CHANGESET)
        found = failure(job, job.end(signal.SIGTERM), *DEADLINE)
    assert (found.classification, found.message) == (
        FailureClass.DEADLINE_EXCEEDED,
        f"the Job ran into its deadline while changeset ssg-{SLOW}.xml::1::layer7 ran",
    )
    assert fleet.lock()[0] == "1"


def test_a_deadline_at_level_off_is_a_deadline_and_no_more(fleet: Fleet) -> None:
    """Neither of the changeset that the first is in, nor of the lock that it leaves to the second."""
    fleet.migrated(OLD)
    with fleet.shut_gate():
        session = "0"
        for statement in (IN_CHANGESET, ""):
            job = fleet.start(SLOW, "liquibase-only", level="off")
            session = fleet.session(statement, session)
            found = failure(job, job.end(signal.SIGTERM), *DEADLINE)
            assert (found.classification, found.message) == (
                FailureClass.DEADLINE_EXCEEDED,
                "the Job ran into its deadline, exit code 143",
            )
            assert len(job.log.splitlines()) == 1, job.log
            assert fleet.lock()[0] == "1"


@LEVELS
def test_a_connection_lost_in_a_changeset_is_a_changeset_that_failed(fleet: Fleet, level: str) -> None:
    """The schema may have changed by then: not the same as a database that was never reached."""
    fleet.migrated(OLD)
    with fleet.shut_gate():
        job = fleet.start(SLOW, "liquibase-only", level=level)
        fleet.ask(f"KILL {fleet.session(IN_CHANGESET)}")
        found = failed(job)
    assert found.classification is FailureClass.CHANGESET_FAILED
    assert found.message == f"changeset ssg-{SLOW}.xml::1::layer7 failed"
    assert fleet.lock()[0] == "1"


@LEVELS
def test_a_wrong_password(fleet: Fleet, level: str) -> None:
    found = failed(fleet.start(OLD, "liquibase-only", level=level, password="s3cr3tWrong"))
    assert (found.classification, found.message) == (
        FailureClass.AUTH_FAILED,
        "the database refused the credentials, exit code 1",
    )


def test_a_database_on_which_the_user_has_no_rights(fleet: Fleet) -> None:
    found = failed(fleet.start(OLD, "liquibase-only", url=fleet.database.url("elsewhere")))
    assert found.classification is FailureClass.AUTH_FAILED
    assert "to database 'elsewhere'" in found.log_tail


def test_a_missing_database_with_an_override_fails_fast_and_is_not_created(fleet: Fleet) -> None:
    found = failed(fleet.start(OLD, "liquibase-only", url=f"{fleet.url}?createDatabaseIfNotExist=false"))
    assert found.classification is FailureClass.DATABASE_UNREACHABLE
    assert found.message == f"the database could not be reached: Unknown database '{fleet.name}'"
    assert fleet.name not in fleet.databases()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("db.invalid:3306", "UnknownHostException: db.invalid"),
        ("127.0.0.1:1", "Connection refused"),
    ],
)
def test_a_database_that_cannot_be_reached(fleet: Fleet, address: str, told: str) -> None:
    found = failed(fleet.start(OLD, "liquibase-only", url=f"jdbc:mysql://{address}/ssg"))
    assert found.classification is FailureClass.DATABASE_UNREACHABLE
    assert found.message == f"the database could not be reached: {told}"
