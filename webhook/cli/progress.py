"""How something goes that takes its time, told on stderr: one line on a terminal, else a line for what changes."""

import shutil
from collections.abc import Callable, Sequence

import click

from webhook.policy.decision import MESSAGE_LIMIT, printable

HEARTBEAT_SECONDS = 30.0
"""After so long it is told again where nothing changes: pipelines end what says nothing."""
_NEW_LINES = 3


def fresh_lines(before: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """Give the lines of a log's end that were not in what was its end before."""
    overlaps = range(min(len(before), len(now)), 0, -1)
    seen = next((size for size in overlaps if list(before[-size:]) == list(now[:size])), 0)
    return now[seen:]


class Progress:
    """Tells on stderr how it goes: in one line on a terminal, otherwise in a line for what changes."""

    def __init__(
        self, *, terminal: bool, write: Callable[[str], None] | None = None, columns: int | None = None
    ) -> None:
        self._terminal = terminal
        self._write = write or _to_stderr
        self._columns = columns
        self._text, self._at = "", -HEARTBEAT_SECONDS
        self._log: Sequence[str] = ()

    def tell(self, waited: float, text: str, log: Sequence[str] = ()) -> None:
        """Tell what holds after so many seconds, and the end of the log as far as it is new."""
        if self._terminal:
            last = f" | {log[-1]}" if log else ""
            width = (self._columns or shutil.get_terminal_size().columns) - 1
            self._write("\r\x1b[K" + printable(f"{waited:4.0f} s  {text}{last}", width))
            return
        if text != self._text or waited - self._at >= HEARTBEAT_SECONDS:
            self._text, self._at = text, waited
            self._write(f"{waited:4.0f} s  {printable(text, MESSAGE_LIMIT)}\n")
        for line in fresh_lines(self._log, log)[-_NEW_LINES:]:
            self._write(f"        | {line}\n")
        self._log = log or self._log

    def close(self) -> None:
        """Take away the line on a terminal."""
        if self._terminal:
            self._write("\r\x1b[K")


def _to_stderr(text: str) -> None:
    click.echo(text, nl=False, err=True)
