"""The scan in the background: the leader looks at all stored Gateways and their pods, and tells what is new."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from webhook.audit.scan.finding import Finding, Rule
from webhook.audit.scan.scan import scan
from webhook.audit.scan.stock import Stock
from webhook.errors import ClusterError
from webhook.logs import said

TOLD: Final = 50
"""New findings that one scan logs; further ones are counted."""
Found = Callable[[Mapping[str, int]], None]
"""Takes the number of findings by rule, for the metrics."""


class BackgroundScan:
    """Scans every ``seconds``; ``take`` gives what is stored now, ClusterError when it cannot be had.

    Each finding is logged once for as long as it is there. What a scan finds changes nothing.
    """

    def __init__(
        self,
        take: Callable[[], Awaitable[Stock]],
        found: Found,
        *,
        seconds: float,
        now: Callable[[], datetime],
        log: Any,
    ) -> None:
        self._take = take
        self._found = found
        self._seconds = seconds
        self._now = now
        self._log = log
        self._known: set[tuple[Rule, str, str, str]] = set()
        self._unread: frozenset[str] = frozenset()
        self._found(_by_rule(()))

    async def run(self) -> None:
        """Scan for ever; the figures end with it, since another replica tells its own."""
        try:
            while True:
                await self.step()
                await asyncio.sleep(self._seconds)
        finally:
            self._known = set()
            self._found(_by_rule(()))

    async def step(self) -> None:
        """Scan once. One that fails, however it does, is logged and leaves the figures as they were."""
        try:
            await self._scan()
        except Exception as error:  # noqa: BLE001 # to look is never worth the lead
            known = isinstance(error, ClusterError)
            self._log.warning("scan_failed", error=said(error), exc_info=None if known else error)

    async def _scan(self) -> None:
        stock = await self._take()
        if stock.unread != self._unread:
            self._unread = stock.unread
            self._log.warning("scan_not_whole", unread=sorted(stock.unread))
        findings = (await asyncio.to_thread(scan, stock, self._now())).findings
        self._found(_by_rule(findings))
        # By what it is about: a message may count hours.
        by_key = {(item.rule, item.namespace, item.name, item.subject): item for item in findings}
        new = [item for key, item in by_key.items() if key not in self._known]
        self._known = set(by_key)
        for item in new[:TOLD]:
            self._log.warning(
                "finding",
                rule=item.rule.value,
                severity=item.rule.severity.value,
                namespace=item.namespace,
                name=item.name,
                subject=item.subject,
                message=item.message,
                next_step=item.next_step,
            )
        if len(new) > TOLD:
            self._log.warning("findings_not_told", more=len(new) - TOLD)


def _by_rule(findings: tuple[Finding, ...]) -> Mapping[str, int]:
    counted = Counter(item.rule for item in findings)
    return {rule.value: counted[rule] for rule in Rule}
