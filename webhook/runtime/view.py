"""The audit's report, served from what the controller knows without asking (``/audit`` on the operations port)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from webhook.audit.report.html.report import SECURITY_POLICY, render
from webhook.audit.report.survey import survey
from webhook.audit.scan.stock import Stock, key_of
from webhook.kube.copies import ControllerCopies
from webhook.policy.names import GATEWAY_KIND, RECORD_KIND
from webhook.policy.record import Mode

FRESH_SECONDS: Final = 10.0
"""For how long one page is shown to everybody: however many ask, it is made no more often."""
_NOT_KEPT = frozenset({"ConfigMap", "Pod"})


class AuditView:
    """Makes the page: one at a time, in a thread, so that it takes nothing from who leads."""

    headers: Mapping[str, str] = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": f"{SECURITY_POLICY}; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    def __init__(
        self,
        stock: Callable[[], Stock],
        cluster: str,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stock = stock
        self._cluster = cluster
        self._now = now
        self._clock = clock
        self._making = asyncio.Lock()
        self._page = b""
        self._made = float("-inf")

    async def page(self) -> bytes:
        """Give the page, as it is now or was a moment ago."""
        async with self._making:
            if self._clock() - self._made >= FRESH_SECONDS:
                # Taken here, in the thread that changes the copies; they are immutable, and read in another.
                stock, taken = self._stock(), self._now()
                self._page = await asyncio.to_thread(_page, stock, self._cluster, taken)
                self._made = self._clock()
            return self._page


def _page(stock: Stock, cluster: str, taken: datetime) -> bytes:
    return render(survey(stock, cluster=cluster, taken=taken))


def stock_of(copies: ControllerCopies, default_mode: Mode) -> Stock:
    """Give what the copies hold. Pods and ConfigMaps are not among them.

    A Gateway whose record or resource cannot be read is left out and named: it is guarded, and no more is known.
    """
    unreadable = {
        kind: set(kept.unreadable)
        for kind, kept in ((RECORD_KIND, copies.record_copies), (GATEWAY_KIND, copies.gateway_copies))
    }
    left_out = set().union(*unreadable.values())
    return Stock(
        deployments=[item for item in copies.deployments() if key_of(item.metadata) not in left_out],
        records={(item.namespace, item.name): item for item in copies.records()},
        gateways={key_of(item.metadata): item for item in copies.gateways()},
        namespaces={item.metadata.name: item for item in copies.namespace_copies.values()},
        unread=_NOT_KEPT | {f"{kind} {'/'.join(key)}" for kind, keys in unreadable.items() for key in keys},
        default_mode=default_mode,
    )
