"""What happened to a Gateway, drawn on one axis that all Gateways share: inline SVG, told in words too."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeGuard

from webhook.audit.report.html.markup import Html, element
from webhook.audit.report.html.moments import span
from webhook.audit.report.survey import Standing, Survey
from webhook.audit.report.wait import is_open

WIDTH: Final = 320
HEIGHT: Final = 22
_EDGE = 8
_MIDDLE = HEIGHT // 2
_WINDOWS = tuple(
    timedelta(seconds=length)
    for length in (
        600,
        3600,
        6 * 3600,
        86400,
        3 * 86400,
        7 * 86400,
        14 * 86400,
        30 * 86400,
        90 * 86400,
        365 * 86400,
    )
)


@dataclass(frozen=True, slots=True)
class Axis:
    """The time that is drawn, up to ``end``."""

    end: datetime
    length: timedelta

    def holds(self, time: datetime | None) -> TypeGuard[datetime]:
        """Tell whether a time is drawn; what is older is told in words alone."""
        return time is not None and self.end - time <= self.length

    def at(self, time: datetime) -> int:
        """Give the place of a time, in units of the drawing."""
        share = 1 - (self.end - time) / self.length
        return round(_EDGE + min(1.0, max(0.0, share)) * (WIDTH - 2 * _EDGE))


def axis_of(survey: Survey) -> Axis:
    """Give the axis of all Gateways: nine in ten of what happened is on it, so that one old event hides none."""
    ages = sorted(survey.taken - time for standing in survey.standings for time in _times(standing))
    return Axis(survey.taken, _window(ages[len(ages) * 9 // 10] if ages else timedelta(0)))


def axis_of_wait(standing: Standing, now: datetime) -> Axis:
    """Give the axis of one Gateway that waits: it begins before the wait did."""
    begun = [standing.wait.since, *(entry.first for entry in standing.rejections if is_open(entry))]
    ages = [now - time for time in begun if time]
    return Axis(now, _window(max(ages, default=timedelta(0))))


def _window(needed: timedelta) -> timedelta:
    return next((window for window in _WINDOWS if window >= needed), _WINDOWS[-1])


def timeline(standing: Standing, axis: Axis) -> Html:
    """Draw a Gateway's story; a stroke is a refusal, a rhomb a completed migration, a bar an attempt."""
    marks: list[Html | None] = [_line(_EDGE, WIDTH - _EDGE)]
    attempt = standing.attempt
    if attempt is not None and axis.holds(attempt.end or axis.end):
        start, end = axis.at(attempt.start), axis.at(attempt.end or axis.end)
        kind = "failed" if attempt.failed else "running" if attempt.end is None else "done"
        bar = element("rect", class_=f"a {kind}", x=start, y=_MIDDLE - 3, width=max(2, end - start), height=6)
        marks.append(bar)
        if attempt.failed:
            marks.append(_path("x", (f"M{end - 4} {_MIDDLE - 4}l8 8m0-8l-8 8",)))
    turned_away = {
        axis.at(time) for entry in standing.rejections for time in (entry.first, entry.last) if axis.holds(time)
    }
    marks.append(_path("r", (f"M{place} {_MIDDLE - 7}v14" for place in sorted(turned_away))))
    migrated = {axis.at(done.time) for done in standing.completions if axis.holds(done.time)}
    marks.append(_path("m", (f"M{place} {_MIDDLE - 5}l5 5-5 5-5-5z" for place in sorted(migrated))))
    box = f"0 0 {WIDTH} {HEIGHT}"
    return element("svg", element("title", told(standing, axis)), *marks, class_="t", viewBox=box, role="img")


def scale(axis: Axis) -> Html:
    """Give the words under the axis: where it begins, and now."""
    return element(
        "span",
        element("span", f"{span(axis.length)} ago"),
        element("span", "now"),
        class_="scale",
        aria_hidden="true",
    )


def legend() -> Html:
    """Give what the marks mean."""
    marks = (
        ("r", "M7 3v14", "turned away"),
        ("m", "M7 5l5 5-5 5-5-5z", "migrated"),
        ("x", "M3 6l8 8m0-8l-8 8", "attempt failed"),
    )
    drawn = [
        element(
            "li",
            element(
                "svg",
                Html(f'<path class="{kind}" d="{path}"/>'),
                class_="mark",
                viewBox="0 0 14 20",
                aria_hidden="true",
            ),
            text,
        )
        for kind, path, text in marks
    ]
    bar = element(
        "svg",
        element("rect", class_="a running", x=0, y=7, width=28, height=6),
        class_="mark wide",
        viewBox="0 0 28 20",
        aria_hidden="true",
    )
    return element("ul", *drawn, element("li", bar, "attempt"), class_="legend")


def told(standing: Standing, axis: Axis) -> str:
    """Give the story in words, for who cannot see it."""
    parts = []
    if standing.rejected:
        last = max((entry.last for entry in standing.rejections if entry.last), default=None)
        parts.append(
            f"turned away {standing.rejected} times" + (f", last {span(axis.end - last)} ago" if last else "")
        )
    dated = [done.time for done in standing.completions if done.time]
    if dated:
        often = "once," if len(dated) == 1 else f"{len(dated)} times, last"
        parts.append(f"migrated {often} {span(axis.end - max(dated))} ago")
    if standing.attempt is not None and standing.attempt.failed:
        parts.append("the last attempt failed")
    elif standing.attempt is not None and standing.attempt.end is None:
        parts.append(f"an attempt runs for {span(axis.end - standing.attempt.start)}")
    return f"{standing.namespace}/{standing.name}: {'; '.join(parts) or 'nothing has happened'}"


def _times(standing: Standing) -> Iterator[datetime]:
    yield from (time for entry in standing.rejections for time in (entry.first, entry.last) if time)
    yield from (done.time for done in standing.completions if done.time)
    if standing.attempt is not None:
        yield standing.attempt.start


def _line(start: int, end: int) -> Html:
    return element("line", class_="axis", x1=start, y1=_MIDDLE, x2=end, y2=_MIDDLE)


def _path(kind: str, strokes: Iterable[str]) -> Html | None:
    # All marks of a kind are one path: two hundred Gateways with forty marks each stay small.
    drawn = "".join(strokes)
    return Html(f'<path class="{kind}" d="{drawn}"/>') if drawn else None
