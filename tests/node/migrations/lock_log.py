"""What Gateways do with the lock of their schema's migrations, by MariaDB's own log of all statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.gateway.database import USER
from tests.gateway.schema import Schema

_GIVEN_BACK = "UPDATE %DATABASECHANGELOGLOCK SET LOCKED = 0%"
_ANY = "%DATABASECHANGELOGLOCK%"


@dataclass(frozen=True, slots=True)
class LockUse:
    """How often the lock was taken, and the number of all statements that name its table."""

    taken: int
    statements: int


class LockLog:
    """Counts what Gateways' sessions in one schema have done since it was last emptied."""

    def __init__(self, schema: Schema) -> None:
        """Take the schema."""
        self._schema = schema
        self._since = ""
        self.empty()

    def empty(self) -> None:
        """Count from now on; whose sessions those are that are open is not forgotten."""
        ((self._since,),) = self._schema.console.ask("SELECT NOW(6)")

    def used(self) -> LockUse:
        """Count what Gateways have done; of those that try to take the lock, who got it gives it back."""
        return LockUse(self._count(_GIVEN_BACK), self._count(_ANY))

    def _count(self, pattern: str) -> int:
        # Liquibase puts some names between backticks.
        statement = f"REPLACE(CONVERT(argument USING utf8mb4), '`', '') LIKE '{pattern}'"
        ((found,),) = self._schema.console.ask(
            f"SELECT COUNT(*) FROM mysql.general_log WHERE user_host LIKE '{USER}[{USER}]%' AND {statement}"
            f" AND event_time >= '{self._since}' AND thread_id IN ({self._sessions()})"
        )
        return int(found)

    def _sessions(self) -> str:
        """Give the query for the sessions in the schema: who makes it connects to none, and turns to it then."""
        name = self._schema.name
        ways = (
            f"command_type = 'Connect' AND argument LIKE '% on {name} using %'",
            f"command_type = 'Init DB' AND argument = '{name}'",
        )
        return f"SELECT thread_id FROM mysql.general_log WHERE {' OR '.join(ways)}"


@contextmanager
def lock_log(schema: Schema) -> Iterator[LockLog]:
    """Have the server log all statements into a table, until the context ends."""
    schema.console.ask("SET GLOBAL log_output = 'TABLE'")
    schema.console.ask("SET GLOBAL general_log = ON")
    schema.console.ask("TRUNCATE mysql.general_log")
    try:
        yield LockLog(schema)
    finally:
        schema.console.ask("SET GLOBAL general_log = OFF")
