"""What is observed of certificates, and what is to be done about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from certs.pair import KeyPair
from certs.renewal import Reason
from certs.trust import Lost, Trust


@dataclass(frozen=True, slots=True)
class Requests:
    """What somebody asked for: a new leaf, a new authority, old authorities forgotten at once."""

    leaf: bool = False
    authority: bool = False
    prune: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What is stored and what clients hold. ``leaf`` is the pair that is stored, or why there is none.

    ``published`` is the bundle stored beside it, ``live`` the bundle that each client holds right now,
    and ``held`` says by fingerprint how long all of them have held an authority, on a clock that never jumps.
    """

    trust: Trust | Lost
    leaf: KeyPair | Reason
    published: bytes
    live: Mapping[str, bytes]
    held: Mapping[str, timedelta]
    requests: Requests = Requests()


@dataclass(frozen=True, slots=True)
class Plan:
    """The next steps. A trust comes alone: store it, observe anew. All else may be done in any order.

    ``bundle`` is for the clients named in ``stale``, and is stored beside ``leaf``; ``reason`` says why the trust
    has a new authority, or why the leaf is new. ``due`` is when to look again, if nothing happens before; ``done``
    are the requests that these steps fulfil.
    """

    due: datetime
    trust: Trust | None = None
    bundle: bytes = b""
    stale: tuple[str, ...] = ()
    leaf: KeyPair | None = None
    reason: Reason | None = None
    waiting: str = ""
    done: Requests = Requests()
