"""P30: whatever happens in whatever order, every client verifies every certificate that is served."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from certs import CertificateAuthority, KeyPair
from certs.bundle import encoded, leaf_of, valid, verifies
from certs.choice import Holding
from certs.plan import plan
from certs.renewal import Policy, Reason
from certs.situation import Observed, Plan, Requests
from certs.trust import Trust, certificate_of
from tests.certs.rotations import CLIENTS, POLICY, START, BrokenError, renamed, settled

DAY = timedelta(days=1)
EXAMPLES = settings.default.max_examples // 4 if settings.default else 50
QUICKLY = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    # Keys and serials are drawn by OpenSSL: to play a failure again in smaller steps would be another play.
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
STEP = "a step"
MOVES = st.sampled_from([STEP, STEP, STEP, "half a step", "another leader", 0, 1])
PARTS = ["ca.crt", "ca.key", "next.crt", "previous.crt", "ends.json", "tls.crt", "tls.key"]
STRANGER = CertificateAuthority.create("somebody else", now=START, lifetime=20 * 365 * DAY)


class Certificates(RuleBasedStateMachine):
    """The leader may stop between any two writes, servers look when they like, storage and clocks fail."""

    def __init__(self) -> None:
        super().__init__()
        self.world = settled()
        self.backup = (dict(self.world.authorities or {}), dict(self.world.leaf or {}))

    @rule(moves=st.lists(MOVES, min_size=1, max_size=8))
    def go_on(self, moves: list[str | int]) -> None:
        for move in moves:
            if move == "another leader":
                self.world.holding = Holding()
            elif move == "half a step":
                self.world.step(1)
            elif isinstance(move, int):
                self.world.notice(move)
            else:
                self.world.step()

    @rule(leaf=st.booleans(), authority=st.booleans())
    def ask(self, leaf: bool, authority: bool) -> None:
        self.world.requests = replace(self.world.requests, leaf=leaf, authority=authority)
        self.go_on([STEP] * 6 + [0])

    @rule(seconds=st.sampled_from([1, 30, 61, 3600, 86400, 20 * 86400, 65 * 86400]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(by=st.sampled_from([timedelta(minutes=-10), timedelta(days=8)]))
    def jump(self, by: timedelta) -> None:
        self.world.jump(by)

    @rule(server=st.integers(0, 2), names=st.sampled_from([("gate",), ("gate", "gate.other.svc")]))
    def configure(self, server: int, names: tuple[str, ...]) -> None:
        self.world.policy = renamed(POLICY, *names)
        self.world.servers[server] = None
        self.world.notice(server)

    @rule(fault=st.sampled_from(["authorities", "leaf", "key", "planted", "restored"]))
    def storage_fails(self, fault: str) -> None:
        world = self.world
        pair = STRANGER.issue(["gate"], now=START, lifetime=3000 * DAY)
        if fault == "authorities":
            world.authorities = None
        elif fault == "leaf":
            world.leaf = None
        elif fault == "key" and world.leaf is not None:
            world.leaf = {**world.leaf, "tls.key": pair.private_key}
        elif fault == "planted":
            world.leaf = {"tls.crt": pair.certificate_chain, "tls.key": pair.private_key, "ca.crt": b""}
        elif fault == "restored":
            world.authorities, world.leaf = dict(self.backup[0]), dict(self.backup[1])

    @rule(name=st.sampled_from(PARTS), at=st.integers(0, 900))
    def half_written(self, name: str, at: int) -> None:
        for stored in (self.world.authorities, self.world.leaf):
            if stored is not None and name in stored:
                stored[name] = stored[name][:at]

    @rule()
    def back_up(self) -> None:
        self.backup = (dict(self.world.authorities or {}), dict(self.world.leaf or {}))

    @rule(clients=st.sets(st.sampled_from(CLIENTS), min_size=1), how=st.sampled_from(["blank", "add", "replace"]))
    def tamper(self, clients: set[str], how: str) -> None:
        for client in clients:
            stranger = b"" if how == "blank" else STRANGER.certificate_pem
            self.world.live[client] = stranger + (self.world.live[client] if how == "add" else b"")
        self.world.excused = True
        self.go_on([STEP] * 3)

    @rule()
    def recover(self) -> None:
        self.world.settle()

    @invariant()
    def accepted(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        """Whatever happened: left alone, it heals, and then nothing more is written."""
        self.world.settle()
        before = self.world.writes
        self.world.step()
        assert self.world.writes == before


@pytest.mark.timeout(400)
def test_every_client_accepts_every_certificate_that_is_served() -> None:
    run_state_machine_as_test(Certificates, settings=QUICKLY)


def leaf_first(observed: Observed, policy: Policy, now: datetime) -> Plan:
    """The naive order that shows a leaf of the new authority at once, and tells the clients afterwards."""
    planned = plan(observed, policy, now)
    if isinstance(observed.trust, Trust) and observed.trust.next is not None:
        return Plan(now, trust=observed.trust.promoted())
    if isinstance(observed.trust, Trust) and isinstance(observed.leaf, KeyPair):
        issuer = observed.trust.current
        if not verifies(issuer.certificate_pem, observed.leaf, now):
            pair = issuer.issue(policy.names.dns, now=now, lifetime=policy.leaf_lifetime)
            return Plan(now, bundle=planned.bundle, leaf=pair)
    return planned


def authority_replaced(observed: Observed, policy: Policy, now: datetime) -> Plan:
    """The naive order that gives all clients the new authority alone, and issues its leaf afterwards."""
    trust = observed.trust
    if isinstance(trust, Trust) and (trust.next is not None or trust.previous):
        if trust.next is not None:
            return Plan(now, trust=trust.promoted())
        bundle = encoded([certificate_of(trust.current)])
        stale = tuple(name for name, live in observed.live.items() if live != bundle)
        if stale:
            return Plan(now, bundle=bundle, stale=stale)
    return plan(observed, policy, now)


@pytest.mark.parametrize("naive", [leaf_first, authority_replaced])
def test_the_naive_orders_break_it(naive: object) -> None:
    world = settled(trusting=True)
    world.planner = naive  # type: ignore[assignment]
    world.requests = Requests(authority=True)
    with pytest.raises(BrokenError):
        world.settle()


def test_servers_that_look_before_they_show_bear_a_leaf_that_comes_first() -> None:
    world = settled()
    world.planner = leaf_first
    world.requests = Requests(authority=True)
    world.settle()


@pytest.mark.parametrize("trusting", [True, False])
def test_the_order_does_not(trusting: bool) -> None:
    world = settled(trusting=trusting)
    before = world.servers[0]
    world.requests = Requests(authority=True)
    world.settle()
    assert Reason.FORCED in world.reasons
    assert Reason.WRONG_AUTHORITY in world.reasons
    assert before != world.servers[0]
    assert all(pair is not None and valid(leaf_of(pair), world.now) for pair in world.servers)
