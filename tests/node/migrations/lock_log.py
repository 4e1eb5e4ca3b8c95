"""What Gateways do with the lock of their schema's migrations, by MariaDB's own log of all statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.gateway.database import USER, Console

_LOCK = "UPDATE %DATABASECHANGELOGLOCK SET LOCKED = {}%"
_ANY = "%DATABASECHANGELOGLOCK%"


@dataclass(frozen=True, slots=True)
class LockUse:
    """How often the lock was asked for, how often it was taken, and all statements that name its table."""

    asked: int
    taken: int
    statements: int


class LockLog:
    """Counts since it was last emptied."""

    def __init__(self, console: Console) -> None:
        """Take a session of somebody who may do everything."""
        self._console = console

    def empty(self) -> None:
        """Forget what was logged."""
        self._console.ask("TRUNCATE mysql.general_log")

    def used(self) -> LockUse:
        """Count what Gateways have done; whoever has taken the lock is known by giving it back."""
        return LockUse(self._count(_LOCK.format(1)), self._count(_LOCK.format(0)), self._count(_ANY))

    def _count(self, pattern: str) -> int:
        # Liquibase puts some names between backticks.
        statement = f"REPLACE(CONVERT(argument USING utf8mb4), '`', '') LIKE '{pattern}'"
        by_gateways = f"user_host LIKE '{USER}[{USER}]%'"
        ((found,),) = self._console.ask(
            f"SELECT COUNT(*) FROM mysql.general_log WHERE {by_gateways} AND {statement}"
        )
        return int(found)


@contextmanager
def lock_log(console: Console) -> Iterator[LockLog]:
    """Have the server log all statements into a table, until the context ends."""
    console.ask("SET GLOBAL log_output = 'TABLE'")
    console.ask("SET GLOBAL general_log = ON")
    try:
        yield LockLog(console)
    finally:
        console.ask("SET GLOBAL general_log = OFF")
