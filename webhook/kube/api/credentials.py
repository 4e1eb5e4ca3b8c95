"""What the process shows the API server to say who it is."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from webhook.errors import StartError

REREAD_SECONDS = 60.0
"""How long a token that was read from a file is used before the file is looked at again."""


class Credentials(Protocol):
    """Gives the Authorization header."""

    def authorization(self) -> str | None:
        """Give the header's value; None when the certificate of the connection, or nothing, identifies us."""

    def drop(self) -> bool:
        """Forget a header that was refused; True when another try may use another one."""


class FixedCredentials:
    """A header that stays, or none."""

    def __init__(self, header: str | None) -> None:
        self._header = header

    def authorization(self) -> str | None:
        """Give the header."""
        return self._header

    def drop(self) -> bool:
        """There is no other."""
        return False


class TokenFile:
    """A token in a file that others replace: a kubelet every hour or so, or whoever wrote the kubeconfig.

    The library does this for service accounts alone, by wall clock (set back by an hour, it does not look for an
    hour), and fails the request when the file cannot be read. Here the last token goes on being used.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the token. Raises StartError when there is none; `clock` gives seconds."""
        self._path = path
        self._clock = clock
        token = self._read()
        if token is None:
            raise StartError(f"{path} holds no token: it must be one line of text that this process may read")
        self._token = token
        self._read_at = clock()

    def authorization(self) -> str | None:
        """Give the header, at most a minute behind the file."""
        if self._clock() - self._read_at >= REREAD_SECONDS:
            self._refresh()
        return f"Bearer {self._token}"

    def drop(self) -> bool:
        """Read the file now; True when it holds another token than the one refused."""
        refused = self._token
        self._refresh()
        return self._token != refused

    def _refresh(self) -> None:
        self._read_at = self._clock()
        self._token = self._read() or self._token

    def _read(self) -> str | None:
        try:
            token = self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return token if token.isprintable() and " " not in token and token else None
