"""Events on objects that exist: never waited for, never a storm, and lost rather than tried for ever.

The truth is in the records' status; Events only tell a person who looks at an object what became of it.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, Protocol

from webhook.errors import NotFoundError
from webhook.kube.events.stored import (
    WORD_LIMIT,
    Reference,
    Story,
    event_name,
    event_of,
    note_line,
    series_of,
    word,
)
from webhook.policy.decision import printable

QUEUE_LIMIT = 256
"""Events that may wait to be written; further ones are dropped."""
REMEMBERED = 1024
"""Pairs of object and reason of which the last Event is remembered."""
SPACING_SECONDS = 300.0
"""Seconds between two writes about the same object for the same reason."""
ALIKE_SECONDS = 600.0
"""The same note within so many seconds is one Event that is counted up."""
REQUEST_SECONDS = 5.0


class Requests(Protocol):
    """What is needed of a client: it raises ClusterErrors."""

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object | None = None,
        content_type: str = "application/json",
        timeout: float = 10.0,
    ) -> Awaitable[bytes]:
        """Send a request and give the body of its answer; ``timeout`` is in seconds."""


class Bucket:
    """Allows ``burst`` things at once and one more every ``seconds``, on a steady clock's time."""

    def __init__(self, burst: int, seconds: float, now: float) -> None:
        self._burst, self._seconds = float(burst), seconds
        self._tokens, self._at = float(burst), now

    def take(self, now: float) -> bool:
        """Tell whether one more is allowed at ``now``, and count it if so."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) / self._seconds)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class EventRecorder:
    """Writes Events of events.k8s.io/v1, one at a time, as ``identity``.

    Per object and reason it writes once in ``SPACING_SECONDS`` at most: the same note is counted up in one Event,
    of differing ones the newest is told. On top, an object has ten writes and one more every five minutes, all
    objects together three hundred and ten more a second, so that a fleet that is upgraded at once loses none.
    ``dropped`` is told how many more are lost. ``clock`` is steady and in seconds, ``now`` aware.
    """

    def __init__(
        self,
        requests: Requests,
        identity: str,
        dropped: Callable[[int], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._requests = requests
        self._identity = printable(identity, WORD_LIMIT)
        self._dropped = dropped
        self._clock, self._now = clock, now
        self._stories: OrderedDict[tuple[str, str], Story] = OrderedDict()
        self._ready: dict[tuple[str, str], None] = {}  # with news that may be written now, first come first served
        self._resting: dict[tuple[str, str], None] = {}  # with news that has to wait for its story's due time
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._all = Bucket(300, 0.1, clock())
        self._wake = asyncio.Event()

    def record(
        self,
        regarding: Reference,
        type: Literal["Normal", "Warning"],  # noqa: A002 # as the API calls it
        reason: str,
        note: str,
        action: str,
        related: Reference | None = None,
    ) -> None:
        """Tell something about an object; returns at once and never raises.

        ``reason`` and ``action`` are CamelCase words, ``note`` a line for a person. What does not fit is cut.
        """
        reason, action, note = word(reason), word(action), note_line(note)
        key = (_id(regarding), reason)
        now = self._clock()
        story = self._stories.get(key)
        resting = story is not None and story.due > now
        if not resting and key not in self._ready and len(self._ready) >= QUEUE_LIMIT:
            self._dropped(1)
            return
        if story is None or story.note != note or now - story.heard > ALIKE_SECONDS:
            due = now if story is None else story.due
            if story is not None:
                self._lose(story)
            story = Story(regarding, related, type, reason, note, action, self._now(), due)
            self._remember(key, story)
        story.last, story.heard = self._now(), now
        story.count += 1
        story.unwritten += 1
        self._stories.move_to_end(key)
        (self._resting if resting else self._ready)[key] = None
        self._wake.set()

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            await self.flush()
            self._wake.clear()
            due = min((self._stories[key].due for key in self._resting), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else max(due - self._clock(), 0.01)):
                    await self._wake.wait()

    async def flush(self) -> None:
        """Write all that may be written now."""
        while (story := self._next()) is not None:
            await self._write(story)

    def _next(self) -> Story | None:
        now = self._clock()
        for rested in [key for key in self._resting if self._stories[key].due <= now]:
            del self._resting[rested]
            self._ready[rested] = None
        key = next(iter(self._ready), None)
        if key is None:
            return None
        del self._ready[key]
        return self._stories[key]

    def _remember(self, key: tuple[str, str], story: Story) -> None:
        self._stories[key] = story
        if len(self._stories) > REMEMBERED:
            oldest, lost = self._stories.popitem(last=False)
            self._ready.pop(oldest, None)
            self._resting.pop(oldest, None)
            self._lose(lost)

    def _lose(self, story: Story) -> None:
        if story.unwritten:
            self._dropped(story.unwritten)
            story.unwritten = 0

    async def _write(self, story: Story) -> None:
        """Write one Event, or count it as lost: a namespace that goes away or a missing right would never end."""
        now = self._clock()
        story.due = now + SPACING_SECONDS  # also after a failure: whatever is wrong, a storm would not mend it
        news, story.unwritten = story.unwritten, 0
        if not (self._bucket(_id(story.regarding), now).take(now) and self._all.take(now)):
            self._dropped(news)
            return
        try:
            async with asyncio.timeout(2 * REQUEST_SECONDS):
                if not (story.event and await self._count_up(story)):
                    await self._create(story)
        except asyncio.CancelledError:
            self._dropped(news)
            raise
        except Exception:  # noqa: BLE001 # lost, whatever it was; nobody waits for an Event
            self._dropped(news)

    async def _create(self, story: Story) -> None:
        name = event_name(story.regarding.name)
        namespace = story.regarding.namespace or "default"  # where Events on objects without a namespace belong
        event = event_of(story, name, namespace, self._identity)
        await self._requests.request("POST", _path(namespace), body=event, timeout=REQUEST_SECONDS)
        story.event = name

    async def _count_up(self, story: Story) -> bool:
        """Count up the Event written before; False when the API server has forgotten it."""
        path = f"{_path(story.regarding.namespace or 'default')}/{story.event}"
        try:
            await self._requests.request(
                "PATCH",
                path,
                body=series_of(story),
                content_type="application/merge-patch+json",
                timeout=REQUEST_SECONDS,
            )
        except NotFoundError:
            story.event = ""
            return False
        return True

    def _bucket(self, key: str, now: float) -> Bucket:
        bucket = self._buckets.setdefault(key, Bucket(10, SPACING_SECONDS, now))
        self._buckets.move_to_end(key)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket


def _path(namespace: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def _id(regarding: Reference) -> str:
    return regarding.uid or f"{regarding.kind}/{regarding.namespace}/{regarding.name}"
