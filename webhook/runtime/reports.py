"""Keeps policy reports in step with the audit, while this replica leads."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Final

from webhook.audit.report.openreports import Report, reports
from webhook.audit.report.survey import survey
from webhook.audit.scan.stock import Stock
from webhook.errors import ClusterError, ForbiddenError, NotLeadingError
from webhook.kube.api.client import Client
from webhook.kube.reports import POLICY_REPORTS, REPORTS, ReportWriter
from webhook.logs import said

AUTO: Final = "auto"
OFF: Final = "off"
LOOK_SECONDS: Final = 600.0
"""How often to look at what is stored although nothing failed."""


class PolicyReports:
    """Writes a report for each namespace with something to report, as one kind, and takes away all others of ours.

    ``wanted`` is the group of the kind, ``off``, or ``auto``: the first that is served, openreports.io before
    wgpolicyk8s.io; whoever reads both would count everything twice. ``seconds`` is the least time between two
    writes of a namespace.
    """

    def __init__(
        self,
        client: Client,
        writer: Client,
        stock: Callable[[], Stock],
        *,
        wanted: str,
        seconds: float,
        now: Callable[[], datetime],
        log: Any,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writers = {kind.group: ReportWriter(client, writer, kind) for kind in (REPORTS, POLICY_REPORTS)}
        self._stock = stock
        self._wanted = wanted
        self._seconds = seconds
        self._now = now
        self._log = log
        self._clock = clock
        self._look_at = float("-inf")
        self._failures: list[tuple[str, ClusterError]] = []
        self._told: set[tuple[str, type[ClusterError]]] = set()
        self._forbidden: set[str] = set()

    async def run(self) -> None:
        """Keep them in step, for ever, or until none is left that is not wanted. Raises NotLeadingError."""
        for each in self._writers.values():
            each.forget()  # another replica may have led meanwhile
        self._look_at = float("-inf")
        while True:
            await self.step()
            if self._wanted == OFF and not self._failures:
                return
            await asyncio.sleep(self._seconds)

    async def step(self) -> None:
        """Look where a look is due, and write what changed."""
        failed, self._failures = bool(self._failures), []
        if failed or self._clock() >= self._look_at or not self._target():
            await self._look()
        target = self._target()
        for each in self._writers.values():
            if each is not target:
                await self._clear(each, sorted(each.namespaces))
        if target is not None:
            # Taken here, in the thread that changes the copies; they are immutable, and read in another.
            stock, taken = self._stock(), self._now()
            found = await asyncio.to_thread(_reports, stock, taken)
            await self._clear(target, sorted(target.namespaces - found.keys()))
            for namespace, report in found.items():
                await self._try(namespace, target.write(namespace, report.body()))
        self._complain()

    def _complain(self) -> None:
        """Log what failed, once for as long as it is the same."""
        failed = {(where, type(error)) for where, error in self._failures}
        if failed and failed != self._told:
            where, error = self._failures[0]
            self._log.warning("reports_not_written", where=where, error=said(error), more=len(failed) - 1)
        self._told = failed

    def _target(self) -> ReportWriter | None:
        """Give the kind that is written, None while there is none."""
        wanted: Sequence[str] = tuple(self._writers) if self._wanted == AUTO else (self._wanted,)
        found = (self._writers[group] for group in wanted if group in self._writers)
        return next((each for each in found if each.served), None)

    async def _look(self) -> None:
        for group, each in self._writers.items():
            await self._try(group, self._look_at_kind(group, each))
        self._look_at = self._clock() + LOOK_SECONDS

    async def _look_at_kind(self, group: str, writer: ReportWriter) -> None:
        try:
            await writer.look()
        except ForbiddenError as error:  # by roles that leave reports out: as if nobody served them
            writer.forget()
            if group not in self._forbidden:
                self._log.warning("reports_forbidden", group=group, error=said(error))
            self._forbidden.add(group)

    async def _clear(self, writer: ReportWriter, namespaces: Sequence[str]) -> None:
        for namespace in namespaces:
            await self._try(namespace, writer.delete(namespace))

    async def _try(self, where: str, doing: Coroutine[Any, Any, object]) -> None:
        """Do it, and go on with the next where it fails: the next look finds out how things stand."""
        try:
            await doing
        except ClusterError as error:
            if isinstance(error, NotLeadingError):
                raise
            self._failures.append((where, error))


def _reports(stock: Stock, taken: datetime) -> dict[str, Report]:
    return reports(survey(stock, cluster="", taken=taken))
