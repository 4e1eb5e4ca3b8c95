"""The way of a rejection from the request path to the record: a bounded heap of news, folded in off the path."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from webhook.audit.rejection import Rejected

Keep = Callable[[str, str, tuple[Rejected, ...]], Awaitable[None]]
"""Folds news into the record of a Deployment: namespace, name, news."""

LIMIT = 1000
"""Distinct rejections that may wait; further ones are counted as dropped."""


class Ledger:
    """Takes rejections without waiting and hands them on in bulk. Alike ones are counted, not stored twice."""

    def __init__(self, dropped: Callable[[], None], limit: int = LIMIT) -> None:
        self._news: dict[tuple[str, ...], Rejected] = {}
        self._dropped = dropped
        self._limit = limit
        self._wake = asyncio.Event()

    def submit(self, rejected: Rejected) -> None:
        """Take note of a rejection; returns at once and never raises."""
        known = self._news.get(rejected.key)
        if known is None and len(self._news) >= self._limit:
            self._dropped()
            return
        self._news[rejected.key] = known.again(rejected) if known else rejected
        self._wake.set()

    async def flush(self, keep: Keep) -> None:
        """Hand on all that waits. What ``keep`` fails on goes back to the heap."""
        for (namespace, name), news in self._take().items():
            try:
                await keep(namespace, name, news)
            except Exception:
                for rejected in news:
                    self.submit(rejected)
                raise

    async def run(self, keep: Keep) -> None:
        """Hand on news as they come, until cancelled."""
        while True:
            await self._wake.wait()
            await self.flush(keep)

    def _take(self) -> Mapping[tuple[str, str], tuple[Rejected, ...]]:
        news, self._news = self._news, {}
        self._wake.clear()
        grouped: dict[tuple[str, str], tuple[Rejected, ...]] = {}
        for rejected in news.values():
            where = (rejected.namespace, rejected.name)
            grouped[where] = (*grouped.get(where, ()), rejected)
        return grouped
