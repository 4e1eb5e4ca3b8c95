"""``EXTRA_JAVA_ARGS``: find, strip and set the schema-update mode, leaving every other byte as it is.

The text is the user's and reaches us unchecked, so nothing here raises: an unbalanced quote is read as an
ordinary character.
"""

import re
from dataclasses import dataclass

from webhook.policy.names import MODE_PROPERTY

_FLAG = f"-D{MODE_PROPERTY}"
_SPACE = " \t\n\r\f\v"
# A word: quoted runs and bare characters without a space between them; a lone quote is a character. Only ASCII
# white space parts arguments, as in a shell: others belong to a value.
_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|\S)+""", re.ASCII)
_QUOTES = str.maketrans("", "", "\"'")


@dataclass(frozen=True, slots=True)
class Word:
    """One argument: its place in the text (end exclusive) and its value without quotes."""

    start: int
    end: int
    value: str

    @property
    def mode(self) -> str | None:
        """The schema-update mode that this argument sets, or None when it sets none."""
        name, _, mode = self.value.partition("=")
        return mode if name == _FLAG else None


def words(text: str) -> tuple[Word, ...]:
    """Split arguments at white space, keeping quoted runs together."""
    return tuple(Word(m.start(), m.end(), m.group().translate(_QUOTES)) for m in _WORD.finditer(text))


def modes(text: str) -> tuple[str, ...]:
    """Give every schema-update mode that the arguments set, in order."""
    return tuple(word.mode for word in words(text) if word.mode is not None)


def without_mode(text: str) -> str:
    """Take out every argument that sets the mode, with the white space before it; the rest stays as it is."""
    kept, at = [], 0
    for word in words(text):
        if word.mode is not None:
            kept.append(text[at : word.start].rstrip(_SPACE))
            at = word.end
    kept.append(text[at:])
    rest = "".join(kept)
    return rest if kept[0] else rest.lstrip(_SPACE)


def mode_flag(mode: str) -> str:
    """Give the argument that sets a mode."""
    return f"{_FLAG}={mode}"


def with_mode(text: str, mode: str) -> str:
    """Give the arguments with exactly this mode, appended last: the JVM takes the last of two.

    A text that is so already comes back as it is.
    """
    flag = mode_flag(mode)
    found = words(text)
    if len(modes(text)) == 1 and text[found[-1].start : found[-1].end] == flag:
        return text
    rest = without_mode(text)
    return f"{rest} {flag}" if rest.strip(_SPACE) else flag
