"""A world of certificates without a cluster: storage, clients with their bundles, servers, and a leader."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from certs.bundle import leaf_of, valid, verifies
from certs.choice import Holding, preferable
from certs.pair import KeyPair
from certs.plan import plan
from certs.renewal import Names, Policy, Reason
from certs.situation import Observed, Plan, Requests
from certs.trust import decode, stored_pair

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(Names(("gate", "gate.system", "gate.system.svc")))
CLIENTS = ("mutating/0", "mutating/1", "validating/0")
Planner = Callable[[Observed, Policy, datetime], Plan]


class BrokenError(AssertionError):
    """A client refuses what a server shows."""


@dataclass
class Rotation:
    """All of it. Every client is one webhook; ``bundles`` keeps what we wrote into it, and when, for one settling.

    An API server may know any of those: what it is told reaches it late.
    """

    planner: Planner = plan
    policy: Policy = POLICY
    now: datetime = START
    clock: float = 0.0
    authorities: dict[str, bytes] | None = None
    leaf: dict[str, bytes] | None = None
    live: dict[str, bytes] = field(default_factory=lambda: dict.fromkeys(CLIENTS, b""))
    bundles: list[tuple[float, str, bytes]] = field(default_factory=list)
    servers: list[KeyPair | None] = field(default_factory=lambda: [None, None, None])
    requests: Requests = field(default_factory=Requests)
    holding: Holding = field(default_factory=Holding)
    reasons: list[Reason] = field(default_factory=list)
    writes: int = 0
    trusting: bool = False
    """Whether servers show whatever is stored, as most do."""
    excused: bool = True
    """Somebody else changed what clients hold, or nothing has been served yet: until all is well again."""

    def observed(self) -> Observed:
        return Observed(
            decode(self.authorities),
            self.stored_leaf(),
            (self.leaf or {}).get("ca.crt", b""),
            dict(self.live),
            self.holding.observe(list(self.live.values()), self.clock),
            self.requests,
        )

    def stored_leaf(self) -> KeyPair | Reason:
        return stored_pair(self.leaf)

    def step(self, parts: int = 9) -> Plan:
        """Have the leader look once and do so many parts of what it planned."""
        planned = self.planner(self.observed(), self.policy, self.now)
        if planned.reason is not None:
            self.reasons.append(planned.reason)
        if planned.trust is not None and parts:
            self.authorities = planned.trust.encode()
            self.writes += 1
        self.requests = Requests(
            self.requests.leaf and not planned.done.leaf,
            self.requests.authority and not planned.done.authority,
            self.requests.prune and not planned.done.prune,
        )
        for client in planned.stale[:parts]:
            self.live[client] = planned.bundle
            self.bundles.append((self.clock, client, planned.bundle))
            self.writes += 1
        if planned.leaf is not None and parts > len(planned.stale):
            self.leaf = {
                "tls.crt": planned.leaf.certificate_chain,
                "tls.key": planned.leaf.private_key,
                "ca.crt": planned.bundle,
            }
            self.writes += 1
        self.check()
        return planned

    def notice(self, server: int) -> None:
        """Have a server look at the stored leaf."""
        offered = self.stored_leaf()
        served = self.servers[server]
        bundles = [bundle for _, bundle in self.known()]
        if isinstance(offered, Reason):
            return
        if not any(pair is not None and valid(leaf_of(pair), self.now) for pair in self.servers):
            self.bundles.clear()  # nobody accepts any of those: who is told late loses nothing by another
        if served is None:
            if all(verifies(bundle, offered, self.now) for bundle in self.live.values()):
                self.servers[server] = offered
        elif self.trusting or preferable(offered, served, bundles, self.now):
            self.servers[server] = offered
        self.check()

    def settle(self, rounds: int = 60) -> None:
        """Have the leader and all servers do what there is to do, and time pass where they wait."""
        for _ in range(rounds):
            before = self.writes
            planned = self.step()
            for server in range(len(self.servers)):
                self.notice(server)
            if before != self.writes:
                continue
            if not planned.waiting and self.servers == [self.stored_leaf()] * len(self.servers):
                break
            self.pass_time(61)
        else:
            raise AssertionError(f"no end of writes: {planned}")
        self.excused = False
        assert None not in self.servers
        self.check()

    def pass_time(self, seconds: float) -> None:
        self.clock += seconds
        self.now += timedelta(seconds=seconds)
        self.check()

    def jump(self, by: timedelta) -> None:
        self.now += by
        self.check()

    def known(self) -> set[tuple[str, bytes]]:
        """Give what bundles of ours any client may know."""
        since = self.clock - self.policy.settle.total_seconds()
        known = {(client, bundle) for client, bundle in self.live.items()}
        for client in CLIENTS:
            ours = [(at, bundle) for at, name, bundle in self.bundles if name == client]
            known |= {(client, bundle) for at, bundle in ours if at > since}
            known |= {(client, bundle) for _, bundle in [one for one in ours if one[0] <= since][-1:]}
        return known

    def check(self) -> None:
        """P30: every client, whatever of our bundles it knows, accepts every certificate that is served."""
        if self.excused:
            return
        for pair in self.servers:
            if pair is None or not valid(leaf_of(pair), self.now):
                continue
            for client, bundle in self.known():
                if not verifies(bundle, pair, self.now):
                    raise BrokenError(f"{client} refuses serial {pair.serial}")


def settled(**given: object) -> Rotation:
    """Give a world in which all is well."""
    world = Rotation(**given)  # type: ignore[arg-type]
    world.settle()
    return world


def renamed(policy: Policy, *names: str) -> Policy:
    return replace(policy, names=Names(names))
