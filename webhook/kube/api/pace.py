"""How long a reflector waits for what."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from webhook.kube.api.backoff import Jitter


@dataclass(frozen=True, slots=True)
class Pace:
    """Waiting times in seconds, and where time and chance come from.

    ``idle``: a watch in which nothing is read for so long may be dead, and is opened again where it ended, which
    is cheap. A server sends a bookmark about every minute, so on a quiet kind this happens now and then; a dead
    connection has to be found within a minute. ``missing``: how soon to look again for a kind that is not
    installed. ``settled``: a watch that lasted longer was none of a server's that closes at once.
    """

    idle: float = 55.0
    missing: float = 30.0
    settled: float = 10.0
    connect: float = 10.0
    page: float = 30.0
    jitter: Jitter = random.uniform
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
