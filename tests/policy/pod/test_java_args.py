"""EXTRA_JAVA_ARGS: the mode is found, taken out and set; all else stays byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.policy.pod.java_args import modes, with_mode, without_mode, words

FLAG = "-Dgateway.db.schema-update.mode"
SET = {
    "nothing": ("", f"{FLAG}=skip"),
    "white space only": (" \n", f"{FLAG}=skip"),
    "another argument": ("-Xmx1g", f"-Xmx1g {FLAG}=skip"),
    "white space around stays": (" -Xmx1g  ", f" -Xmx1g   {FLAG}=skip"),
    "another mode alone": (f"{FLAG}=default", f"{FLAG}=skip"),
    "another mode first": (f"{FLAG}=default -Da=b", f"-Da=b {FLAG}=skip"),
    "another mode in the middle": (f"-Da=b  {FLAG}=default  -Dc=d", f"-Da=b  -Dc=d {FLAG}=skip"),
    "the mode not last": (f"{FLAG}=skip -Da=b", f"-Da=b {FLAG}=skip"),
    "the mode twice": (f"{FLAG}=skip {FLAG}=skip", f"{FLAG}=skip"),
    "two modes": (f"-Da {FLAG}=default -Db {FLAG}=skip", f"-Da -Db {FLAG}=skip"),
    "the mode there already": (f"-Da=b {FLAG}=skip", f"-Da=b {FLAG}=skip"),
    "the mode there already, with space behind": (f"-Da=b   {FLAG}=skip\n", f"-Da=b   {FLAG}=skip\n"),
    "an empty mode": (f"-Da {FLAG}=", f"-Da {FLAG}=skip"),
    "the property without a value": (f"-Da {FLAG}", f"-Da {FLAG}=skip"),
    "a quoted argument": (f'-Da="b c" {FLAG}=default', f'-Da="b c" {FLAG}=skip'),
    "the mode in quotes": (f'"{FLAG}=default" -Da', f"-Da {FLAG}=skip"),
    "ours in quotes is written plain": (f"-Da '{FLAG}=skip'", f"-Da {FLAG}=skip"),
    "its value in quotes": (f"{FLAG}='default' -Da", f"-Da {FLAG}=skip"),
    "a mode inside another argument's quotes": (f'-Da="x {FLAG}=y"', f'-Da="x {FLAG}=y" {FLAG}=skip'),
    "an unbalanced quote": (f'-Da="b {FLAG}=default c', f'-Da="b c {FLAG}=skip'),
    "tabs and newlines": (f"-Da\t-Db\n{FLAG}=default\n-Dc\t", f"-Da\t-Db\n-Dc\t {FLAG}=skip"),
    "a no-break space belongs to its argument": (
        f"-Da=b\u00a0 {FLAG}=default -Dc=\u3000",
        f"-Da=b\u00a0 -Dc=\u3000 {FLAG}=skip",
    ),
    "a property that only begins alike": (f"{FLAG}s=default", f"{FLAG}s=default {FLAG}=skip"),
    "another case is another property": (f"{FLAG.upper()}=default", f"{FLAG.upper()}=default {FLAG}=skip"),
    "user arguments twice stay twice": ("-Da -Da", f"-Da -Da {FLAG}=skip"),
}


@pytest.mark.parametrize(("text", "wanted"), SET.values(), ids=SET.keys())
def test_the_mode_is_set_once_and_last(text: str, wanted: str) -> None:
    assert with_mode(text, "skip") == wanted
    assert with_mode(wanted, "skip") == wanted


def test_modes_are_told_in_order() -> None:
    assert modes(f"{FLAG}=a -Dx '{FLAG}=b' {FLAG} {FLAG}=c=d") == ("a", "b", "", "c=d")


def test_a_text_without_a_mode_stays_as_it_is() -> None:
    assert without_mode(' "a" \t b ') == ' "a" \t b '


ATOMS = st.sampled_from(
    ["-Da=b", '-Dq="x y"', "-Du='", 'w"', "-Dn=\u00a0", f"{FLAG}=default", f"'{FLAG}=skip'", FLAG]
)
SPACES = st.text(" \t\n", min_size=1, max_size=3)
ARGUMENTS = st.lists(st.tuples(ATOMS, SPACES)).map(lambda pairs: "".join(atom + space for atom, space in pairs))


@given(st.text(" \t\n\"'-=abD$()") | ARGUMENTS | st.text())
def test_nothing_but_modes_is_lost(text: str) -> None:
    kept = [text[word.start : word.end] for word in words(text) if word.mode is None]
    once = with_mode(text, "skip")
    assert [once[word.start : word.end] for word in words(once)] == [*kept, f"{FLAG}=skip"]
    assert modes(without_mode(text)) == ()
    assert with_mode(once, "skip") == once
