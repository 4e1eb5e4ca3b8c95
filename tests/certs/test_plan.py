"""The next steps about certificates, one situation at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certs import CertificateAuthority, KeyPair
from certs.bundle import certificates, encoded, fingerprint, fingerprints, verifies
from certs.choice import Holding, Recent, preferable
from certs.renewal import Names, Policy, Reason, ageing, renew_at
from certs.situation import Requests
from certs.trust import Lost, Trust, decode
from tests.certs.handshakes import openssl
from tests.certs.rotations import CLIENTS, POLICY, START, BrokenError, Rotation, renamed, settled

DAY = timedelta(days=1)
OTHER = CertificateAuthority.create("somebody else", now=START, lifetime=2000 * DAY)


def trust_of(world: Rotation) -> Trust:
    found = decode(world.authorities)
    assert isinstance(found, Trust)
    return found


def bundle_of(world: Rotation) -> bytes:
    (bundle,) = set(world.live.values())
    return bundle


def renewed(world: Rotation) -> list[Reason]:
    world.reasons.clear()
    world.settle()
    return world.reasons


def test_a_first_start_waits_for_nothing_but_the_bundles() -> None:
    world = Rotation()
    world.settle()
    assert world.clock == 0.0
    assert world.reasons == [Reason.MISSING, Reason.MISSING]
    assert len(certificates(bundle_of(world))) == 1
    assert world.servers[0] is not None
    assert world.servers[0].dns_names == POLICY.names.dns


def test_without_any_client_a_leaf_is_issued_at_once() -> None:
    world = Rotation(live={})
    world.step()
    world.step()
    world.step()
    assert isinstance(world.stored_leaf(), KeyPair)


def test_a_new_authority_settles_everywhere_before_its_leaf_is_shown() -> None:
    world = settled()
    world.requests = Requests(authority=True)
    before = world.stored_leaf()
    world.step()
    world.step()
    assert len(certificates(bundle_of(world))) == 2
    waiting = world.step()
    assert waiting.waiting == "the authority is settling"
    world.pass_time(30)
    world.live[CLIENTS[0]] = encoded(certificates(bundle_of(world))[1:])  # somebody puts the old state back
    world.step()  # mended
    world.step()  # seen to be so: settling begins anew
    world.pass_time(59)
    assert world.step().waiting
    assert world.stored_leaf() == before
    world.pass_time(3)
    for _ in range(3):
        world.step()
    assert world.stored_leaf() != before


def test_a_new_leader_waits_once_more() -> None:
    world = settled()
    world.requests = Requests(authority=True)
    for _ in range(3):
        world.step()
    world.pass_time(61)
    world.holding = Holding()
    assert world.step().waiting == "the authority is settling"


def test_an_old_authority_stays_until_its_last_leaf_has_ended() -> None:
    world = settled()
    old = fingerprint(certificates(bundle_of(world))[0])
    first = world.stored_leaf()
    assert isinstance(first, KeyPair)
    world.requests = Requests(authority=True)
    world.settle()
    while world.now <= first.not_after:
        assert old in fingerprints(bundle_of(world))
        world.pass_time(86400)
        world.settle()
    world.pass_time(86400)
    world.settle()
    assert old not in fingerprints(bundle_of(world))
    assert old not in {fingerprint(one) for one in trust_of(world).certificates}
    assert old not in trust_of(world).ends


def test_old_authorities_are_forgotten_at_once_when_somebody_asks() -> None:
    world = settled()
    world.requests = Requests(authority=True)
    world.settle()
    world.requests = Requests(prune=True)
    world.settle()
    assert len(certificates(bundle_of(world))) == 1
    assert world.requests == Requests()


def test_a_request_for_an_authority_is_fulfilled_by_the_one_on_its_way() -> None:
    world = settled()
    world.requests = Requests(authority=True)
    world.step()
    world.requests = Requests(authority=True)
    world.settle()
    assert world.reasons.count(Reason.FORCED) == 1
    assert world.requests == Requests()


@pytest.mark.parametrize(
    ("part", "damage", "reason"),
    [
        ("ca.crt", b"-----BEGIN", Reason.UNREADABLE),
        ("ca.key", OTHER.private_key_pem, Reason.KEY_MISMATCH),
        ("ca.key", b"", Reason.UNREADABLE),
    ],
)
def test_a_damaged_authority_is_replaced_and_stays_in_the_bundle(part: str, damage: bytes, reason: Reason) -> None:
    world = settled()
    before = fingerprints(bundle_of(world))
    assert world.authorities is not None
    world.authorities[part] = damage
    lost = decode(world.authorities)
    assert isinstance(lost, Lost)
    assert renewed(world) == [reason, Reason.WRONG_AUTHORITY]
    assert before < fingerprints(bundle_of(world))


def test_a_lost_authority_lives_on_in_the_bundle_while_its_leaf_is_served() -> None:
    world = settled()
    before = fingerprints(bundle_of(world))
    world.authorities = None
    world.leaf = None
    assert renewed(world) == [Reason.MISSING, Reason.MISSING]
    assert before < fingerprints(bundle_of(world))


def test_storage_from_a_backup_takes_nothing_away_that_is_served() -> None:
    world = settled()
    backup = dict(world.authorities or {}), dict(world.leaf or {})
    world.requests = Requests(authority=True)
    world.settle()
    world.requests = Requests(prune=True)
    world.settle()
    world.authorities, world.leaf = backup
    world.settle()  # raises BrokenError where one is refused
    assert len(certificates(bundle_of(world))) == 2


def test_what_somebody_else_added_is_taken_out() -> None:
    world = settled()
    good = bundle_of(world)
    world.live[CLIENTS[1]] += OTHER.certificate_pem
    planned = world.step()
    assert planned.stale == (CLIENTS[1],)
    assert bundle_of(world) == good


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda world: world.leaf.pop("tls.crt"), Reason.UNREADABLE),
        (lambda world: world.leaf.update({"tls.key": OTHER.private_key_pem}), Reason.KEY_MISMATCH),
        (lambda world: setattr(world, "leaf", None), Reason.MISSING),
        (lambda world: setattr(world, "policy", renamed(POLICY, "gate", "other")), Reason.NAMES_CHANGED),
        (lambda world: setattr(world, "requests", Requests(leaf=True)), Reason.FORCED),
        (lambda world: world.jump(65 * DAY), Reason.EXPIRING),
        (lambda world: world.jump(-2 * timedelta(hours=1)), Reason.CLOCK_BEHIND),
    ],
)
def test_a_leaf_is_renewed_for_a_reason(damage: object, reason: Reason) -> None:
    world = settled()
    damage(world)  # type: ignore[operator]
    reasons = renewed(world)
    assert reason in reasons
    assert world.servers == [world.stored_leaf()] * 3
    assert renewed(world) == []


def test_a_leaf_that_expired_while_nobody_looked_is_replaced_without_waiting() -> None:
    world = settled()
    world.jump(100 * DAY)
    world.holding = Holding()
    clock = world.clock
    assert renewed(world) == [Reason.EXPIRING]
    assert world.clock == clock


def test_after_a_long_sleep_the_authority_that_all_hold_issues_first() -> None:
    world = settled()
    current = trust_of(world).current
    world.pass_time(250 * 86400)  # both are due
    for _ in range(4):
        world.step()
    leaf = world.stored_leaf()
    assert isinstance(leaf, KeyPair)
    assert verifies(current.certificate_pem, leaf, world.now)
    assert trust_of(world).next is not None


def test_a_leaf_does_not_wait_for_the_next_authority() -> None:
    world = settled()
    world.requests = Requests(authority=True)
    for _ in range(3):
        world.step()
    world.requests = Requests(leaf=True)
    current = trust_of(world).current
    for _ in range(3):
        world.step()
    leaf = world.stored_leaf()
    assert isinstance(leaf, KeyPair)
    assert verifies(current.certificate_pem, leaf, world.now)
    assert not world.requests.leaf


def test_a_year_and_a_half_of_renewals() -> None:
    world = settled()
    for _ in range(550):
        world.pass_time(86400)
        world.settle()
        assert len(certificates(bundle_of(world))) <= 2
    assert world.reasons.count(Reason.EXPIRING) >= 8
    assert set(world.reasons) == {Reason.MISSING, Reason.EXPIRING, Reason.WRONG_AUTHORITY}


def test_certificates_are_renewed_apart_and_each_always_at_its_moment() -> None:
    pairs = [OTHER.issue(["gate"], now=START, lifetime=90 * DAY) for _ in range(40)]
    moments = [renew_at(pair) for pair in pairs]
    assert len(set(moments)) > 20
    assert all(START + 50 * DAY < moment <= START + 60 * DAY for moment in moments)
    assert moments == [renew_at(pair) for pair in pairs]
    assert ageing(pairs[0], START) is None
    brief = OTHER.issue(["gate"], now=START, lifetime=timedelta(seconds=30))
    assert START + timedelta(seconds=16) < renew_at(brief) <= START + timedelta(seconds=20)


def test_a_pair_that_works_is_not_given_up_for_one_that_does_not() -> None:
    ours = CertificateAuthority.create("ours", now=START, lifetime=DAY)
    served, newer = (ours.issue(["gate"], now=START, lifetime=DAY) for _ in range(2))
    theirs = OTHER.issue(["gate"], now=START, lifetime=DAY)
    both = ours.certificate_pem + OTHER.certificate_pem
    assert preferable(newer, served, [ours.certificate_pem], START)
    assert not preferable(theirs, served, [ours.certificate_pem], START)
    assert not preferable(theirs, served, [both, ours.certificate_pem], START)
    assert preferable(theirs, served, [both, both], START)
    assert preferable(theirs, served, [OTHER.certificate_pem, b""], START)
    assert not preferable(theirs, served, [b"", b""], START)
    assert preferable(theirs, served, [], START)


def test_what_clients_held_a_short_while_ago_counts_too() -> None:
    recent = Recent(60)
    assert recent.observe([b"a"], 0) == {b"a"}
    assert recent.observe([b"a"], 100) == {b"a"}
    assert recent.observe([b"b"], 101) == {b"a", b"b"}
    assert recent.observe([b"b", b"c"], 160) == {b"a", b"b", b"c"}
    assert recent.observe([b"b"], 161) == {b"b", b"c"}
    assert recent.observe([b"b"], 221) == {b"b"}


def test_what_is_stored_is_read_again() -> None:
    world = settled()
    world.requests = Requests(authority=True)
    world.step()
    trust = trust_of(world)
    assert trust.next is not None
    again = decode(trust.encode())
    assert isinstance(again, Trust)
    assert again.encode() == trust.encode()
    assert decode({**trust.encode(), "ends.json": b"{"}) != Lost(Reason.UNREADABLE)
    assert isinstance(decode({**trust.encode(), "next.key": b""}), Trust)


def test_what_is_made_satisfies_strict_readers(tmp_path: Path) -> None:
    world = settled(
        now=datetime.now(UTC).replace(microsecond=0), policy=replace(POLICY, names=Names(("gate.svc",)))
    )
    world.requests = Requests(authority=True)
    world.settle()
    (tmp_path / "ca").write_bytes(bundle_of(world))
    leaf = world.stored_leaf()
    assert isinstance(leaf, KeyPair)
    (tmp_path / "leaf").write_bytes(leaf.certificate_chain)
    told = openssl(
        "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", f"{tmp_path}/ca", f"{tmp_path}/leaf"
    )
    assert told.returncode == 0, told.stderr


def test_the_check_of_these_tests_finds_a_refusal() -> None:
    world = settled()
    world.live[CLIENTS[0]] = OTHER.certificate_pem
    with pytest.raises(BrokenError):
        world.check()


def test_a_policy_has_the_defaults_that_are_promised() -> None:
    policy = Policy(Names(("gate",)))
    assert (policy.ca_lifetime, policy.leaf_lifetime, policy.settle) == (365 * DAY, 90 * DAY, timedelta(minutes=1))
