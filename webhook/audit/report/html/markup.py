"""HTML that is escaped by its type: a plain text becomes part of a page through ``element`` alone."""

from collections.abc import Iterable
from functools import lru_cache
from html import escape
from typing import Final

from webhook.policy.decision import printable
from webhook.policy.redaction import redact_head

TEXT_LIMIT: Final = 400
"""Longest text of a cell, in characters; an attacker chooses user names and images."""
_READ_LIMIT = 2 * TEXT_LIMIT
_VOID: Final = frozenset({"input", "link", "meta", "path", "line", "rect"})


class Html(str):
    """Text that is HTML already. Nothing but this module and constants of the renderer make one."""

    __slots__ = ()


Part = Html | str | None
"""What stands in an element: HTML, a text that is escaped, or nothing."""
Value = str | int | bool | None


def element(tag: str, /, *parts: Part, **attributes: Value) -> Html:
    """Give an element. Texts and values of attributes are escaped, made printable and bounded.

    Names of attributes are written as in Python (``class_``, ``aria_label``, ``http_equiv``). True writes the
    name alone; False, None and an empty class leave the attribute out.
    """
    head = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{head}>" if tag in {"input", "link", "meta"} else f"<{tag}{head}/>")
    return Html(f"<{tag}{head}>{join(parts)}</{tag}>")


def join(parts: Iterable[Part]) -> Html:
    """Give parts one after the other."""
    return Html("".join(part if isinstance(part, Html) else _shown(part) for part in parts if part))


def bounded(text: str, limit: int = TEXT_LIMIT) -> str:
    """Give a text as it is shown: one printable line without credentials, of at most ``limit`` characters."""
    return printable(_clean(text[: _READ_LIMIT + 1]), limit)  # one more tells that there is more


@lru_cache(maxsize=8192)
def _clean(text: str) -> str:
    # A report repeats few distinct texts many times, and looking for credentials is most of its cost.
    return redact_head(printable(text, 2 * _READ_LIMIT), _READ_LIMIT)


@lru_cache(maxsize=8192)
def _shown(text: str) -> str:
    return escape(bounded(text))


def _attribute(name: str, value: Value) -> str:
    if value is None or value is False or value == "":
        return ""
    wire = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {wire}"
    return f' {wire}="{escape(bounded(str(value)))}"'
