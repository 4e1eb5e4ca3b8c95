"""The way of a rejection from the request path to the record: a bounded heap of news, folded in off the path."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from webhook.audit.rejections.batch import portion
from webhook.audit.rejections.rejection import Rejected

Keep = Callable[[str, str, tuple[Rejected, ...]], Awaitable[None]]
"""Folds news into the record of a Deployment: namespace, name, news."""
Post = Callable[[tuple[Rejected, ...]], Awaitable[None]]
"""Takes a batch of news over, all or nothing."""

LIMIT = 1000
"""Distinct rejections that may wait; further ones are dropped, and counted."""


class Ledger:
    """Takes rejections without waiting and hands them on in bulk. Alike ones are counted, not stored twice."""

    def __init__(
        self,
        dropped: Callable[[int], None],
        limit: int = LIMIT,
        gather_seconds: float = 1.0,
        retry_seconds: float = 5.0,
    ) -> None:
        self._news: dict[tuple[str, ...], Rejected] = {}
        self._dropped = dropped
        self._limit = limit
        self._gather_seconds = gather_seconds
        self._retry_seconds = retry_seconds
        self._wake = asyncio.Event()

    def submit(self, rejected: Rejected) -> None:
        """Take note of a rejection; returns at once and never raises."""
        known = self._news.get(rejected.key)
        if known is None and len(self._news) >= self._limit:
            self._dropped(rejected.times)
            return
        self._news[rejected.key] = known.again(rejected) if known else rejected
        self._wake.set()

    async def flush(self, keep: Keep) -> None:
        """Hand on all that waits. What ``keep`` fails on goes back to the heap, and the first failure is raised.

        One that is interrupted goes back too: told twice is better than lost.
        """
        waiting = self._take()
        failure: Exception | None = None
        try:
            while waiting:
                where, news = next(iter(waiting.items()))
                try:
                    await keep(*where, news)
                except Exception as error:  # noqa: BLE001 # one record that fails must not keep others waiting
                    failure = failure or error
                    self._restore(news)
                del waiting[where]
        finally:
            for news in waiting.values():
                self._restore(news)
        if failure is not None:
            raise failure

    async def post(self, send: Post) -> None:
        """Hand on what waits in one batch; what ``send`` fails on, or has no room for, goes back to the heap."""
        waiting = [rejected for news in self._take().values() for rejected in news]
        size = portion(waiting)
        batch, rest = tuple(waiting[:size]), waiting[size:]
        self._restore(rest)
        if not batch:
            return
        sent = False
        try:
            await send(batch)
            sent = True
        finally:
            if not sent:
                self._restore(batch)

    async def run(self, hand_on: Callable[[], Awaitable[None]], failed: Callable[[Exception], None]) -> None:
        """Hand on news by ``hand_on``, gathered for a moment; a failure is told and tried again later."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._gather_seconds)  # a storm of denials makes one write a record, not a storm
            try:
                await hand_on()
            except Exception as error:  # noqa: BLE001 # whatever it is, the next try may do better
                failed(error)
                await asyncio.sleep(self._retry_seconds)

    def _restore(self, news: Iterable[Rejected]) -> None:
        for rejected in news:
            self.submit(rejected)

    def _take(self) -> dict[tuple[str, str], tuple[Rejected, ...]]:
        news, self._news = self._news, {}
        self._wake.clear()
        grouped: dict[tuple[str, str], tuple[Rejected, ...]] = {}
        for rejected in news.values():
            where = (rejected.namespace, rejected.name)
            grouped[where] = (*grouped.get(where, ()), rejected)
        return grouped
