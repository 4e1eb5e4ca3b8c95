"""How long to wait before asking again."""

import random
from collections.abc import Callable

Jitter = Callable[[float, float], float]

FIRST_SECONDS = 0.2
MOST_SECONDS = 8.0
"""An API server that is back has to be found within ten seconds (client-go waits up to 30)."""
_FLOOR_SECONDS = 0.1


class Backoff:
    """Full jitter: anything between a small floor and a bound that doubles with every failure.

    ``jitter`` gives a number between two; the default is random.
    """

    def __init__(
        self, first: float = FIRST_SECONDS, most: float = MOST_SECONDS, jitter: Jitter = random.uniform
    ) -> None:
        self._first = first
        self._most = most
        self._jitter = jitter
        self.failures = 0

    def next(self, at_least: float = 0.0) -> float:
        """Count a failure and give seconds to wait; ``at_least`` is what a server asked for (Retry-After)."""
        bound = min(self._first * 2 ** min(self.failures, 32), self._most)
        self.failures += 1
        return max(at_least, _FLOOR_SECONDS + self._jitter(0.0, bound))

    def reset(self) -> None:
        """Start anew after a success."""
        self.failures = 0
