"""What was fetched and runs is what is pinned."""

import hashlib

from tests.gateway import programs
from tests.gateway.test_programs import pinned


def test_the_jars_that_run_are_the_pinned_ones() -> None:
    jars = {
        jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in (programs.require() / "lib").iterdir()
    }
    del jars["standin.jar"]
    assert jars.items() <= pinned().items()
    assert {name.rpartition("-")[0] for name in jars} >= {"liquibase-core", "mysql-connector-j"}
