"""A MariaDB of the tests' own: no root, a folder of its own, one address and a free port; and a way to ask it."""

import os
import pwd
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.controlplane.arguments import free_ports
from tests.controlplane.processes import Component, Spawner, wait_until
from tests.gateway import programs

USER: Final = "gateway"
PASSWORD: Final = "s3cr3tV4lue"
_ADMIN: Final = ("tests", "t3sts")
# A Gateway's user may make databases whose name begins with ssg, and sees no others.
_USERS: Final = f"""\
CREATE USER IF NOT EXISTS '{_ADMIN[0]}'@'%' IDENTIFIED BY '{_ADMIN[1]}';
GRANT ALL ON *.* TO '{_ADMIN[0]}'@'%';
CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON `ssg%`.* TO '{USER}'@'%';
"""


class Database:
    """The server; ``start`` returns when it answers, ``stop`` ends it at once."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        """Take an empty folder and the address to listen on."""
        self._base = programs.require() / "mariadb"
        self._folder = folder
        self.address = address
        (self.port,) = free_ports(1)
        self._spawner = Spawner(detached=False)
        self._server = Component("mariadbd", self._command(), folder / "mariadbd.log")

    def start(self) -> None:
        """Make the system tables and start the server."""
        data = self._folder / "data"
        install = [str(self._base / "scripts" / "mariadb-install-db"), *self._options(data)]
        done = subprocess.run(install, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        (self._folder / "users.sql").write_text(_USERS)
        self._server.start(self._spawner, os.environ)
        wait_until(self._greets, 180, lambda: f"the database does not answer:\n{self._server.tail()}")

    def stop(self) -> None:
        """End the server; its data are for one run."""
        self._server.stop()
        self._spawner.close()

    def url(self, name: str, options: str = "") -> str:
        """Give the JDBC URL of a database of this name, whether there is one or not."""
        return f"jdbc:mysql://{self.address}:{self.port}/{name}{options}"

    def console(self, name: str = "") -> "Console":
        """Give a session of somebody who may do everything."""
        return Console(self.url(name))

    def _command(self) -> list[str]:
        listen = (f"--bind-address={self.address}", f"--port={self.port}", f"--socket={self._folder / 'socket'}")
        return [
            str(self._base / "bin" / "mariadbd"),
            *self._options(self._folder / "data"),
            *listen,
            f"--init-file={self._folder / 'users.sql'}",
            f"--pid-file={self._folder / 'pid'}",
        ]

    def _options(self, data: Path) -> list[str]:
        return [
            "--no-defaults",  # those of the machine's own server, which comes first
            f"--basedir={self._base}",
            f"--lc-messages-dir={self._base / 'share'}",
            f"--datadir={data}",
            f"--user={pwd.getpwuid(os.geteuid()).pw_name}",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
        ]

    def _greets(self) -> bool:
        """Tell whether the server speaks first, as MySQL's protocol wants: it has read its users by then."""
        self._server.check()
        try:
            with socket.create_connection((self.address, self.port), timeout=1) as connection:
                return bool(connection.recv(1))
        except OSError:
            return False


class Console:
    """One session with the server; statements and answers are one line and some."""

    def __init__(self, url: str) -> None:
        """Open a session; the class of the same name of the stand-in keeps it."""
        argv = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{programs.require() / 'lib'}/*", "standin.Console"]
        self._process = subprocess.Popen(
            [*argv, url, *_ADMIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(180)
        self._process.stdout.close()

    def ask(self, statement: str) -> list[tuple[str, ...]]:
        """Run a statement of one line and give its rows as text; RuntimeError with the server's words."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{statement}\n")
        rows = []
        for line in self._process.stdout:
            match line[:1]:
                case "=":
                    rows.append(tuple(line[1:].rstrip("\n").split("\t")))
                case "!":
                    self._process.stdout.readline()
                    raise RuntimeError(f"{statement}: {line[1:].strip()}")
                case _:
                    return rows
        raise RuntimeError(f"the session ended at: {statement}")
