"""Taking in, while this process leads, what webhooks hand over: each batch alone, one that fails ever later."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from webhook.errors import NotLeadingError
from webhook.kube.outbox import Received

LONGEST = 60.0
"""Seconds of the longest back-off of a batch that fails."""
SHORTEST = 0.1
"""Seconds before a batch is looked at again, at least."""
SETTLE = 35.0
"""Seconds in which what was judged is stored, or never. Other webhooks may still be asked, all of them at once,
and the API server waits 30 s for each at most (Kubernetes 1.30 to 1.36, ``timeoutSeconds``)."""


class Intake:
    """Takes batches in, and again when one failed: after ``gather`` seconds, then twice as many each time.

    One that can never be taken in, say because its record is too large to be written, costs the API server no more
    than a request a minute, and keeps no other waiting. ``take`` is given a batch, and whether it has had its time
    to settle; it says whether the batch is taken in. One that is not is given again every ``gather`` seconds.
    """

    def __init__(
        self,
        waiting: Callable[[], Sequence[Received]],
        take: Callable[[Received, bool], Awaitable[bool]],
        failed: Callable[[Exception], None],
        gather: float,
    ) -> None:
        self._waiting, self._take, self._failed, self._gather = waiting, take, failed, gather
        self._pause = max(gather, SHORTEST)
        self._arrived = asyncio.Event()
        self._since: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def arrived(self) -> None:
        """Tell that there may be something to take in."""
        self._arrived.set()

    async def run(self) -> None:
        """Take in for ever, a moment after something arrived; NotLeadingError once this process leads no more."""
        while True:
            self._arrived.clear()
            await self._look()
            await asyncio.sleep(self._gather)
            due = min(self._not_before.values(), default=None)
            try:
                async with asyncio.timeout_at(due):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time
        found = self._waiting()
        self._since = {received.uid: self._since.get(received.uid, now()) for received in found}
        self._failures = {uid: count for uid, count in self._failures.items() if uid in self._since}
        self._not_before = {uid: when for uid, when in self._not_before.items() if uid in self._since}
        for received in found:
            if self._not_before.get(received.uid, 0.0) > now():
                continue
            try:
                done = await self._take(received, now() >= self._since[received.uid] + SETTLE)
            except NotLeadingError:
                raise
            except Exception as error:  # noqa: BLE001 # a batch that cannot be taken in must not end the lead
                self._failed(error)
                count = self._failures.get(received.uid, 0)
                self._failures[received.uid] = count + 1
                # A bounded exponent: 2.0 to the number of failures of a year would overflow.
                delay = min(self._pause * 2.0 ** min(count, 32), LONGEST)
                self._not_before[received.uid] = now() + delay
            else:
                self._failures.pop(received.uid, None)
                if done:
                    self._not_before.pop(received.uid, None)
                else:
                    self._not_before[received.uid] = now() + self._pause
