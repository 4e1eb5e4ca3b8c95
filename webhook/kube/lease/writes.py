"""Reads and conditional writes of one Lease by one process. What it wrote it knows again."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from webhook.errors import ConflictError, InvalidObjectError, NotFoundError
from webhook.kube.lease.stored import Lease, holding, later, micro_time, read_lease, releasing

RELEASE_SECONDS = 2.0
"""How long giving up a Lease may take; after that the others wait for its expiry."""


class Requests(Protocol):
    """What is needed of a client: it raises ClusterErrors. Not one that is fenced by this very Lease."""

    def request(
        self, method: str, path: str, *, body: object | None = None, timeout: float = 10.0
    ) -> Awaitable[bytes]:
        """Send a request and give the body of its answer; ``timeout`` is in seconds."""


class LeaseWrites:
    """The Lease ``namespace``/``name`` as ``identity`` reads and writes it.

    ``duration`` is what others are told, ``timeout`` the longest request, both in seconds; ``clock`` is steady,
    ``now`` gives aware moments for what is written.
    """

    def __init__(
        self,
        requests: Requests,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: float,
        timeout: float,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self.identity = identity
        self._requests = requests
        self._where = (namespace, name)
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._duration, self._timeout = duration, timeout
        self._clock, self._now = clock, now
        self._stamped: datetime | None = None
        # Writes that timed out may arrive all the same: a Lease that shows one of these renewTimes is ours.
        self._sent: deque[str] = deque(maxlen=16)

    def is_ours(self, lease: Lease) -> bool:
        """Tell whether this very process wrote the Lease; the identity alone could be a predecessor's."""
        return lease.holder == self.identity and lease.life[2] in self._sent

    async def read(self) -> Lease | None:
        """Give the Lease, None when there is none; the errors of ``Requests``, or InvalidObjectError."""
        # Without a resourceVersion in the query: only then is the answer the newest state, not a cache's.
        try:
            return read_lease(await self._requests.request("GET", self._path(), timeout=self._timeout))
        except NotFoundError:
            return None

    async def hold(self, lease: Lease | None) -> tuple[Lease, float]:
        """Renew the Lease when it is ours, take it when it is not, if it is still as read; None: create it.

        Gives it as stored, and the moment on the steady clock before the request left. The errors of ``Requests``:
        ConflictError or NameTakenError when somebody was quicker.
        """
        started = self._clock()
        stamp = self._stamp()
        taking = lease is None or not self.is_ours(lease)
        body = holding(lease, self._where, self.identity, self._duration, stamp, taking=taking)
        self._sent.append(micro_time(stamp))
        if lease is None:
            answer = await self._requests.request("POST", self._leases, body=body, timeout=self._timeout)
        else:
            answer = await self._requests.request("PUT", self._path(), body=body, timeout=self._timeout)
        stored = read_lease(answer)
        if not self.is_ours(stored):
            raise InvalidObjectError("the API server stored another holder of the Lease than it was sent")
        return stored, started

    async def release(self, lease: Lease | None) -> None:
        """Give the Lease up if it is still ours, so that another takes it at once; at most ``RELEASE_SECONDS``."""
        async with asyncio.timeout(RELEASE_SECONDS):
            while lease is not None and self.is_ours(lease):
                body = releasing(lease, self._stamp())
                try:
                    await self._requests.request("PUT", self._path(), body=body, timeout=RELEASE_SECONDS)
                except ConflictError:
                    lease = await self.read()
                else:
                    return

    def _stamp(self) -> datetime:
        self._stamped = later(self._now(), self._stamped)
        return self._stamped

    def _path(self) -> str:
        return f"{self._leases}/{self._where[1]}"
