"""What a reflector knows of its kind: projections, put in order by the store. No network."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from webhook.errors import UnreachableError
from webhook.kube.informer.listing import Object, event_of, meta_of
from webhook.kube.informer.store import Key, Listed, Meta, Store

T = TypeVar("T")


class Cache(Generic[T]):
    """Projections of the objects of one kind.

    ``project`` makes of an object what is kept, None when it is of no interest. When it raises, that object is
    skipped, what was kept of it stays, and ``poison`` is told (namespace, name, error); ``unreadable`` holds the
    keys of such objects as long as they are there and stay so. ``changed`` is told
    namespace and name of whatever appears, changes its version, or vanishes; none of them may wait. An object of a
    version that is known is not looked at again, unless ``versions_tell_all`` is false.
    """

    def __init__(
        self,
        project: Callable[[Object], T | None],
        changed: Callable[[str, str], None],
        *,
        namespace: str = "",
        poison: Callable[[str, str, Exception], None] | None = None,
        versions_tell_all: bool = True,
    ) -> None:
        self._namespace = namespace
        self._versions_tell_all = versions_tell_all
        self._project = project
        self._changed = changed
        self._poison = poison
        self._store: Store[T] = Store()
        self.unreadable: set[Key] = set()
        self.events = 0

    def get(self, namespace: str, name: str) -> T | None:
        """Give the projection of an object."""
        entry = self._store.entries.get((namespace, name))
        return None if entry is None else entry.value

    def values(self) -> list[T]:
        """Give all projections."""
        return [entry.value for entry in self._store.entries.values()]

    def keys(self) -> list[Key]:
        """Give namespace and name of all that is kept."""
        return list(self._store.entries)

    def __len__(self) -> int:
        return len(self._store.entries)

    def learn(self, answer: bytes) -> None:
        """Take over the object that the answer to a write of ours holds, unless something newer is known."""
        try:
            meta = meta_of(answer)
        except UnreachableError:
            return  # a Status; the watch will tell
        if not meta.name or (self._namespace and meta.namespace != self._namespace):
            return
        good, value = self._projected(meta, answer)
        self._tell(self._store.learn(meta, value) if good else ())

    def forget(self, namespace: str, name: str, uid: str) -> None:
        """Take over that an object is gone.

        Only for a deletion that the server answered with a ``Status`` (or 404): an object that finalizers keep is
        still there: `learn` it from the answer instead.
        """
        self._tell(self._store.forget(namespace, name, uid))

    def _take(self, path: str, line: bytes) -> str:
        """Take over a line of a watch; give the version it reached, "" when it tells none."""
        kind, raw = event_of(path, line)
        meta = meta_of(raw)
        if kind == "BOOKMARK":
            self._store.advance(meta.version)
        elif kind == "DELETED":
            self.events += 1
            self.unreadable.discard(meta.key)
            self._tell(self._store.delete(meta))
        elif kind in {"ADDED", "MODIFIED"}:
            self.events += 1
            good, value = self._projected(meta, raw)
            if good:
                self.unreadable.discard(meta.key)
            self._tell(self._store.upsert(meta, value) if good else self._store.spoil(meta))
        return meta.version

    def _listed(self, raw: msgspec.Raw) -> Listed[T] | None:
        try:
            meta = meta_of(raw)
        except UnreachableError as error:
            if self._poison is not None:
                self._poison("", "", error)
            return None
        if self._versions_tell_all and self._store.knows(meta):
            return Listed(meta, kept=True)
        good, value = self._projected(meta, raw)
        if good:
            self.unreadable.discard(meta.key)
        return Listed(meta, value, kept=not good)

    def _projected(self, meta: Meta, item: Object) -> tuple[bool, T | None]:
        try:
            value = self._project(item)
        except Exception as error:  # noqa: BLE001 # one object that cannot be read must not blind us for all others
            self.unreadable.add(meta.key)
            if self._poison is not None:
                self._poison(meta.namespace, meta.name, error)
            return False, None
        return True, value

    def _tell(self, keys: Iterable[Key]) -> None:
        for namespace, name in keys:
            self._changed(namespace, name)
