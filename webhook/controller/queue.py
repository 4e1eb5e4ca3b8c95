"""The controller's work queue: keys that need a look, each once, each alone, and again later when it failed."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from webhook.errors import ConflictError, NotLeadingError, UnreachableError

Key = tuple[str, str]
"""Namespace and name."""
Worker = Callable[[Key], Awaitable[float | None]]
"""Looks at a key; gives after how many seconds to look again, or None."""

SHORTEST = 0.05
"""Seconds of the first back-off; each further one is twice as long."""
LONGEST = 60.0
"""Seconds of the longest back-off."""
PAUSE = 0.2
"""Seconds between two looks at a key that fails, whatever news of it arrives: at most five a second."""
PATIENCE = 300.0
"""Seconds of the longest ``Retry-After`` that is believed: a proxy's maintenance page may ask for a day."""


class WorkQueue:
    """Keys in the order in which they were added, one entry a key.

    All methods are for the event loop's own thread, and its clock is the queue's. One that fails is looked at
    again: after a conflict soon, after anything else ever later, and always after the others that wait already.
    ``failed`` is told of every failure and must not raise; ``jitter`` gives numbers from 0 up to 1.
    """

    def __init__(
        self, failed: Callable[[Key, Exception], None], *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._failed = failed
        self._jitter = jitter
        self._ready: dict[Key, None] = {}
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._running: set[Key] = set()
        self._again: dict[Key, float] = {}  # asked for while running: the loop's time from which on
        self._failures: dict[Key, int] = {}
        self._not_before: dict[Key, float] = {}  # of failing keys
        self._news = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def depth(self) -> int:
        """How many keys wait for a worker now."""
        return len(self._ready)

    @property
    def retrying(self) -> int:
        """How many keys failed when last looked at."""
        return len(self._failures)

    def add(self, key: Key) -> None:
        """Have a key looked at as soon as a worker is free; a wait that ``add_after`` or a failure began ends.

        While the key is being looked at: once more afterwards. One that fails rests for a moment all the same, or
        somebody who changes an object all the time would make the worker spin.
        """
        self.add_after(key, 0.0)

    def add_after(self, key: Key, seconds: float) -> None:
        """Have a key looked at in ``seconds`` from now, or earlier when that was asked for already."""
        now = asyncio.get_running_loop().time()
        if key in self._running:
            self._again[key] = min(self._again.get(key, now + seconds), now + seconds)
        else:
            self._schedule(key, max(now + seconds, self._not_before.get(key, now)))

    async def run(self, worker: Worker, *, workers: int = 4) -> None:
        """Hand keys to ``worker``, as many at a time as there are ``workers``, until cancelled.

        A NotLeadingError of any key ends the run and is raised. What was in hand when the run ends is looked at
        again in the next.
        """
        tasks = [asyncio.create_task(self._work(worker)) for _ in range(workers)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def settle(self) -> None:
        """Wait until no key is ready, in hand or due by now; keys that wait for a later time do not count."""
        while True:
            await self._quiet.wait()
            now = asyncio.get_running_loop().time()
            if all(timer.when() > now for timer in self._later.values()):
                return
            await asyncio.sleep(0)

    def _schedule(self, key: Key, when: float) -> None:
        """Put a key that is not in hand where it belongs; the earlier of two times wins."""
        if key in self._ready:
            return
        loop = asyncio.get_running_loop()
        waiting = self._later.get(key)
        if waiting is not None:
            if waiting.when() <= when:
                return
            self._later.pop(key).cancel()
        if when <= loop.time():
            self._enqueue(key)
        else:
            self._later[key] = loop.call_at(when, self._due, key)

    def _due(self, key: Key) -> None:
        del self._later[key]
        self._enqueue(key)

    def _enqueue(self, key: Key) -> None:
        self._ready[key] = None
        self._quiet.clear()
        self._news.set()

    async def _work(self, worker: Worker) -> None:
        me = asyncio.current_task()
        # A worker that swallows the cancellation must not keep the run from ending.
        while me is None or not me.cancelling():
            while not self._ready:
                self._news.clear()
                await self._news.wait()
            key = next(iter(self._ready))
            del self._ready[key]
            self._running.add(key)
            after: float | None = 0.0  # also when the run ends meanwhile: what was in hand may be half done
            try:
                after = await self._look(worker, key)
            finally:
                self._running.discard(key)
                self._finish(key, after)

    async def _look(self, worker: Worker, key: Key) -> float | None:
        """Give after how many seconds to look again, or None."""
        try:
            after = await worker(key)
        except NotLeadingError:
            raise
        except Exception as error:  # noqa: BLE001 # one key that fails must not stop the others
            self._failed(key, error)
            return self._back_off(key, error)
        self._failures.pop(key, None)
        self._not_before.pop(key, None)
        return after

    def _back_off(self, key: Key, error: Exception) -> float:
        failures = self._failures.get(key, 0)
        if isinstance(error, ConflictError):
            # Somebody else makes progress: no reason to stay away for long, now or at the next real failure.
            longest = PAUSE
            self._failures[key] = max(failures, min(failures + 1, 2))
        else:
            longest = LONGEST
            self._failures[key] = failures + 1
        # A bounded exponent: 2.0 to the number of failures of a year would overflow.
        delay = min(SHORTEST * 2.0 ** min(failures, 32), longest) * (0.8 + 0.4 * self._jitter())
        floor = min(delay, PAUSE)
        if isinstance(error, UnreachableError):
            floor = max(floor, min(error.retry_after, PATIENCE))
        self._not_before[key] = asyncio.get_running_loop().time() + floor
        return max(delay, floor)

    def _finish(self, key: Key, after: float | None) -> None:
        again = self._again.pop(key, None)
        now = asyncio.get_running_loop().time()
        times = [when for when in (again, None if after is None else now + after) if when is not None]
        if times:
            self._schedule(key, max(min(times), self._not_before.get(key, now)))
        if not self._ready and not self._running:
            self._quiet.set()
