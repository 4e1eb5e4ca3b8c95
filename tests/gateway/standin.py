"""The stand-in as a process: a Gateway's environment and files in; log, exit code and HTTP answers out."""

import itertools
import json
import os
import re
import signal
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.controlplane.processes import Spawner, wait_until
from tests.gateway import programs
from tests.gateway.database import PASSWORD, USER
from webhook.policy.names import (
    DISKLESS_CONFIG,
    EXTRA_JAVA_ARGS,
    LICENSE_PATH,
    LIQUIBASE_LOG_LEVEL,
    MODE_PROPERTY,
    NODE_PROPERTIES_PATH,
    SSG_DATABASE_JDBC_URL,
)

OLD, NEW, NEWER = "11.2.5", "11.3.0", "11.4.0"
BROKEN, SLOW = f"{NEW}-broken", f"{NEW}-slow"
PATIENCE: Final = 180
"""Seconds in which five JVMs start on two cores that others use as well."""
POLLS: Final = "-Dliquibase.changelogLockPollRate=1"
"""Has who waits for the lock look every second, instead of every ten."""
_HOME: Final = "/opt/SecureSpan/Gateway"
_STARTED: Final = re.compile(r"Gateway is now started on port (\d+)")
_NUMBERS: Final = itertools.count(1)


class Standin:
    """One run of the stand-in."""

    def __init__(
        self,
        spawner: Spawner,
        folder: Path,
        version: str,
        url: str,
        mode: str = "",
        *,
        level: str = "info",
        password: str = PASSWORD,
        java: str = "",
        environment: Mapping[str, str] = MappingProxyType({}),
        node_properties: bool = False,
        license_text: str = "<license/>",
        accepts: str = "true",
    ) -> None:
        """Start it. ``java`` are further Java arguments, ``environment`` further variables; no mode sets none."""
        where = folder / f"gateway-{next(_NUMBERS)}"
        self._log = where / "log"
        given = f"-D{MODE_PROPERTY}={mode} " if mode else ""
        variables = {
            **environment,
            "PATH": os.environ["PATH"],
            "GATEWAY_HOME": str(where),
            "GATEWAY_LIB": str(programs.require() / "lib"),
            "GATEWAY_CHANGELOGS": str(programs.CHANGELOGS),
            "GATEWAY_VERSION": version,
            "ACCEPT_LICENSE": accepts,
            LIQUIBASE_LOG_LEVEL: level,
            EXTRA_JAVA_ARGS: f"{given}-Dstandin.port=0 {java}",
            DISKLESS_CONFIG: "false" if node_properties else "true",
        }
        files = {LICENSE_PATH: license_text}
        if node_properties:
            files[NODE_PROPERTIES_PATH] = (
                f"l7.mysql.connection.url={url}\nnode.db.config.main.user={USER}\nnode.db.config.main.pass={password}\n"
            )
        else:
            variables |= {
                SSG_DATABASE_JDBC_URL: url,
                "SSG_DATABASE_USER": USER,
                "SSG_DATABASE_PASSWORD": password,
            }
        for path, content in files.items():
            file = where / Path(path).relative_to(_HOME)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        self._process = spawner.spawn([str(programs.STANDIN / "entrypoint.sh")], self._log, variables)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def ended(self, seconds: float = PATIENCE) -> int:
        """Wait until it has ended and give its exit code, that of a killed one as a shell would."""
        code = self._process.wait(seconds)
        return code if code >= 0 else 128 - code

    def says(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until its log holds a text."""
        wait_until(lambda: text in self.log or self._over(), seconds, lambda: f"no {text!r} in:\n{self.log}")
        assert text in self.log, self.log

    def answer(self) -> dict[str, str | None]:
        """Wait until it has started, and ask it who it is."""
        self.says("Gateway is now started")
        found = _STARTED.search(self.log)
        assert found
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://127.0.0.1:{found[1]}/", timeout=60) as answer:
            return dict(json.load(answer))

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send it a signal and give its exit code; nothing is sent to one that has ended."""
        if not self._over():
            os.killpg(self._process.pid, number)
        return self.ended()

    def _over(self) -> bool:
        return self._process.poll() is not None
