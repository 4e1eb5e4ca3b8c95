"""Keeps a projection of all objects of a kind in memory: list once, then watch, whatever the server does."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

import msgspec

from webhook.errors import (
    ClusterError,
    ExpiredError,
    ForbiddenError,
    NotFoundError,
    RejectedError,
    UnreachableError,
)
from webhook.kube.api.backoff import Backoff
from webhook.kube.api.client import JSON, Client
from webhook.kube.api.lines import LineSplitter
from webhook.kube.api.pace import Pace
from webhook.kube.informer.cache import Cache
from webhook.kube.informer.listing import ACCEPT_METADATA, ACCEPT_METADATA_LIST, Object, list_all
from webhook.kube.informer.store import Listed
from webhook.kube.resources import Resource

T = TypeVar("T")

_TURN = 100
"""After so many events others have their turn, also when the buffer holds more."""
_EARLY = 5.0
"""A watch that ends so many seconds before its time was ended for a reason."""


class Reflector(Cache[T]):
    """A cache that follows the server.

    ``problem`` says why the cache is not live, "" when it is. ``lists``, ``watches``, ``events`` and ``failures``
    count for metrics; ``installed`` is False while the server does not serve the kind.

    ``schema_may_change``: of a custom resource, the server reads the same stored object otherwise after its
    definition changed. It ends the watches then, a moment late, so that one that ends early makes us list anew.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        project: Callable[[Object], T | None],
        changed: Callable[[str, str], None],
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        page: int = 100,
        poison: Callable[[str, str, Exception], None] | None = None,
        pace: Pace | None = None,
        schema_may_change: bool = False,
    ) -> None:
        super().__init__(
            project, changed, namespace=namespace, poison=poison, versions_tell_all=not schema_may_change
        )
        self._client = client
        self._path = resource.path(namespace)
        self._query = {
            name: value for name, value in (("labelSelector", labels), ("fieldSelector", fields)) if value
        }
        self._accept = (ACCEPT_METADATA_LIST, ACCEPT_METADATA) if metadata_only else (JSON, JSON)
        self._page = page
        self._pace = pace or Pace()
        self._retries = Backoff(jitter=self._pace.jitter)
        # Lists are dear, so their back-off ends only with a watch that lasts: a server that answers 410 for ever,
        # or a tenant that keeps writing what is too long for a line, gets one every few seconds.
        self._relists = Backoff(jitter=self._pace.jitter)
        self._schema_may_change = schema_may_change
        self._version = ""
        self._heard_at = -math.inf
        self._synced = asyncio.Event()
        self._wanted = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self.problem = "not listed yet"
        self.installed = True
        self.lists = self.watches = self.failures = 0

    @property
    def synced(self) -> bool:
        """Whether the cache holds a whole list, and the server still lets us read."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until `synced`."""
        await self._synced.wait()

    def age(self) -> float:
        """Give seconds since the server last said anything of this kind; infinite when it never did."""
        return self._pace.clock() - self._heard_at

    async def refresh(self) -> None:
        """List anew and return when the cache holds a list that was asked for after this call.

        Waits as long as the server cannot be asked; `run` has to be running.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wanted.set()
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def run(self) -> None:
        """List and watch for ever, until cancelled."""
        while True:
            if self._waiters or not self._version:
                delay = await self._list()
            else:
                delay = await self._unless_wanted(self._watch())
            if delay > 0:
                await self._unless_wanted(self._pause(delay))

    async def _list(self) -> float:
        """Fill the cache; give how long to wait before the next step."""
        self._wanted.clear()
        waiters = tuple(self._waiters)
        self._store.begin()
        self.lists += 1
        listed: list[Listed[T]] = []

        def take(items: list[msgspec.Raw]) -> None:
            self._hear()
            listed.extend(item for raw in items if (item := self._listed(raw)) is not None)

        try:
            version = await list_all(
                self._client, self._path, self._query, self._accept[0], self._page, self._pace.page, take
            )
        except NotFoundError:
            # No list of an existing kind is ever 404: whoever installs it later is found.
            self._hear()
            self._fill([], "", waiters, installed=False)
            return self._pace.missing
        except ClusterError as error:
            return self._failed(error)
        self._fill(listed, version, waiters, installed=True)
        return 0.0

    def _fill(
        self,
        listed: Iterable[Listed[T]],
        version: str,
        waiters: Iterable[asyncio.Future[None]],
        *,
        installed: bool,
    ) -> None:
        items = list(listed)
        self.unreadable &= {item.meta.key for item in items}
        changed = self._store.replace(items, version)
        self._version, self.installed, self.problem = version, installed, ""
        self._synced.set()
        self._tell(changed)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def _watch(self) -> float:
        """Follow the changes until the watch ends; give how long to wait before the next step."""
        started, events = self._pace.clock(), self.events
        failure: ClusterError | None = None
        try:
            await self._follow()
        except ClusterError as error:
            failure = error
        settled = self._pace.clock() - started > self._pace.settled
        if settled:
            self._relists.reset()
        if settled or self.events > events:
            self._retries.reset()
        if failure is not None:
            return self._failed(failure)
        # Every watch ends some time; what changes until the next one is open is not known yet.
        return 0.0 if settled else self._retries.next()

    async def _follow(self) -> None:
        seconds, started = int(self._pace.jitter(240, 300)), self._pace.clock()
        query = {
            **self._query,
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            # Not all at once: the watches of all replicas would end together for ever.
            "timeoutSeconds": str(seconds),
        }
        splitter = LineSplitter()
        lines = 0
        opening = self._client.stream(
            self._path, query, accept=self._accept[1], connect_timeout=self._pace.connect
        )
        async with opening as stream:
            self.watches += 1
            self.problem = ""
            self._synced.set()
            while True:
                self._hear()
                try:
                    chunk = await stream.read(self._pace.idle)
                except TimeoutError:
                    return
                if not chunk:
                    if self._schema_may_change and self._pace.clock() - started < seconds - _EARLY:
                        self._version = ""
                    return
                for line in splitter.feed(chunk):
                    self._version = self._take(self._path, line) or self._version
                    lines += 1
                    if lines % _TURN == 0:
                        await asyncio.sleep(0)

    def _failed(self, error: ClusterError) -> float:
        self.failures += 1
        self.problem = str(error)
        if isinstance(error, ForbiddenError):
            self._synced.clear()
        # A version of before a restored backup is "too large" for ever, and is answered with 504.
        ahead = "too large resource version" in self.problem.lower()
        if ahead or isinstance(error, ExpiredError | NotFoundError | RejectedError):
            self._version = ""
            return self._relists.next()
        return self._retries.next(error.retry_after if isinstance(error, UnreachableError) else 0.0)

    async def _unless_wanted(self, work: Coroutine[Any, Any, float]) -> float:
        """Do that work; when somebody asks for a refresh, stop at once and give 0."""
        task = asyncio.create_task(work)
        wanted = asyncio.create_task(self._wanted.wait())
        try:
            await asyncio.wait((task, wanted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
            wanted.cancel()
            await asyncio.gather(task, wanted, return_exceptions=True)
        self._wanted.clear()
        return 0.0 if task.cancelled() else task.result()

    async def _pause(self, seconds: float) -> float:
        await self._pace.sleep(seconds)
        return 0.0

    def _hear(self) -> None:
        self._heard_at = self._pace.clock()
