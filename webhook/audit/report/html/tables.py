"""The tables of the report: what was turned away, what is wrong, and every Gateway with its story."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from webhook.audit.report.html.markup import Html, Part, element, join
from webhook.audit.report.html.moments import ago, both
from webhook.audit.report.html.timeline import Axis, scale, timeline
from webhook.audit.report.html.words import badge, change, image_tag, kind_of, latest, outcome, where
from webhook.audit.report.survey import Standing, Survey
from webhook.audit.scan.finding import Finding
from webhook.audit.scan.scan import Coverage
from webhook.policy.inputs import short
from webhook.policy.record import Rejection

REFUSALS_SHOWN: Final = 100
FINDINGS_SHOWN: Final = 500
GATEWAYS_SHOWN: Final = 2000
_LOG_LINES = 12
_REFUSAL = ("Last", "Times", "Who", "Change", "Reason", "What came of it")
_COVERED = (
    "Gateways",
    "Guarded",
    "Unguarded",
    "Unknown",
    "No database",
    "Migrated",
    "Not migrated",
    "Held",
    "Too old",
)
_NUMBERS = frozenset({"Times", "Turned away", *_COVERED})
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def table(caption: str, head: Sequence[str], *bodies: Part, kind: str = "") -> Html:
    """Give a table that scrolls by itself where it is wider than the page, also by keyboard."""
    columns = _columns(head)
    inner = element(
        "table", element("caption", caption, class_="unseen"), element("thead", columns), *bodies, class_=kind
    )
    return element("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _columns(head: Sequence[str]) -> Html:
    return element(
        "tr", *(element("th", name, scope="col", class_="n" if name in _NUMBERS else None) for name in head)
    )


def refusals(survey: Survey) -> Html:
    """Give the newest rollouts that were turned away, of all Gateways."""
    every = [(standing, entry) for standing in survey.standings for entry in standing.rejections]
    if not every:
        return element("p", "Nothing has been turned away.", class_="calm")
    every.sort(key=lambda item: latest(item[1]) or _BEGINNING, reverse=True)
    rows = [
        element(
            "tr",
            element("th", where(standing), scope="row"),
            element("td", ago(latest(entry), survey.taken)),
            *_refusal(entry, standing),
        )
        for standing, entry in every[:REFUSALS_SHOWN]
    ]
    head = ("Gateway", *_REFUSAL)
    more = len(every) - len(rows)
    note = f"{more} older ones stand with their Gateways below." if more else ""
    return join(
        (
            table("Turned away", head, element("tbody", *rows), kind="refusals"),
            element("p", note, class_="note") if note else "",
        )
    )


def _refusal(entry: Rejection, standing: Standing) -> Iterator[Html]:
    # Four thousand rows of a large report: what their columns look like is told once, by the table's class.
    yield element("td", f"{entry.count:,}")
    yield element("td", entry.user or "-")
    yield element("td", change(entry.from_image, entry.to_image))
    yield element("td", entry.reason, f", {entry.decision.value}" if entry.decision else "")
    said = outcome(entry, standing)
    yield element("td", said, class_="open" if said == "still waits" else None)


def findings(survey: Survey) -> Html:
    """Give what is wrong in the cluster as it stands, the gravest first."""
    every = [finding for standing in survey.standings for finding in standing.findings]
    if not every:
        return element("p", "Nothing was found to be wrong.", class_="calm")
    every.sort(key=lambda item: (-item.severity.rank, item.rule.value, item.namespace, item.name, item.subject))
    rows = [element("tr", *_finding(finding)) for finding in every[:FINDINGS_SHOWN]]
    more = len(every) - len(rows) + survey.omitted
    note = f"{more} more are left out; schemagate audit scan lists all." if more else ""
    head = ("Severity", "Rule", "Gateway", "What", "What to do")
    shown = table("Findings", head, element("tbody", *rows))
    return join((shown, element("p", note, class_="note") if note else ""))


def _finding(finding: Finding) -> Iterator[Html]:
    yield element("td", element("span", finding.severity.value, class_=f"severity v-{finding.severity.value}"))
    yield element("th", finding.rule.value, scope="row", title=finding.rule.meaning)
    yield element("td", f"{finding.namespace}/{finding.name}")
    subject = f"{finding.subject}: " if not finding.subject.startswith("Deployment/") else ""
    yield element("td", f"{subject}{finding.message}", class_="text")
    yield element("td", finding.next_step, class_="text")


def coverage(survey: Survey) -> Html | None:
    """Give how much of each namespace is guarded."""
    rows = [
        element(
            "tr",
            element("th", item.namespace, scope="row"),
            *(element("td", f"{count:,}" if count else "-", class_="n") for count in _counts(item)),
        )
        for item in survey.coverage
    ]
    return table("Coverage by namespace", ("Namespace", *_COVERED), element("tbody", *rows)) if rows else None


def _counts(item: Coverage) -> tuple[int, ...]:
    return (
        item.gateways,
        item.governed,
        item.ungoverned,
        item.unknown,
        item.without_database,
        item.complete,
        item.incomplete,
        item.held,
        item.unsupported,
    )


def gateways(survey: Survey, axis: Axis) -> Html:
    """Give every Gateway with its timeline, and what is known of it to who unfolds it."""
    shown = survey.standings[:GATEWAYS_SHOWN]
    head = ("Gateway", "State", "Governed by", "Image", "Turned away", "Timeline")
    bodies = [_gateway(at, standing, axis, survey.taken) for at, standing in enumerate(shown)]
    more = len(survey.standings) - len(shown)
    note = element("p", f"{more} more are left out.", class_="note") if more else ""
    end = element("tfoot", element("tr", element("td", colspan=5), element("td", scale(axis))))
    return join((_filters(survey), table("All Gateways", head, *bodies, end), note))


def _filters(survey: Survey) -> Html:
    """Give buttons that hide what is not of one state: radio buttons and style, no script."""
    states = [(state, count) for state, count in survey.states.items() if count]
    choices = [_choice("all", "All", len(survey.standings), chosen=True)]
    choices += [_choice(kind_of(state), state.value, count) for state, count in states]
    return element("fieldset", element("legend", "Show", class_="unseen"), *choices, class_="filters")


def _choice(name: str, word: str, count: int, *, chosen: bool = False) -> Html:
    button = element("input", type="radio", name="show", id=f"f-{name}", checked=chosen)
    return element("label", button, f"{word} ", element("span", f"{count:,}", class_="n"))


def _gateway(at: int, standing: Standing, axis: Axis, now: datetime) -> Html:
    wait = standing.wait
    governed = element("span", f"{standing.source} · {standing.mode}") if standing.source else "nothing"
    image = image_tag(standing.image or (standing.completions[0].image if standing.completions else ""))
    row = element(
        "tr",
        element("th", where(standing), scope="row"),
        element("td", badge(wait.state)),
        element("td", governed, class_=None if standing.source else "none"),
        element("td", image or "-"),
        element("td", f"{standing.rejected:,}" if standing.rejected else "-", class_="n"),
        element("td", timeline(standing, axis)),
    )
    more = _story(standing, now)
    below = element("tr", element("td", more, colspan=6), class_="more") if more else None
    return element("tbody", row, below, id=f"g{at}", class_=kind_of(wait.state))


def _story(standing: Standing, now: datetime) -> Html | None:
    parts: list[Html] = []
    if standing.rejections:
        rows = [
            element("tr", element("td", both(latest(entry), now)), *_refusal(entry, standing))
            for entry in standing.rejections
        ]
        parts.append(_inner("Turned away", _REFUSAL, rows, "refusals"))
    if standing.completions:
        rows = [
            element(
                "tr",
                element("td", both(done.time, now)),
                element("td", image_tag(done.image)),
                element("td", element("code", short(done.hash))),
                element("td", done.evidence.value),
            )
            for done in standing.completions
        ]
        parts.append(_inner("Migrated", ("When", "Image", "Hash", "Evidence"), rows))
    if standing.failure is not None and standing.failure.log_tail:
        lines = standing.failure.log_tail.splitlines()[-_LOG_LINES:]
        log = join(join((line, Html("\n"))) for line in lines)
        parts.append(element("div", element("p", "End of the Job's log", class_="title"), element("pre", log)))
    if not parts:
        return None
    said = f"{standing.rejected:,} turned away, {len(standing.completions)} migrated"
    return element("details", element("summary", said), element("div", *parts, class_="story"))


def _inner(title: str, head: Sequence[str], rows: Sequence[Html], kind: str = "") -> Html:
    columns = _columns(head)
    caption = element("caption", title, class_="title")
    return element("table", caption, element("thead", columns), element("tbody", *rows), class_=kind)
