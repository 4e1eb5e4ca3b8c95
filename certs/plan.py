"""What to do next about certificates, so that at every instant each client verifies whatever is served.

The order that keeps this so: a new authority is stored, joins the bundle of every client, and has settled there
before a leaf of it is shown; an old one stays in the bundle until no leaf of it can be served any more. Each step
follows from what is observed alone, so that whoever takes over half way goes on.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from certs.authority import CertificateAuthority
from certs.bundle import certificates, encoded, fingerprint, fingerprints, issued_by, leaf_of, valid
from certs.pair import KeyPair
from certs.renewal import Policy, Reason, ageing, renew_at
from certs.situation import Observed, Plan, Requests
from certs.trust import Lost, Trust, certificate_of

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The end of the last leaf of an authority that has issued none."""


def plan(observed: Observed, policy: Policy, now: datetime) -> Plan:
    """Give the next steps."""
    changed = _trust(observed, policy, now) or _requested(observed, policy, now)
    if changed is not None:
        return changed
    trust = observed.trust
    assert isinstance(trust, Trust)  # noqa: S101 # a lost one was replaced above
    wanted = _bundle(trust, policy, now)
    bundle = encoded(wanted)
    stale = tuple(sorted(name for name, live in observed.live.items() if live != bundle))
    issuer = trust.next if trust.next is not None and _usable(trust.next, now) else trust.current
    why = _leaf_reason(observed, trust, policy, now)
    if issuer is trust.current and why is None:
        return _settled(observed, trust, policy, now, bundle, stale)
    if not _usable(issuer, now):
        return Plan(now + policy.settle, bundle=bundle, stale=stale, waiting="no authority is valid now")
    obstacle, left = _obstacle(observed, trust, issuer, policy, now)
    if obstacle and issuer is trust.next and why is not None and _usable(trust.current, now):
        issuer = trust.current  # a leaf that is due does not wait for the next authority
        obstacle, left = _obstacle(observed, trust, issuer, policy, now)
    if obstacle:
        return Plan(now + left, bundle=bundle, stale=stale, waiting=obstacle)
    announced = _announced(trust, issuer, policy, now)
    if announced != trust:
        return Plan(now, trust=announced)
    pair = issuer.issue(
        policy.names.dns, now=now, lifetime=policy.leaf_lifetime, ip_addresses=policy.names.addresses
    )
    return Plan(now, bundle=bundle, stale=stale, leaf=pair, reason=why, done=Requests(leaf=True))


def _trust(observed: Observed, policy: Policy, now: datetime) -> Plan | None:
    """Give the plan when authorities are lost, unknown, due or gone; None when they are as they should be."""
    trust = observed.trust
    if isinstance(trust, Lost):
        created = _created(policy, now)
        left = (*trust.certificates, *_around(observed))
        kept = tuple({fingerprint(old): old for old in left if _lives(old, policy, now)}.values())
        return Plan(now, trust=Trust(created, None, kept, {created.fingerprint: _NEVER}), reason=trust.reason)
    adopted = _adopted(observed, trust, policy, now)
    if adopted:
        return Plan(now, trust=replace(trust, previous=(*trust.previous, *adopted)))
    following = trust.next
    if following is None:
        why = ageing(trust.current.pair, now)
    elif why := ageing(following.pair, now):
        # It never issued a leaf: another takes its place.
        trust = replace(trust, next=None, previous=(certificate_of(following), *trust.previous))
    if why is not None:
        return Plan(now, trust=_with_next(trust, policy, now), reason=why)
    gone = _gone(observed, trust, policy, now)
    return Plan(now, trust=trust.without(gone)) if gone else None


def _requested(observed: Observed, policy: Policy, now: datetime) -> Plan | None:
    """Give the plan when somebody asks for another set of authorities."""
    trust = observed.trust
    assert isinstance(trust, Trust)  # noqa: S101 # a lost one was replaced
    if observed.requests.authority:
        done = Requests(authority=True)
        if trust.next is not None:
            return Plan(now, trust=trust, done=done)  # a new one is on its way
        return Plan(now, trust=_with_next(trust, policy, now), reason=Reason.FORCED, done=done)
    if observed.requests.prune and isinstance(observed.leaf, KeyPair):
        return Plan(now, trust=_pruned(observed.leaf, trust), done=Requests(prune=True))
    return None


def _created(policy: Policy, now: datetime) -> CertificateAuthority:
    name = f"{policy.subject} CA {now:%Y-%m-%dT%H:%M:%SZ}"
    return CertificateAuthority.create(name, now=now, lifetime=policy.ca_lifetime)


def _with_next(trust: Trust, policy: Policy, now: datetime) -> Trust:
    created = _created(policy, now)
    return replace(trust, next=created, ends={**trust.ends, created.fingerprint: _NEVER})


def _around(observed: Observed) -> tuple[x509.Certificate, ...]:
    """Give the CA certificates that clients hold, and those stored beside the leaf."""
    return certificates(b"\n".join((*observed.live.values(), observed.published)))


def _adopted(observed: Observed, trust: Trust, policy: Policy, now: datetime) -> tuple[x509.Certificate, ...]:
    """Give CA certificates that clients hold, that are not known, and that a served leaf may need.

    Those are our own ones (storage was put back to an earlier state), those that verify the stored leaf, and when
    that one cannot be read, all: what is served then is not known. Any other was put there by somebody else.
    """
    known = {fingerprint(authority) for authority in trust.certificates}
    unknown = (found for found in _around(observed) if fingerprint(found) not in known)
    return tuple(
        found
        for found in unknown
        if _lives(found, policy, now)
        and (
            isinstance(observed.leaf, Reason)
            or issued_by(leaf_of(observed.leaf), found)
            or found.subject.rfc4514_string().startswith(f"CN={policy.subject} CA ")
        )
    )


def _pruned(leaf: KeyPair, trust: Trust) -> Trust:
    """Give what it becomes when all old authorities but that of the stored leaf are to be forgotten at once."""
    certificate = leaf_of(leaf)
    at_once = {fingerprint(old): _NEVER for old in trust.previous if not issued_by(certificate, old)}
    return replace(trust, ends={**trust.ends, **at_once})


def _gone(observed: Observed, trust: Trust, policy: Policy, now: datetime) -> frozenset[str]:
    """Give the fingerprints of old authorities that have left the bundle everywhere."""
    held = {fingerprint(authority) for authority in _around(observed)}
    kept = {fingerprint(authority) for authority in _bundle(trust, policy, now)}
    return frozenset(fingerprint(old) for old in trust.previous) - held - kept


def _bundle(trust: Trust, policy: Policy, now: datetime) -> tuple[x509.Certificate, ...]:
    """Give the CA certificates that clients are to hold."""
    known = trust.certificates
    issuing = known[: len(known) - len(trust.previous)]
    return (*issuing, *(old for old in trust.previous if trust.end(old) + policy.slack > now))


def _lives(authority: x509.Certificate, policy: Policy, now: datetime) -> bool:
    return authority.not_valid_after_utc + policy.slack > now


def _usable(authority: CertificateAuthority, now: datetime) -> bool:
    return valid(certificate_of(authority), now)


def _leaf_reason(observed: Observed, trust: Trust, policy: Policy, now: datetime) -> Reason | None:
    """Say why the stored leaf is to be replaced."""
    leaf = observed.leaf
    if isinstance(leaf, Reason):
        return leaf
    if not issued_by(leaf_of(leaf), certificate_of(trust.current)):
        return Reason.WRONG_AUTHORITY
    if (aged := ageing(leaf, now)) is not None:
        return aged
    if not policy.names.of(leaf):
        return Reason.NAMES_CHANGED
    return Reason.FORCED if observed.requests.leaf else None


def _obstacle(
    observed: Observed, trust: Trust, issuer: CertificateAuthority, policy: Policy, now: datetime
) -> tuple[str, timedelta]:
    """Say what keeps a leaf of this authority from being shown, "" when nothing does, and how long to wait."""
    if not observed.live:
        return "", timedelta()  # nobody asks yet
    name = issuer.fingerprint
    if any(name not in fingerprints(live) for live in observed.live.values()):
        return "not every webhook holds the authority yet", policy.settle
    if isinstance(observed.leaf, KeyPair) and issued_by(leaf_of(observed.leaf), certificate_of(issuer)):
        return "", timedelta()  # clients that verify the leaf in use verify this one too
    left = policy.settle - observed.held.get(name, timedelta())
    if left <= timedelta():
        return "", timedelta()
    if issuer is trust.next and _usable(trust.current, now):
        return "the authority is settling", left  # what is due comes from the one that all hold
    others = (old for old in trust.certificates if fingerprint(old) != name)
    if all(trust.end(old) + policy.slack <= now for old in others):
        return "", timedelta()  # no other leaf can be in use
    return "the authority is settling", left


def _announced(trust: Trust, issuer: CertificateAuthority, policy: Policy, now: datetime) -> Trust:
    """Give the trust to store before this authority issues: it is current, and its leaf may live so long."""
    promoted = trust.promoted() if issuer is trust.next else trust
    certificate = certificate_of(issuer)
    end = min(now + policy.leaf_lifetime, certificate.not_valid_after_utc)
    if promoted.end(certificate) >= end:
        return promoted
    return replace(promoted, ends={**promoted.ends, issuer.fingerprint: end + policy.slack})


def _settled(
    observed: Observed, trust: Trust, policy: Policy, now: datetime, bundle: bytes, stale: tuple[str, ...]
) -> Plan:
    """Give the plan when no certificate is due: bundles in step, and when to look again."""
    assert isinstance(observed.leaf, KeyPair)  # noqa: S101 # else it were due
    leaving = (trust.end(old) + policy.slack for old in trust.previous)
    moments = (renew_at(observed.leaf), renew_at(trust.current.pair), *leaving)
    due = min((moment for moment in moments if moment > now), default=now + policy.settle)
    again = observed.leaf if observed.published != bundle else None
    return Plan(due, bundle=bundle, stale=stale, leaf=again)
