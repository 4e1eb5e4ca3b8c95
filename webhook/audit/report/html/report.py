"""The report: one HTML file that loads nothing, runs no script, and reads well on paper."""

import base64
import hashlib
from importlib import resources
from typing import Final

from webhook import __version__
from webhook.audit.report.html.header import header
from webhook.audit.report.html.markup import Html, element
from webhook.audit.report.html.moments import absolute
from webhook.audit.report.html.tables import coverage, findings, gateways, refusals
from webhook.audit.report.html.timeline import axis_of, legend
from webhook.audit.report.html.waits import waits
from webhook.audit.report.html.words import badge
from webhook.audit.report.survey import Survey
from webhook.audit.report.wait import State

_STYLE: Final = Html(resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8"))
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'"
)
"""The page's Content-Security-Policy: nothing is loaded, and of styles only its own are obeyed."""


def render(survey: Survey) -> bytes:
    """Give the report as UTF-8. Every text in it is escaped, printable, bounded and without credentials."""
    axis = axis_of(survey)
    body = element(
        "body",
        header(survey),
        element(
            "main",
            _section("waits", "What waits", waits(survey)),
            _section("refused", "Who was turned away, and what came of it", refusals(survey)),
            _section("wrong", "What is wrong", findings(survey)),
            _section("coverage", "Coverage", coverage(survey)) if survey.coverage else None,
            _section("gateways", "All Gateways", legend(), gateways(survey, axis)),
        ),
        _footer(survey),
    )
    page = element("html", _head(survey), body, lang="en")
    return f"<!doctype html>\n{page}\n".encode()


def _head(survey: Survey) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=SECURITY_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", f"schemagate: {survey.cluster}, {absolute(survey.taken)}"),
        Html(f"<style>{_STYLE}</style>"),
    )


def _section(name: str, title: str, *parts: Html | None) -> Html:
    return element(
        "section", element("h2", title, id=f"{name}-title"), *parts, id=name, aria_labelledby=f"{name}-title"
    )


def _footer(survey: Survey) -> Html:
    return element(
        "footer",
        element(
            "dl",
            *(element("div", element("dt", badge(state)), element("dd", state.meaning)) for state in State),
            class_="meanings",
        ),
        element(
            "p",
            f"Taken {absolute(survey.taken)} by schemagate {__version__}. A record keeps its newest 20 distinct "
            "refusals and counts all; names of users are what the webhook was told.",
        ),
    )
