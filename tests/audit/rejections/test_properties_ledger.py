"""The ledger as a whole: whatever fails on the way, what is submitted is kept, waits, or is counted as dropped."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.audit.rejections.test_ledger import rejected
from webhook.audit.rejections.batch import decode, encode
from webhook.audit.rejections.ledger import Ledger
from webhook.audit.rejections.rejection import Rejected, fold
from webhook.policy.record import KEPT, RejectionDecision, Rejections

LIMIT = 6
users = st.integers(0, 9).map(str)
decisions = st.sampled_from(RejectionDecision)


class Way(RuleBasedStateMachine):
    """Rejections from the request path to the record, over batches that may be refused."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted = self.dropped = self.posted = self.seconds = 0
        self.record = Rejections()
        self.ledger = Ledger(self._drop, limit=LIMIT)

    def _drop(self, count: int) -> None:
        self.dropped += count

    @rule(user=users, decision=decisions, times=st.integers(1, 200))
    def turned_away(self, user: str, decision: RejectionDecision, times: int) -> None:
        self.seconds += 1
        news = replace(rejected(user=user, seconds=self.seconds), decision=decision)
        for _ in range(times):
            self.ledger.submit(news)
        self.submitted += times

    @rule()
    def handed_over(self) -> None:
        asyncio.run(self.ledger.post(self._take))

    @rule(user=users)
    def refused(self, user: str) -> None:
        """Somebody else is turned away while the API server refuses the batch."""

        async def refuse(_: tuple[Rejected, ...]) -> None:
            self.turned_away(user, RejectionDecision.DENIED, 1)
            raise ConnectionError

        try:
            asyncio.run(self.ledger.post(refuse))
        except ConnectionError:
            return

    async def _take(self, batch: tuple[Rejected, ...]) -> None:
        self.posted += 1
        self.record = fold(self.record, decode(encode(batch)))

    @invariant()
    def nothing_is_lost(self) -> None:
        waiting: list[Rejected] = []

        async def look(batch: tuple[Rejected, ...]) -> None:
            waiting.extend(batch)
            raise ConnectionError

        try:
            asyncio.run(self.ledger.post(look))
        except ConnectionError:
            assert len(waiting) <= LIMIT
        kept = sum(item.times for item in waiting) + self.record.count
        assert kept + self.dropped == self.submitted

    @invariant()
    def the_record_is_bounded_and_adds_up(self) -> None:
        newest = self.record.newest
        assert len(newest) <= KEPT
        assert sum(item.count for item in newest) <= self.record.count
        keys = {(item.user, item.decision) for item in newest}
        assert len(keys) == len(newest)


TestWay = Way.TestCase
