"""One database server for all tests here, a database of its own and a way to start stand-ins for each."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.controlplane.processes import Spawner, wait_until
from tests.gateway.database import USER, Console, Database
from tests.gateway.schema import Schema
from tests.gateway.standin import PATIENCE, Standin

_NUMBERS: Final = itertools.count(1)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give the running server; NotBuiltError says what to run first."""
    found = Database(tmp_path_factory.mktemp("mariadb"))
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def console(database: Database) -> Iterator[Console]:
    """Give a session of somebody who may do everything."""
    with database.console() as found:
        yield found


class Fleet(Schema):
    """Starts stand-ins on one database, which is not there before the first of them makes it."""

    def __init__(self, database: Database, console: Console, folder: Path) -> None:
        super().__init__(console, f"ssg{next(_NUMBERS)}")
        self.database, self._folder = database, folder
        self.url = database.url(self.name)
        self._spawner = Spawner(detached=False)
        self._started: list[Standin] = []

    def start(self, version: str, mode: str = "", *, url: str = "", **settings: Any) -> Standin:
        """Start a stand-in."""
        found = Standin(self._spawner, self._folder, version, url or self.url, mode, **settings)
        self._started.append(found)
        return found

    def migrated(self, version: str) -> None:
        """Bring the schema to a version."""
        job = self.start(version, "liquibase-only")
        assert job.ended() == 0, job.log

    def session(self, statement: str = "", after: str = "0") -> str:
        """Wait until a Gateway's session is in a statement with these words, or in none; give its number.

        Those that began before the session ``after`` do not count: a killed Gateway's goes on for a while.
        """
        doing = f"INFO LIKE '%{statement}%'" if statement else "INFO IS NULL"
        mine = f"DB = '{self.name}' AND USER = '{USER}' AND ID > {after} AND {doing}"
        found: list[tuple[str, ...]] = []

        def there() -> bool:
            found[:] = self.ask(f"SELECT ID FROM information_schema.PROCESSLIST WHERE {mine}")
            return bool(found)

        wait_until(there, PATIENCE, f"nobody's session is in {statement!r}")
        ((number,),) = found
        return number

    def close(self) -> None:
        """End what still runs."""
        for each in self._started:
            each.end()
        self._spawner.close()


@pytest.fixture
def fleet(database: Database, console: Console, tmp_path: Path) -> Iterator[Fleet]:
    """Give a way to start stand-ins on a database of their own."""
    found = Fleet(database, console, tmp_path)
    yield found
    found.close()
