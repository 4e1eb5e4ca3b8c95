"""The report: complete, bounded, inert, and safe whatever stands in the cluster."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.audit.formats.examples import HOSTILE, SECRET, SPELLINGS
from tests.support.builders import NOW
from tests.support.surveys import large, small
from webhook.audit.report.html.report import render
from webhook.audit.report.survey import Attempt, Standing, Survey
from webhook.audit.report.wait import State, Wait
from webhook.audit.scan.finding import Finding, Rule
from webhook.audit.scan.scan import Coverage
from webhook.policy.record import Completion, Failure, Rejection, RejectionEnd

LARGEST = 2_000_000
VOID = {"meta", "link", "input", "wbr"}


class Page(HTMLParser):
    """Notes what a page is made of, and that its elements are closed in order."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._open: list[str] = []
        self.feed(page.decode())
        self.close()
        assert self._open == []
        self.text = "".join(self._texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(small()))


def test_the_first_words_say_what_is_to_be_done(page: Page) -> None:
    assert "3 rollouts need somebody, 2 wait for a migration." in page.text
    order = [page.text.index(name) for name in ("edge", "shop", "partner-api", "ledger", "ledger-dr")]
    assert order == sorted(order)
    assert "schemagate retry edge -n payments" in " ".join(page.text.split())


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([], "There is no Gateway here."),
        ([State.READY, State.OFF], "No rollout waits."),
        ([State.FAILED], "1 rollout needs somebody."),
        ([State.FAILED, State.BLOCKED], "2 rollouts need somebody."),
        ([State.RUNNING], "1 waits for a migration."),
        ([State.AGAIN, State.WAITING, State.RUNNING], "1 rollout needs somebody, 2 wait for a migration."),
    ],
)
def test_the_headline(states: list[State], said: str) -> None:
    standings = tuple(
        Standing(namespace="a", name=f"g{at}", wait=Wait(state=state, line="")) for at, state in enumerate(states)
    )
    assert said in Page(render(Survey(cluster="c", taken=NOW, standings=standings))).text


def test_what_came_of_refusals_is_told(page: Page) -> None:
    for said in (
        "still waits",
        "migrated; passes when it is sent again",
        "migrated and let through after 6 min",
        "abandoned after 1 d",
        "MigrationPending, held",
    ):
        assert said in page.text


def test_it_loads_nothing_and_runs_nothing(page: Page) -> None:
    assert {tag for tag, _ in page.elements} & {
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
    } == set()
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.values("style") == page.values("src") == []
    assert set(page.values("href")) - {"data:,"} == {value for value in page.values("href") if value[0] == "#"}


def test_its_style_is_the_one_that_its_policy_allows() -> None:
    text = render(small()).decode()
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert len(styles) == 1
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    assert f"style-src &#x27;sha256-{digest}&#x27;" in text
    assert "default-src &#x27;none&#x27;" in text
    assert "url(" not in styles[0]


def test_links_lead_somewhere_and_names_are_given_once(page: Page) -> None:
    names = page.values("id")
    assert len(set(names)) == len(names)
    assert {href[1:] for href in page.values("href") if href[0] == "#"} <= set(names)
    assert set(page.values("aria-labelledby")) <= set(names)


def test_it_can_be_heard(page: Page) -> None:
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")
    tables = sum(tag == "table" for tag, _ in page.elements)
    assert tables == sum(tag == "caption" for tag, _ in page.elements)
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert all(("role" in attributes) != ("aria-hidden" in attributes) for attributes in pictures)
    titles = sum(tag == "title" for tag, _ in page.elements) - 1
    assert titles == sum("role" in attributes for attributes in pictures)


def hostile(text: str) -> Survey:
    """A survey with a text wherever one may be somebody's."""
    entry = Rejection(
        hash=text, reason=text, user=text, from_image=text, to_image=text, bypass_reason=text, first=NOW, last=NOW
    )
    ended = replace(entry, ended=RejectionEnd.BYPASSED, ended_at=NOW)
    finding = Finding(rule=Rule.UNGOVERNED, namespace=text, name=text, subject=text, message=text, next_step=text)
    standing = Standing(
        namespace=text,
        name=text,
        wait=Wait(state=State.FAILED, line=text, next_step=f"then run: schemagate {text}", since=NOW, image=text),
        source="Record",
        mode="Reject",
        image=text,
        held=True,
        spec_hash=text,
        completions=(Completion(hash="a" * 64, image=text, time=NOW),),
        attempt=Attempt(start=NOW, end=None, failed=True),
        failure=Failure(message=text, log_tail=text),
        rejected=2,
        rejections=(entry, ended),
        findings=(finding,),
    )
    coverage = (Coverage(namespace=text, gateways=1),)
    return Survey(cluster=text, taken=NOW, standings=(standing,), coverage=coverage, unread=(text,))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_texts_add_no_element(text: str) -> None:
    made = render(hostile(text))
    assert len(made) < 64 * 1024
    found, plain = Page(made), Page(render(hostile("plain")))
    words = Counter(tag for tag, attributes in found.elements if attributes.get("class") != "word")
    assert words <= Counter(tag for tag, _ in plain.elements)
    assert found.text.replace("\n", "").isprintable()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_credential_is_shown(spelling: str) -> None:
    assert SECRET.encode() not in render(hostile(spelling))


def test_two_hundred_gateways_and_five_thousand_refusals_stay_small() -> None:
    made = render(large())
    assert len(made) < LARGEST
    rows = made.count(b"<tr>")
    assert rows > 200 * 20
    assert Page(made).text.count("gateway-199") >= 1


def test_what_is_left_out_is_told() -> None:
    said = Page(render(replace(large(), omitted=3))).text
    assert "3900 older ones stand with their Gateways below" in said
    assert "100 more stand below" in said
    assert "3 more are left out" in said


def test_the_same_survey_makes_the_same_page() -> None:
    assert render(small()) == render(small())
