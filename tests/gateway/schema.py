"""The schema of one Gateway, as somebody sees it who may do everything with its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.gateway.database import Console

HOLDER: Final = "ssg-7c5d8 (10.0.3.17)"


class Schema:
    """One database, which need not be there yet."""

    def __init__(self, console: Console, name: str) -> None:
        """Take a session with the server, and the database's name."""
        self.console, self.name = console, name

    def ask(self, statement: str) -> list[tuple[str, ...]]:
        """Run a statement in the database."""
        self.console.ask(f"USE {self.name}")
        return self.console.ask(statement)

    def databases(self) -> set[str]:
        """Give the names of all databases that are there."""
        return {name for (name,) in self.console.ask("SHOW DATABASES")}

    def create(self) -> None:
        """Make the database, with nothing in it."""
        self.console.ask(f"CREATE DATABASE {self.name}")

    def drop(self) -> None:
        """Remove the database, with all that is in it."""
        self.console.ask(f"DROP DATABASE {self.name}")

    def version(self) -> str:
        """Give the version that the schema says it has."""
        ((found,),) = self.ask("SELECT current_version FROM ssg_version")
        return found

    def lock(self) -> tuple[str, ...]:
        """Give the row of the lock: held or not, by whom and since when."""
        (row,) = self.ask("SELECT LOCKED + 0, LOCKEDBY, LOCKGRANTED FROM DATABASECHANGELOGLOCK")
        return row

    def hold_lock(self) -> None:
        """Leave the lock held, as a pod does that was killed while it migrated."""
        held = f"LOCKED = 1, LOCKEDBY = '{HOLDER}', LOCKGRANTED = NOW()"
        self.ask(f"UPDATE DATABASECHANGELOGLOCK SET {held}")

    @contextmanager
    def shut_gate(self) -> Iterator[None]:
        """Keep the slow version in its first changeset until the context ends, or as long as it was told."""
        gate = f"'{self.name}-gate'"
        assert self.console.ask(f"SELECT GET_LOCK({gate}, 0)") == [("1",)]
        try:
            yield
        finally:
            self.console.ask(f"DO RELEASE_LOCK({gate})")

    def changesets(self) -> list[tuple[str, ...]]:
        """Give the changesets that have run, in order, and when."""
        return self.ask(
            "SELECT CONCAT(FILENAME, '::', ID), DATEEXECUTED FROM DATABASECHANGELOG ORDER BY ORDEREXECUTED"
        )
