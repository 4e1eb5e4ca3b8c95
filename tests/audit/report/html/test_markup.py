"""Escaping by type: what is not HTML yet is made so, whatever it holds."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.formats.examples import HOSTILE, SECRET, SPELLINGS
from webhook.audit.report.html.markup import TEXT_LIMIT, Html, element, join


class Reader(HTMLParser):
    """Notes tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.values: list[str | None] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_element_is_written_as_html() -> None:
    assert element("p", "a ", element("b", "b"), None, class_="x") == '<p class="x">a <b>b</b></p>'
    assert element("input", type="radio", checked=True, disabled=False) == '<input type="radio" checked>'
    assert element("rect", x=0, y=None, aria_label="l") == '<rect x="0" aria-label="l"/>'
    assert join(("<", Html("<br>"), "")) == "&lt;<br>"


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_texts_stay_texts(text: str) -> None:
    read = Reader(element("p", text, title=text))
    assert read.tags == ["p"]
    for shown in (read.text, *read.values):
        assert shown is not None
        assert shown.isprintable()
        assert len(shown) <= TEXT_LIMIT


@given(st.text(max_size=60))
def test_any_text_comes_back_as_one_line_of_text(text: str) -> None:
    read = Reader(element("p", text, title=text))
    assert read.tags == ["p"]
    assert read.text.isprintable()
    assert read.values == ([read.text] if text else [])


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_credential_is_shown(spelling: str) -> None:
    assert SECRET not in element("p", spelling, title=spelling)
