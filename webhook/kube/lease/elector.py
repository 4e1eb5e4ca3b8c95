"""Leader election on a Lease, with a deadline that the clock enforces and no request can stretch.

Why two replicas never lead at once: whoever leads counts ``deadline`` seconds from the moment *before* it sent its
last renewal that succeeded. A rival waits until it has seen the Lease unchanged for ``duration`` seconds, counted
from *after* that renewal was stored, and ``duration`` is the longer one. Both count on steady clocks of their own,
so the wall clocks of machines do not matter, only that no steady clock runs faster than another by more than
``duration / deadline``. Every write of the Lease is conditional on the version that was read.

What remains is a write that left in time and arrives late. It has to be conditional itself (resourceVersion, UID),
or harmless when it is late, as an Event is.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from webhook.errors import ConflictError, NotFoundError, NotLeadingError, SchemagateError, StartError
from webhook.kube.lease.stored import Lease, Sighting, sight
from webhook.kube.lease.writes import LeaseWrites, Requests

_LOOK_SECONDS = 1.0  # a machine that was suspended finds out this soon: timers of the loop stop with it
_TRIES = 5  # renewals in one attempt, when somebody else keeps changing the Lease
_EXIT_STATUS = 70


def steady() -> float:
    """Give seconds that go on counting while the machine is suspended (where the system has such a clock)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _exit() -> None:
    """End the process here and now: work that cannot be stopped must not go on beside the next leader's."""
    os._exit(_EXIT_STATUS)


class Elector:
    """Runs work while it holds the Lease ``namespace``/``name``, and stops it in time when it does not.

    ``identity`` must be unique to the process: one found in the Lease at the start counts as a rival's. All times
    are in seconds: others may take the Lease ``duration`` after its last renewal; work is cancelled ``deadline``
    after it; ``renew`` is between renewals, and the most between looks of a candidate; ``attempt`` is how long one
    may take; ``grace`` how long work may take to end once it is cancelled. Work that outlives that makes the
    elector call ``abandon``, which ends the process with status 70 unless told otherwise.

    ``changed`` is told when leading begins and ends. StartError when the times do not fit each other.
    """

    def __init__(
        self,
        requests: Requests,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: float = 15.0,
        deadline: float = 10.0,
        renew: float = 4.0,
        attempt: float = 3.0,
        grace: float = 5.0,
        clock: Callable[[], float] = steady,
        now: Callable[[], datetime] = _utc_now,
        jitter: Callable[[], float] = random.random,
        changed: Callable[[bool], None] | None = None,
        abandon: Callable[[], None] = _exit,
        log: Any = None,
    ) -> None:
        if not 0 < attempt <= renew < deadline < duration <= 3600:
            raise StartError(
                "the times of the lease must be 0 < attempt <= renew < deadline < duration <= 3600 seconds, not "
                f"{attempt:g}, {renew:g}, {deadline:g}, {duration:g}"
            )
        if not identity:
            raise StartError("the identity of the lease's holder must not be empty")
        self._writes = LeaseWrites(
            requests, namespace, name, identity, duration=duration, timeout=attempt, clock=clock, now=now
        )
        self._identity = identity
        self._duration, self._deadline, self._renew, self._attempt = duration, deadline, renew, attempt
        self._grace = grace
        self._clock, self._jitter = clock, jitter
        self._changed, self._abandon = changed, abandon
        self._log = structlog.get_logger("schemagate.lease") if log is None else log
        self._lease: Lease | None = None  # as last stored by us
        self._renewed: float | None = None  # None: not leading
        self._sighting: Sighting | None = None

    def held(self) -> bool:
        """Tell whether nobody else can lead now. It is the clock that says so, whatever the event loop does."""
        return self.remaining() > 0

    def remaining(self) -> float:
        """Give for how many seconds more the Lease is surely ours; 0 when it is not."""
        return 0.0 if self._renewed is None else max(0.0, self._renewed + self._deadline - self._clock())

    def fence(self) -> None:
        """Hold back a write: NotLeadingError when the Lease is not surely ours."""
        if not self.held():
            raise NotLeadingError("this replica does not lead, or could not renew its Lease in time")

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Run ``lead()`` whenever the Lease is ours, for ever.

        Ends when the work ends by itself: the Lease is given up, and what the work raised is raised. Work that
        NotLeadingError ended after the deadline counts as stopped, not as failed. Cancelled, it stops the work and
        gives up the Lease.
        """
        while True:
            await self._campaign()
            if await self._reign(lead):
                return

    async def _campaign(self) -> None:
        """Wait until the Lease is ours."""
        while True:
            try:
                async with asyncio.timeout(self._attempt):
                    await self._try_to_take()
            except Exception as error:  # noqa: BLE001 # whatever the client raises, the next attempt may do better
                self._log.info("lease_not_taken", error=f"{type(error).__name__}: {error}")
            if self.held():
                return
            # Shorter than ``renew``, never longer: that is how soon a Lease given up is taken.
            pause = self._renew * (1.0 - 0.2 * self._jitter())
            if self._sighting is not None:
                left = self._sighting.free_at - self._clock()
                pause = min(pause, left) if left > 0 else pause
            await asyncio.sleep(max(pause, 0.01))

    async def _try_to_take(self) -> None:
        lease = await self._writes.read()
        if lease is None or not self._writes.is_ours(lease):
            self._sighting = sight(self._sighting, lease, self._clock(), self._duration)
            if self._sighting is not None and self._clock() < self._sighting.free_at:
                return
        self._lease, self._renewed = await self._writes.hold(lease)
        self._sighting = None

    async def _reign(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """Lead until the Lease is lost, which gives False, or until the work ends: True, or its error."""

        async def led() -> None:
            await lead()

        self._log.info("leading", identity=self._identity)
        self._tell(leading=True)
        work, renewing = asyncio.create_task(led()), asyncio.create_task(self._keep_renewing())
        try:
            while self.held() and not work.done() and not renewing.done():
                look = min(self.remaining(), _LOOK_SECONDS)
                await asyncio.wait({work, renewing}, timeout=look, return_when=asyncio.FIRST_COMPLETED)
            ended, kept = work.done(), self.held() and not renewing.done()
            if not kept:
                self._log.warning("lease_lost", identity=self._identity)
                self._resign()
        finally:
            await self._stop(work, renewing)
        failure = NotLeadingError("the work was cancelled from within") if work.cancelled() else work.exception()
        given_up = isinstance(failure, NotLeadingError)
        if ended and (kept or not given_up):
            if failure is not None:
                raise failure
            return True
        if failure is not None and not given_up:
            self._log.warning("work_failed_while_stopping", error=f"{type(failure).__name__}: {failure}")
        return False

    async def _keep_renewing(self) -> None:
        """Renew for as long as the Lease is ours; what fails is tried again sooner."""
        pause = self._renew
        while True:
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout(self._attempt):
                    if not await self._renew_once():
                        return
                pause = self._renew
            except Exception as error:  # noqa: BLE001 # any failure may pass; the deadline ends what does not
                self._log.warning("lease_not_renewed", error=f"{type(error).__name__}: {error}")
                pause = self._renew / 4

    async def _renew_once(self) -> bool:
        """Renew; False when the Lease is another's, gone, or too late to keep."""
        lease = self._lease
        for _ in range(_TRIES):
            if lease is None or not self._writes.is_ours(lease) or not self.held():
                return False
            try:
                stored, started = await self._writes.hold(lease)
            except ConflictError:
                # Not a loss yet: an attempt that timed out may have arrived, or somebody set a label.
                lease = await self._writes.read()
                continue
            except NotFoundError:
                return False
            if not self.held():
                return False  # a term that has run out never comes back to life: its work is being stopped
            self._lease, self._renewed = stored, started
            return True
        raise ConflictError("the Lease changes faster than it can be renewed")

    async def _stop(self, work: asyncio.Task[None], renewing: asyncio.Task[None]) -> None:
        """End the term: nothing of it outlives this. Give the Lease up if it is still ours."""
        work.cancel()
        renewing.cancel()
        _, alive = await asyncio.wait({work, renewing}, timeout=self._grace)
        held = self.held()
        self._resign()
        if alive:
            self._log.error("work_does_not_end", grace_seconds=self._grace)
            self._abandon()
            raise SchemagateError(f"the work did not end within {self._grace:g} s of being cancelled")
        if held:
            try:
                await self._writes.release(self._lease)
            except Exception as error:  # noqa: BLE001 # it expires by itself
                self._log.warning("lease_not_released", error=f"{type(error).__name__}: {error}")

    def _resign(self) -> None:
        if self._renewed is not None:
            self._renewed = None
            self._tell(leading=False)

    def _tell(self, *, leading: bool) -> None:
        if self._changed is not None:
            self._changed(leading)
