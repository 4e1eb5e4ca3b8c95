"""Loading audit logs of kube-apiserver for ``schemagate audit``."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from webhook.audit.apiserver_log import LogReader
from webhook.audit.history import Filter, Refusal
from webhook.embedded.files import STDIN
from webhook.errors import SourceError


def read_logs(paths: Sequence[str], wanted: Filter) -> list[Refusal]:
    """Read logs one after the other, and tell on stderr what could not be read of them.

    Each event is looked at by itself: one outside the filter's span is not counted in a row that is inside. Raises
    SourceError when a file cannot be read.
    """
    if paths.count(STDIN) > 1:
        raise SourceError("-: standard input can be read once only")
    reader = LogReader(wanted)
    for path in paths:
        try:
            if path == STDIN:
                if sys.stdin is None:
                    raise SourceError("-: standard input is closed; give a file")
                reader.read(sys.stdin.buffer)
            else:
                with Path(path).open("rb") as file:
                    reader.read(file)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    _tell(reader)
    return reader.refusals()


def _tell(reader: LogReader) -> None:
    notes = {
        f"{reader.broken} of {reader.lines} lines are no audit events and were left out": reader.broken,
        f"{reader.omitted} more rejections are left out: give --since, --namespace or --user": reader.omitted,
        f"{reader.failed_open} requests passed unjudged: the webhook did not answer": reader.failed_open,
    }
    for note, count in notes.items():
        if count:
            click.echo(note, err=True)
    if not reader.ours:
        click.echo(
            "the log holds no verdict of schemagate: is its audit policy at level Metadata or above?", err=True
        )
