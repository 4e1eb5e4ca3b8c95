import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.policy.migration.failures import PodEnd, classify
from webhook.policy.migration.migration_log import LINE_LIMIT, TAIL_LINES, redacted_tail
from webhook.policy.record import FailureClass
from webhook.policy.redaction import redact

LOCK = (
    "liquibase.exception.LockException: Could not acquire change log lock.  "
    "Currently locked by ssg-7c5d8 (10.0.3.17) since 11/22/26, 4:43 AM"
)
CHANGESET = "MigrationFailedException: Migration failed for changeset ssg-11.3.0.xml::17::layer7:"
CASES: dict[str, tuple[PodEnd, FailureClass, str]] = {
    "a lock that is held, whatever the deadline says": (
        PodEnd(("DeadlineExceeded",), 143, LOCK),
        FailureClass.LOCK_HELD,
        "the schema lock is held by ssg-7c5d8 (10.0.3.17) since 11/22/26, 4:43 AM",
    ),
    "still waiting for the lock at the deadline": (
        PodEnd(("DeadlineExceeded",), None, "Waiting for changelog lock....\n"),
        FailureClass.LOCK_HELD,
        "the schema lock is held",
    ),
    "a slow migration": (
        PodEnd(("DeadlineExceeded",), 143, "Running Changeset: a\n"),
        FailureClass.DEADLINE_EXCEEDED,
        "the Job ran into its deadline while changeset a ran",
    ),
    "a deadline after the last changeset": (
        PodEnd(("DeadlineExceeded",), 143, "Running Changeset: a\n\nUPDATE SUMMARY\n"),
        FailureClass.DEADLINE_EXCEEDED,
        "the Job ran into its deadline, exit code 143",
    ),
    "a broken changeset": (
        PodEnd(("BackoffLimitExceeded",), 1, CHANGESET),
        FailureClass.CHANGESET_FAILED,
        "changeset ssg-11.3.0.xml::17::layer7 failed",
    ),
    "a wrong password": (
        PodEnd((), 1, "SQLException: Access denied for user 'gateway'@'10.0.0.1' (using password: YES)"),
        FailureClass.AUTH_FAILED,
        "the database refused the credentials, exit code 1",
    ),
    "no such host": (
        PodEnd((), 1, "CommunicationsException: Communications link failure\nCaused by: UnknownHostException: db"),
        FailureClass.DATABASE_UNREACHABLE,
        "the database could not be reached: UnknownHostException: db",
    ),
    "no such schema, with createDatabaseIfNotExist=false": (
        PodEnd((), 1, "SQLSyntaxErrorException: Unknown database 'sgs'"),
        FailureClass.DATABASE_UNREACHABLE,
        "the database could not be reached: Unknown database 'sgs'",
    ),
    "a connection that broke in another way": (
        PodEnd((), 1, "CommunicationsException: Communications link failure"),
        FailureClass.DATABASE_UNREACHABLE,
        "the database could not be reached, exit code 1",
    ),
    "a changeset whose id and author have blanks": (
        PodEnd(
            (),
            1,
            "Migration failed for changeset a.xml::add a table::J. Doe:\n     Reason: x",
        ),
        FailureClass.CHANGESET_FAILED,
        "changeset a.xml::add a table::J. Doe failed",
    ),
    "an image that cannot be pulled": (
        PodEnd(("DeadlineExceeded", "ImagePullBackOff"), None, ""),
        FailureClass.IMAGE_PULL,
        "the image could not be pulled",
    ),
    "an eviction": (PodEnd(("Evicted",), None, ""), FailureClass.EVICTED, "the pod was evicted"),
    "nothing known": (PodEnd(), FailureClass.UNKNOWN, "the migration pod failed"),
    "an exit without a word": (
        PodEnd((), 137, ""),
        FailureClass.UNKNOWN,
        "the migration pod failed, exit code 137",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_failure_gets_its_class(case: str) -> None:
    end, kind, message = CASES[case]
    failure = classify(end)
    assert (failure.classification, failure.message) == (kind, message)


SECRET = "s3cr3tV4lue"  # what must never come out
SPELLINGS = (
    "jdbc:mysql://gateway:{}@db:3306/ssg",
    "jdbc:mysql://{}@db/ssg",
    "jdbc:mysql:loadbalance://u:{}@h1,h2/ssg",
    "jdbc:mysql://db/ssg?user=u&password={}",
    "jdbc:mysql://db/ssg?Password={}&useSSL=true",
    "jdbc:mysql://db/ssg?%70assword={}",
    "jdbc:mysql://db/ssg?trustCertificateKeyStorePassword={}",
    "jdbc:mysql://(host=db,user=u,password={})/ssg",
    "jdbc:mysql://address=(host=db)(password={})/ssg",
    "jdbc:mariadb://db/ssg?keyPassword={}",
    "jdbc:mysql://db/ssg?user={}",
    "jdbc:mysql//u:{}@db/ssg",
    "user:{}@registry.example.com/caapim/gateway:11.3.0",
    "user:{}@registry.example.com:5000/caapim/gateway@sha256:0123456789abcdef",
    "password={}",
    "password = {}",
    "password: {}",
    "PASSWORD={}",
    "passwd={}",
    "pwd={}",
    "db.password={}",
    "SSG_DATABASE_PASSWORD={}",
    "SSG_ADMIN_PASSWORD: {}",
    "SSG_CLUSTER_PASSWORD={}",
    "l7.mysql.connection.password={}",
    "node.cluster.pass = {}",
    "node.db.config.main.pass={}",
    "secret={}",
    "client_secret={}",
    "access_token={}",
    "token: {}",
    "credential={}",
    "passphrase={}",
    '"password": "{}"',
    '"password":"{}"',
    "'password': '{}'",
    'password="{}"',
    "password='{}'",
    "password='two words {}'",
    "<password>{}</password>",
    "--password={}",
    "--password {}",
    "-Djavax.net.ssl.keyStorePassword={}",
    "Authorization: Bearer {}",
    "Authorization: Basic {}",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_credentials_do_not_come_out(spelling: str) -> None:
    line = f"12:00 INFO before {spelling.format(SECRET)} after"
    assert SECRET not in redact(line)
    assert SECRET not in redacted_tail(line)
    assert SECRET not in classify(PodEnd((), 1, f"{LOCK}\n{line}")).log_tail


@pytest.mark.parametrize(
    "line", ["Running Changeset: a.xml::1::b", "Database is up to date", "using password: YES"]
)
def test_what_helps_stays(line: str) -> None:
    assert redact(line).split(":")[0] == line.split(":")[0]


@given(st.text(max_size=4000))
def test_the_tail_is_printable_and_bounded(log: str) -> None:
    lines = redacted_tail(log).split("\n")
    assert len(lines) <= TAIL_LINES
    assert all(line.isprintable() and len(line) <= LINE_LIMIT for line in lines)


def test_only_the_end_of_a_long_log_is_kept() -> None:
    tail = redacted_tail("\n".join(f"line {number}" for number in range(100_000)))
    assert tail.splitlines()[-1] == "line 99999"
    assert len(tail.splitlines()) == TAIL_LINES


def test_a_log_made_to_be_slow_is_not() -> None:
    for word in ("://", "password", "-p", "<passw>", "a%="):
        assert len(redacted_tail(word * 30_000)) <= LINE_LIMIT
