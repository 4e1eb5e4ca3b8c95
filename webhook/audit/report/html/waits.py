"""What waits: a card for each rollout that does, with the one thing to do next."""

from datetime import datetime
from typing import Final

from webhook.audit.report.html.markup import Html, element, join
from webhook.audit.report.html.moments import absolute, span
from webhook.audit.report.html.timeline import axis_of_wait, scale, timeline
from webhook.audit.report.html.words import badge, change, kind_of, where
from webhook.audit.report.survey import Standing, Survey

WAITS_SHOWN: Final = 100
_COMMANDS: Final = ("schemagate ", "kubectl ")


def waits(survey: Survey) -> Html:
    """Give a card for every Gateway that waits, those first that wait for a person."""
    waiting = [(at, standing) for at, standing in enumerate(survey.standings) if standing.wait.state.waits]
    if not waiting:
        return element("p", "Nothing. Every rollout that is guarded passes.", class_="calm")
    shown = element("ol", *(_card(at, standing, survey.taken) for at, standing in waiting[:WAITS_SHOWN]))
    more = len(waiting) - WAITS_SHOWN
    return join((shown, element("p", f"{more} more stand below.", class_="note") if more > 0 else ""))


def _card(at: int, standing: Standing, now: datetime) -> Html:
    wait, axis = standing.wait, axis_of_wait(standing, now)
    before = next((done.image for done in standing.completions if done.image != wait.image), standing.image)
    paused = "the Deployment is paused by schemagate"
    held = element("span", "held", class_="held", title=paused) if standing.held else None
    name = element("a", where(standing), href=f"#g{at}")
    images = element("span", change(before, wait.image), class_="change") if wait.image else None
    since = element("p", f"for {span(now - wait.since)}, since {absolute(wait.since)}") if wait.since else None
    return element(
        "li",
        element("div", badge(wait.state), held, class_="standing"),
        element("div", element("h3", name, images), element("p", wait.line, class_="line"), _next(wait.next_step)),
        element("div", timeline(standing, axis), scale(axis), since, class_="since"),
        class_=f"card {kind_of(wait.state)}",
    )


def _next(step: str) -> Html | None:
    """Give what to do next; a command in it is set apart, and broken between its words alone."""
    if not step:
        return None
    said, colon, command = step.rpartition(": ")
    if not command.startswith(_COMMANDS):
        return element("p", element("span", "Next: ", class_="label"), step, class_="next")
    words = (join((element("span", word, class_="word"), Html(" "))) for word in command.split(" "))
    label = element("span", "Next: ", class_="label")
    return element("p", label, f"{said}{colon}", element("code", *words), class_="next")
