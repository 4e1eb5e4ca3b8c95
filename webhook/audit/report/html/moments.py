"""Times as a reader compares them: in UTC to the second, and how long ago that is."""

from datetime import UTC, datetime, timedelta

from webhook.audit.report.html.markup import Html, element, join


def absolute(time: datetime) -> str:
    """Give a time in UTC, as ``2026-11-22 12:00:05Z``: HTML reads that as a time too."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def span(length: timedelta) -> str:
    """Give a length of time in its two largest units, as ``2 d 3 h``; none is shorter than zero."""
    seconds = max(0, int(length.total_seconds()))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for at, (name, size) in enumerate(units):
        if seconds >= size and size > 1:
            rest, below = seconds % size // units[at + 1][1], units[at + 1][0]
            return f"{seconds // size} {name} {rest} {below}" if rest else f"{seconds // size} {name}"
    return f"{seconds} s"


def ago(time: datetime | None, now: datetime) -> Html:
    """Give how long ago a time was, and to whoever asks when exactly; a dash for None."""
    if time is None:
        return element("span", "-", class_="none")
    exact = absolute(time)
    return element("time", f"{span(now - time)} ago", datetime=exact, title=exact)


def both(time: datetime | None, now: datetime) -> Html:
    """Give a time in both ways, for where there is room."""
    if time is None:
        return element("span", "-", class_="none")
    return join((element("time", absolute(time)), Html(" "), element("small", f"{span(now - time)} ago")))
