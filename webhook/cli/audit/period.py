"""Moments as people write them: a time, or how long ago that was."""

import re
from datetime import datetime, timedelta

import click

_AGO = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime) -> datetime:
    """Give the moment that a text means, aware; ``now`` is aware.

    The text is RFC 3339 with a zone, or a number and one of s, m, h, d, w. Raises click.BadParameter for others.
    """
    found = _AGO.fullmatch(text.strip())
    try:
        at = (
            now - timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else datetime.fromisoformat(text.strip())
        )
    except (ValueError, OverflowError):
        at = None
    if at is None or at.tzinfo is None:
        raise click.BadParameter(f"{text!r} is no time; write 2h, 3d or 2026-11-22T12:00:00Z")
    return at
