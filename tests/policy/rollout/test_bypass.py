"""Break-glass: each way in which it is refused, and the one in which it is not."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NOW
from webhook.policy.objects import ObjectMeta
from webhook.policy.rollout.bypass import LONGEST, Bypass, bypass_of, refusal

HASH = "0123456789abcdef" * 4
SOON = (NOW + timedelta(hours=1)).isoformat()
REFUSED: dict[str, tuple[Bypass, str]] = {
    "no reason": (Bypass("", SOON, HASH), "schemagate.io/bypass-reason is empty"),
    "no hash": (Bypass("r", SOON, ""), "schemagate.io/bypass-hash must be 0123456789abcdef"),
    "a short hash": (Bypass("r", SOON, HASH[:15]), "schemagate.io/bypass-hash must be 0123456789abcdef"),
    "another hash": (Bypass("r", SOON, "f" * 16), "schemagate.io/bypass-hash must be 0123456789abcdef"),
    "a longer hash": (Bypass("r", SOON, HASH + "0"), "schemagate.io/bypass-hash must be 0123456789abcdef"),
    "no time": (Bypass("r", "", HASH), "schemagate.io/bypass-until is no RFC 3339 time"),
    "a word": (Bypass("r", "tomorrow", HASH), "schemagate.io/bypass-until is no RFC 3339 time"),
    "no zone": (Bypass("r", "2026-11-22T12:30:00", HASH), "schemagate.io/bypass-until has no time zone"),
    "a date": (Bypass("r", "2026-11-23", HASH), "schemagate.io/bypass-until has no time zone"),
    "now": (Bypass("r", NOW.isoformat(), HASH), "schemagate.io/bypass-until has passed"),
    "long ago": (Bypass("r", "0001-01-01T00:00:00+23:59", HASH), "schemagate.io/bypass-until has passed"),
    "too far": (
        Bypass("r", (NOW + LONGEST + timedelta(seconds=1)).isoformat(), HASH),
        "schemagate.io/bypass-until is more than 24 h ahead",
    ),
    "the end of time": (
        Bypass("r", "9999-12-31T23:59:59-23:59", HASH),
        "schemagate.io/bypass-until is more than 24 h ahead",
    ),
}


@pytest.mark.parametrize(("bypass", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bypass_is_refused_with_the_reason(bypass: Bypass, why: str) -> None:
    assert refusal(bypass, HASH, now=NOW, authorized=True) == why


def test_a_user_without_the_verb_is_refused() -> None:
    why = refusal(Bypass("r", SOON, HASH), HASH, now=NOW, authorized=False)
    assert why == "the user does not hold the verb bypass on gatewaymigrations"


@pytest.mark.parametrize(
    "until", [SOON, "2026-11-22T12:00:01Z", (NOW + LONGEST).isoformat(), "20261122T150000+0200"]
)
@pytest.mark.parametrize("spec_hash", [HASH, HASH[:16]])
def test_a_bypass_is_honoured(until: str, spec_hash: str) -> None:
    assert refusal(Bypass("r", until, spec_hash), HASH, now=NOW, authorized=True) is None


def notes(**values: str) -> ObjectMeta:
    return ObjectMeta(annotations={f"schemagate.io/bypass-{name}": value for name, value in values.items()})


def test_annotations_are_read_trimmed() -> None:
    found = bypass_of(notes(reason=" outage\n", until=f" {SOON} ", hash=f" {HASH.upper()} "))
    assert found == Bypass("outage", SOON, HASH)
    assert bypass_of(notes(reason="x")) == Bypass("x", "", "")
    assert bypass_of(notes(until="")) == Bypass("", "", "")
    assert bypass_of(ObjectMeta()) is None


@given(st.text(), st.text() | st.datetimes(timezones=st.none() | st.timezones()).map(str), st.text())
def test_any_text_gets_an_answer(reason: str, until: str, spec_hash: str) -> None:
    found = bypass_of(notes(reason=reason, until=until, hash=spec_hash))
    assert found is not None
    assert refusal(found, HASH, now=NOW, authorized=True) is not None
    refusal(Bypass("r", found.until, HASH), HASH, now=NOW, authorized=True)
