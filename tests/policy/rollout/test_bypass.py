"""Break-glass: each way in which it is refused, and the one in which it is not."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import NOW
from webhook.policy.objects import ObjectMeta, UserInfo
from webhook.policy.rollout.bypass import (
    LONGEST,
    Bypass,
    BypassRefusal,
    Requester,
    bypass_of,
    explained,
    is_person,
    refusal,
)

HASH = "0123456789abcdef" * 4
SOON = (NOW + timedelta(hours=1)).isoformat()
LATE = (NOW + LONGEST + timedelta(seconds=1)).isoformat()
GOOD = Bypass("r", SOON, HASH)
ALLOWED = Requester(authorized=True)
MUST_BE = "schemagate.io/bypass-hash must be 0123456789abcdef"
AHEAD = "schemagate.io/bypass-until is more than 24 h ahead"
REFUSED: dict[str, tuple[Bypass, BypassRefusal, str]] = {
    "no reason": (Bypass("", SOON, HASH), BypassRefusal.NO_REASON, "schemagate.io/bypass-reason is empty"),
    "no hash": (
        Bypass("r", SOON, ""),
        BypassRefusal.NO_HASH,
        "schemagate.io/bypass-hash is empty, it must be 0123456789abcdef",
    ),
    "a short hash": (Bypass("r", SOON, HASH[:15]), BypassRefusal.OTHER_HASH, MUST_BE),
    "another hash": (Bypass("r", SOON, "f" * 16), BypassRefusal.OTHER_HASH, MUST_BE),
    "a longer hash": (Bypass("r", SOON, HASH + "0"), BypassRefusal.OTHER_HASH, MUST_BE),
    "no time": (
        Bypass("r", "", HASH),
        BypassRefusal.NO_TIME,
        "schemagate.io/bypass-until is empty, it must be an RFC 3339 time",
    ),
    "a word": (
        Bypass("r", "tomorrow", HASH),
        BypassRefusal.BAD_TIME,
        "schemagate.io/bypass-until is no RFC 3339 time",
    ),
    "no zone": (
        Bypass("r", "2026-11-22T12:30:00", HASH),
        BypassRefusal.NO_TIME_ZONE,
        "schemagate.io/bypass-until has no time zone",
    ),
    "a week": (
        Bypass("r", "2026-W47-7T13:00:00+00:00", HASH),
        BypassRefusal.BAD_TIME,
        "schemagate.io/bypass-until is no RFC 3339 time",
    ),
    "without its dashes": (
        Bypass("r", "20261122T150000+0200", HASH),
        BypassRefusal.BAD_TIME,
        "schemagate.io/bypass-until is no RFC 3339 time",
    ),
    "a zone with seconds": (
        Bypass("r", "2026-11-22T15:00:00+02:00:30", HASH),
        BypassRefusal.BAD_TIME,
        "schemagate.io/bypass-until is no RFC 3339 time",
    ),
    "a space between day and hour": (
        Bypass("r", "2026-11-22 15:00:00+02:00", HASH),
        BypassRefusal.BAD_TIME,
        "schemagate.io/bypass-until is no RFC 3339 time",
    ),
    "a date": (
        Bypass("r", "2026-11-23", HASH),
        BypassRefusal.NO_TIME_ZONE,
        "schemagate.io/bypass-until has no time zone",
    ),
    "now": (Bypass("r", NOW.isoformat(), HASH), BypassRefusal.EXPIRED, "schemagate.io/bypass-until has passed"),
    "long ago": (
        Bypass("r", "0001-01-01T00:00:00+23:59", HASH),
        BypassRefusal.EXPIRED,
        "schemagate.io/bypass-until has passed",
    ),
    "too far": (Bypass("r", LATE, HASH), BypassRefusal.TOO_FAR_AHEAD, AHEAD),
    "the end of time": (Bypass("r", "9999-12-31T23:59:59-23:59", HASH), BypassRefusal.TOO_FAR_AHEAD, AHEAD),
}


@pytest.mark.parametrize(("bypass", "why", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bypass_is_refused_with_the_reason(bypass: Bypass, why: BypassRefusal, words: str) -> None:
    assert refusal(bypass, HASH, now=NOW, requester=ALLOWED) is why
    assert explained(why, HASH) == words


WHO: dict[str, tuple[Requester, BypassRefusal]] = {
    "nobody asked": (Requester(), BypassRefusal.NOT_AUTHORIZED),
    "without the verb": (Requester(authorized=False), BypassRefusal.NOT_AUTHORIZED),
    "no answer": (Requester(authorized=None), BypassRefusal.ACCESS_UNKNOWN),
    "a service account with the verb": (
        Requester(authorized=True, person=False),
        BypassRefusal.SERVICE_ACCOUNT,
    ),
    "a dry run": (Requester(authorized=True, dry_run=True), BypassRefusal.DRY_RUN),
}


@pytest.mark.parametrize(("requester", "why"), WHO.values(), ids=WHO.keys())
def test_it_counts_who_asks_and_how(requester: Requester, why: BypassRefusal) -> None:
    assert refusal(GOOD, HASH, now=NOW, requester=requester) is why


def test_without_a_clock_nothing_is_honoured() -> None:
    assert refusal(GOOD, HASH, now=None, requester=ALLOWED) is BypassRefusal.CLOCK_UNKNOWN


def test_every_refusal_has_a_word_and_words_of_its_own() -> None:
    reached = {why for _, why, _ in REFUSED.values()} | {why for _, why in WHO.values()}
    assert reached | {BypassRefusal.CLOCK_UNKNOWN} == set(BypassRefusal)
    assert len({explained(why, HASH) for why in BypassRefusal}) == len(BypassRefusal)
    assert all(why.isalpha() and why[0].isupper() for why in BypassRefusal)


@pytest.mark.parametrize(("longest", "words"), [(timedelta(hours=2), "2 h"), (timedelta(seconds=5400), "5400 s")])
def test_how_far_ahead_it_may_end_is_a_setting(longest: timedelta, words: str) -> None:
    for until, why in ((longest, None), (longest + timedelta(seconds=1), BypassRefusal.TOO_FAR_AHEAD)):
        bypass = Bypass("r", (NOW + until).isoformat(), HASH)
        assert refusal(bypass, HASH, now=NOW, requester=ALLOWED, longest=longest) is why
    told = explained(BypassRefusal.TOO_FAR_AHEAD, HASH, longest=longest)
    assert told.endswith(f"is more than {words} ahead")


@pytest.mark.parametrize(
    "until",
    [SOON, "2026-11-22T12:00:01Z", (NOW + LONGEST).isoformat(), "2026-11-22T15:00:00.123456789+02:00"],
)
@pytest.mark.parametrize("spec_hash", [HASH, HASH[:16]])
def test_a_bypass_is_honoured(until: str, spec_hash: str) -> None:
    assert refusal(Bypass("r", until, spec_hash), HASH, now=NOW, requester=ALLOWED) is None


USERS: dict[str, tuple[UserInfo, bool]] = {
    "a person": (UserInfo("jane", ("ops", "system:authenticated")), True),
    "an administrator": (UserInfo("admin", ("system:masters",)), True),
    "by name": (UserInfo("system:serviceaccount:team-a:deployer", None), False),
    "by group": (UserInfo("deployer", ("system:serviceaccounts", "system:authenticated")), False),
    "a name that only looks alike": (UserInfo("serviceaccount:team-a", ()), True),
}


@pytest.mark.parametrize(("user", "person"), USERS.values(), ids=USERS.keys())
def test_a_service_account_is_no_person(user: UserInfo, person: bool) -> None:
    assert is_person(user) is person


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
    assert refusal(found, HASH, now=NOW, requester=ALLOWED) is not None
    why = refusal(Bypass("r", found.until, HASH), HASH, now=NOW, requester=ALLOWED)
    assert why is None or explained(why, HASH)
