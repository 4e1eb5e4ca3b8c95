"""The objects a reflector knows, and which of two versions of one is the newer. No clock, no network.

Three sources tell of an object: lists, watch events, and the answers to our own writes. They overtake each other,
so everything is compared by ``resourceVersion``: a number that grows with every write of a resource (promised
since Kubernetes 1.35, true for long before). Versions that are no numbers are only told to differ, and then the
last that arrives counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Meta:
    """Which object, and which version of it."""

    namespace: str
    name: str
    uid: str
    version: str

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """What is kept of an object."""

    uid: str
    version: str
    value: T


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """An object of a list. ``value`` is None when it is of no interest; ``kept``: what we have of it stays."""

    meta: Meta
    value: T | None = None
    kept: bool = False


class Store(Generic[T]):
    """Projections by namespace and name. Every method that changes something gives the keys that changed."""

    def __init__(self) -> None:
        self.entries: dict[Key, Entry[T]] = {}
        # How far the list and the watch have told everything: "" before the first list.
        self._position = ""
        # What our own writes taught since the list that is under way was begun, and what they deleted.
        self._learned: set[Key] = set()
        self._gone_before: set[str] = set()
        self._gone: set[str] = set()

    def knows(self, meta: Meta) -> bool:
        """Whether exactly this version is kept."""
        entry = self.entries.get(meta.key)
        return entry is not None and (entry.uid, entry.version) == (meta.uid, meta.version)

    def begin(self) -> None:
        """Note that a list is asked for: what is learned from here on may be newer than its answer."""
        self._learned.clear()
        self._gone_before |= self._gone
        self._gone.clear()

    def replace(self, listed: Iterable[Listed[T]], version: str) -> list[Key]:
        """Take over a list that is complete.

        It counts for all that was known when it was asked for, be that newer or not: an etcd that was restored
        from a backup starts again with lower numbers.
        """
        fresh: dict[Key, Entry[T]] = {}
        for item in listed:
            key, known = item.meta.key, self.entries.get(item.meta.key)
            if item.meta.uid in self._gone:
                continue
            if key in self._learned and known is not None and newer(known.version, item.meta.version):
                fresh[key] = known
            elif item.kept:
                if known is not None and known.uid == item.meta.uid:
                    fresh[key] = known
            elif item.value is not None:
                fresh[key] = Entry(item.meta.uid, item.meta.version, item.value)
        for key in self._learned - fresh.keys():
            known = self.entries.get(key)
            if known is not None and newer(known.version, version):
                fresh[key] = known
        before, self.entries = self.entries, fresh
        self._position = version
        self._learned.clear()
        self._gone_before.clear()
        return [key for key in before.keys() | fresh.keys() if not _same(before.get(key), fresh.get(key))]

    def upsert(self, meta: Meta, value: T | None) -> list[Key]:
        """Take over an object that a watch tells of; None when it is of no interest."""
        self.advance(meta.version)
        if meta.uid in self._gone or meta.uid in self._gone_before:
            return []
        known = self.entries.get(meta.key)
        if known is not None and not newer(meta.version, known.version):
            return []
        return self._put(meta, value)

    def delete(self, meta: Meta) -> list[Key]:
        """Take over a deletion that a watch tells of; its version is that of the deletion."""
        self.advance(meta.version)
        self._gone.discard(meta.uid)
        self._gone_before.discard(meta.uid)
        known = self.entries.get(meta.key)
        if known is None:
            return []
        # Of an earlier object of that name, or older than the answer that brought the object back into selection.
        numbers = meta.version.isdecimal() and known.version.isdecimal()
        stale = newer(known.version, meta.version) if numbers else known.uid != meta.uid
        return [] if stale else self._put(meta, None)

    def spoil(self, meta: Meta) -> list[Key]:
        """Skip an object that cannot be read: what is kept stays, unless it is an earlier object of that name."""
        known = self.entries.get(meta.key)
        return [] if known is None or known.uid == meta.uid else self.upsert(meta, None)

    def learn(self, meta: Meta, value: T | None) -> list[Key]:
        """Take over the answer to a write of our own, unless something newer is known."""
        if meta.uid in self._gone or meta.uid in self._gone_before:
            return []
        known = self.entries.get(meta.key)
        # What is missing although the watch is past this version has been deleted since, or is of no interest.
        reference = known.version if known is not None else self._position
        if reference and not newer(meta.version, reference):
            return []
        self._learned.add(meta.key)
        return self._put(meta, value)

    def forget(self, namespace: str, name: str, uid: str) -> list[Key]:
        """Take over that the object of this UID is gone: older events of it that still arrive count no more."""
        known = self.entries.get((namespace, name))
        if known is None or known.uid != uid:
            return []
        # Until the watch tells of the deletion too, or a list was begun after it.
        self._gone.add(uid)
        del self.entries[namespace, name]
        return [(namespace, name)]

    def advance(self, version: str) -> None:
        """Note how far the watch is (an event or a bookmark)."""
        if newer(version, self._position):
            self._position = version

    def _put(self, meta: Meta, value: T | None) -> list[Key]:
        if value is None:
            return [meta.key] if self.entries.pop(meta.key, None) is not None else []
        self.entries[meta.key] = Entry(meta.uid, meta.version, value)
        return [meta.key]


def newer(version: str, than: str) -> bool:
    """Whether a version comes after another; for versions that are no numbers, whether it is another."""
    if version.isdecimal() and than.isdecimal():
        return (len(version), version) > (len(than), than)
    return version != than


def _same(one: Entry[T] | None, other: Entry[T] | None) -> bool:
    return one is other or one == other
