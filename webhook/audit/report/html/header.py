"""The first screen of the report: how many Gateways stand how, and who has to do something."""

from webhook.audit.report.html.markup import Html, element
from webhook.audit.report.html.moments import absolute
from webhook.audit.report.html.words import badge, kind_of
from webhook.audit.report.survey import Survey
from webhook.audit.report.wait import State

_BAR = 1000
_GAP = 4


def header(survey: Survey) -> Html:
    """Give the header; its heading says in a sentence what a reader has to do."""
    states = survey.states
    governed = sum(1 for standing in survey.standings if standing.source)
    facts = [
        ("Gateways guarded", f"{governed:,} of {len(survey.standings):,}"),
        *((f"in mode {mode}", f"{count:,}") for mode, count in survey.modes.items() if count),
        ("requests turned away", f"{sum(standing.rejected for standing in survey.standings):,}"),
        ("findings", f"{sum(len(standing.findings) for standing in survey.standings):,}"),
    ]
    return element(
        "header",
        element(
            "p", element("b", "schemagate"), f" · {survey.cluster} · ", absolute(survey.taken), class_="masthead"
        ),
        element("h1", _headline(survey)),
        _bar(survey),
        element(
            "ul",
            *(
                element("li", badge(state), " ", element("span", f"{count:,}", class_="n"))
                for state, count in states.items()
                if count
            ),
            class_="states",
        ),
        element(
            "dl",
            *(element("div", element("dt", name), element("dd", value)) for name, value in facts),
            class_="facts",
        ),
        _unread(survey),
        _contents(survey),
    )


def _headline(survey: Survey) -> str:
    states = survey.states
    stuck = sum(count for state, count in states.items() if state.needs_somebody)
    moving = states[State.RUNNING] + states[State.WAITING]
    if not survey.standings:
        return "There is no Gateway here."
    if not stuck and not moving:
        return "No rollout waits."
    parts = [f"{_rollouts(stuck)} somebody"] if stuck else []
    if moving:
        parts.append(f"{moving:,} {'waits' if moving == 1 else 'wait'} for a migration")
    return f"{', '.join(parts)}."


def _rollouts(count: int) -> str:
    return "1 rollout needs" if count == 1 else f"{count:,} rollouts need"


def _bar(survey: Survey) -> Html | None:
    """Draw how many stand how; each state that is there can be seen, however few."""
    counts = [(state, count) for state, count in survey.states.items() if count]
    if not counts:
        return None
    total, room = len(survey.standings), _BAR - _GAP * (len(counts) - 1)
    least = room // 80
    free = room - least * len(counts)
    parts, at = [], 0
    for state, count in counts:
        width = least + free * count // total
        parts.append(element("rect", class_=kind_of(state), x=at, width=width, height=10))
        at += width + _GAP
    said = ", ".join(f"{count} {state.value}" for state, count in counts)
    title = element("title", f"Gateways by state: {said}")
    return element(
        "svg", title, *parts, class_="bar", viewBox=f"0 0 {_BAR} 10", preserveAspectRatio="none", role="img"
    )


def _unread(survey: Survey) -> Html | None:
    if not survey.unread:
        return None
    said = f"Not read: {', '.join(survey.unread)}. What would need them is not told."
    return element("p", said, class_="note")


def _contents(survey: Survey) -> Html:
    links = (
        ("waits", "What waits"),
        ("refused", "Turned away"),
        ("wrong", "Findings"),
        *((("coverage", "Coverage"),) if survey.coverage else ()),
        ("gateways", "All Gateways"),
    )
    return element("nav", *(element("a", title, href=f"#{name}") for name, title in links), aria_label="Contents")
