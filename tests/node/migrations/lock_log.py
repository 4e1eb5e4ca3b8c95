"""What Gateways do with the lock of their schema's migrations, by MariaDB's own log of all statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.gateway.database import USER, Console

_GIVEN_BACK = "UPDATE %DATABASECHANGELOGLOCK SET LOCKED = 0%"
_ANY = "%DATABASECHANGELOGLOCK%"


@dataclass(frozen=True, slots=True)
class LockUse:
    """How often the lock was taken, and the number of all statements that name its table."""

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
        """Count what Gateways have done; of those that try to take the lock, who got it gives it back."""
        return LockUse(self._count(_GIVEN_BACK), self._count(_ANY))

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
    log = LockLog(console)
    log.empty()
    try:
        yield log
    finally:
        console.ask("SET GLOBAL general_log = OFF")
