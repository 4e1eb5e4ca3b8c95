"""Image references: which tag, which version, and whether it knows the modes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.policy.image import image_tag, image_version, knows_modes, parse_version

DIGEST = "sha256:" + "0" * 64
TAGS = {
    "a tag": ("caapim/gateway:11.2.2", "11.2.2"),
    "a registry with a port and a tag": ("localhost:5000/caapim/gateway:11.1.00", "11.1.00"),
    "a registry's port is no tag": ("localhost:5000/caapim/gateway", None),
    "a digest alone": (f"caapim/gateway@{DIGEST}", None),
    "a tag with a digest, which is what runs": (f"reg:5000/gateway:11.1.00@{DIGEST}", None),
    "no path": ("gateway:latest", "latest"),
    "an empty tag": ("gateway:", None),
    "nothing": ("", None),
}
VERSIONS: dict[str, tuple[str, tuple[int, int, int] | None]] = {
    "zero-padded": ("11.1.00", (11, 1, 0)),
    "old and zero-padded": ("10.0.00", (10, 0, 0)),
    "a cumulative release": ("10.1.00_CR4", (10, 1, 0)),
    "a combined build": ("11.0.00_COMBINED", (11, 0, 0)),
    "dated": ("10.1.00_20220802", (10, 1, 0)),
    "two suffixes": ("10.1.00_OTEL_2", (10, 1, 0)),
    "a dash": ("11.2.2-alpine", (11, 2, 2)),
    "plain": ("11.1.3", (11, 1, 3)),
    "with a v": ("v11.2.2", (11, 2, 2)),
    "latest": ("latest", None),
    "two numbers": ("11.2", None),
    "four numbers": ("11.2.2.1", None),
    "an empty suffix": ("11.2.2_", None),
    "a suffix without a separator": ("11.2.2CR1", None),
    "Arabic-Indic digits": ("\u0661\u0661.\u0662.\u0662", None),
    "superscript digits": ("11.2.\u00b2", None),
    "5000 digits": ("1" * 5000 + ".2.2", None),
    "spaces around": (" 11.2.2", None),
    "a newline behind": ("11.2.2\n", None),
    "negative": ("-11.2.2", None),
}


@pytest.mark.parametrize(("image", "tag"), TAGS.values(), ids=TAGS.keys())
def test_the_tag_is_what_follows_the_last_colon_behind_the_last_slash(image: str, tag: str | None) -> None:
    assert image_tag(image) == tag


@pytest.mark.parametrize(("text", "version"), VERSIONS.values(), ids=VERSIONS.keys())
def test_version_is_read_by_number(text: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version


MODES_KNOWN = {
    "11.2.1": False,
    "11.2.1_CR9": False,
    "10.1.00": False,
    "11.2.2": True,
    "11.02.02": True,
    "11.2.2_CR1": True,
    "11.10.0": True,
    "12.0.00": True,
    "latest": None,
}


@pytest.mark.parametrize(("tag", "knows"), MODES_KNOWN.items(), ids=MODES_KNOWN.keys())
def test_modes_are_known_from_11_2_2_on(tag: str, knows: bool | None) -> None:
    assert knows_modes(image_version(f"gateway:{tag}")) is knows


def test_a_declared_version_serves_where_the_tag_does_not_tell() -> None:
    assert str(image_version(f"gateway@{DIGEST}", "11.1.00")) == "11.1.0"
    assert str(image_version("gateway:latest", "11.1.00")) == "11.1.0"
    assert str(image_version("gateway:11.2.2", "10.0.00")) == "11.2.2"
    assert image_version("gateway:latest", "next") is None


@given(st.text() | st.from_regex(r"[v0-9]*[.0-9]{0,12}[_-]?.{0,5}"))
def test_the_parser_is_total_and_never_guesses(tag: str) -> None:
    version = parse_version(tag)
    image_version(tag, tag)
    if version is None:
        assert knows_modes(version) is None
    else:
        digits = tag.lstrip("v").replace("_", "-").partition("-")[0].split(".")
        assert [int(part) for part in digits] == list(version)
