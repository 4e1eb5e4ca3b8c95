"""Which of two leaves a server shows: a newer one only when no client loses by it."""

from collections.abc import Collection
from datetime import datetime, timedelta

from certs.bundle import fingerprints, leaf_of, valid, verifies
from certs.pair import KeyPair


def preferable(offered: KeyPair, served: KeyPair, bundles: Collection[bytes], now: datetime) -> bool:
    """Tell whether to show the offered pair instead of the one that is served, given what clients trust.

    Yes when it is valid and all clients verify it, else only when more of them do than verify the served one: a
    pair from a restored backup, or anybody's, must not replace one that works.
    """
    ours, theirs = (_worth(pair, bundles, now) for pair in (offered, served))
    return ours == (len(bundles), True) or ours > theirs


def _worth(pair: KeyPair, bundles: Collection[bytes], now: datetime) -> tuple[int, bool]:
    return sum(verifies(bundle, pair, now) for bundle in bundles), valid(leaf_of(pair), now)


class Recent:
    """Remembers what clients held a short while ago: an API server may be told late."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left: dict[bytes, float] = {}
        self._held: frozenset[bytes] = frozenset()

    def observe(self, bundles: Collection[bytes], clock: float) -> frozenset[bytes]:
        """Take in what clients hold now, and give all that any of them may still go by."""
        now = frozenset(bundles)
        self._left |= dict.fromkeys(self._held - now, clock)
        self._held = now
        self._left = {old: at for old, at in self._left.items() if clock - at < self._seconds and old not in now}
        return now | self._left.keys()


class Holding:
    """Remembers since when all clients have held each authority, on a clock that never jumps."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def observe(self, bundles: Collection[bytes], clock: float) -> dict[str, timedelta]:
        """Take in what clients hold now, and give by fingerprint how long all of them have."""
        sets = [fingerprints(bundle) for bundle in bundles]
        everywhere = frozenset.intersection(*sets) if sets else frozenset()
        self._since = {name: self._since.get(name, clock) for name in everywhere}
        return {name: timedelta(seconds=clock - since) for name, since in self._since.items()}
