"""Lists and watch events as bytes: decoded no further than it takes to tell one object from another."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from webhook.errors import UnreachableError
from webhook.kube.api.answers import OversizedError, error_for, status_of
from webhook.kube.api.client import JSON, Client
from webhook.kube.informer.store import Meta

Object = bytes | msgspec.Raw
"""One object as JSON. What is kept of it must be a copy: it is a view on a page of a hundred."""

_METADATA: Final = "g=meta.k8s.io;v=v1"
ACCEPT_METADATA_LIST: Final = f"{JSON};as=PartialObjectMetadataList;{_METADATA}"
ACCEPT_METADATA: Final = f"{JSON};as=PartialObjectMetadata;{_METADATA}"

_GONE: Final = 410
_INTERNAL: Final = 500

_DEPTH: Final = 100
"""How deep anything lies that is read of an object, or of a page of them, and far more than that."""
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]+|[\]}]+', re.DOTALL)

T = TypeVar("T")


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""


class _Item(msgspec.Struct, frozen=True):
    metadata: _Metadata


class _ListMetadata(msgspec.Struct, frozen=True, rename={"continue_": "continue", "version": "resourceVersion"}):
    version: str
    continue_: str | None = None


class _Page(msgspec.Struct, frozen=True):
    metadata: _ListMetadata
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


def decoded(body: Object, kind: type[T]) -> T:
    """Decode JSON, however deep it is: a decoder gives up at a depth that an API server stores.

    One object that somebody nested a thousand times must not hide all others of its page.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except RecursionError:
        return msgspec.json.decode(_shallow(bytes(body)), type=kind)


def _shallow(body: bytes) -> bytes:
    """Write null for all that lies deeper than anything that is read."""
    kept: list[bytes] = []
    depth = start = 0
    for token in _TOKEN.finditer(body):
        # Strings, and brackets by the run: somebody may have chosen how many there are.
        at, end = token.span()
        first, before = body[at], depth
        if first in b"[{":
            depth += end - at
            if before < _DEPTH <= depth:
                kept += (body[start : at + _DEPTH - before - 1], b"null")
        elif first in b"]}":
            depth -= end - at
            if depth < _DEPTH <= before:
                start = at + before - _DEPTH + 1
    # What does not end is no JSON, and stays none.
    return b"".join([*kept, body[start:] if depth < _DEPTH else b""])


def meta_of(item: Object) -> Meta:
    """Read which object this is. Raises UnreachableError when it is no object."""
    try:
        metadata = decoded(item, _Item).metadata
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise UnreachableError(f"an object without metadata: {error}") from error
    return Meta(metadata.namespace or "", metadata.name, metadata.uid, metadata.resource_version)


async def list_all(
    client: Client,
    path: str,
    query: Mapping[str, str],
    accept: str,
    page: int,
    seconds: float,
    take: Callable[[list[msgspec.Raw]], None],
) -> str:
    """List in pages of so many objects, each within so many seconds; give the version that all of them are of.

    It is a quorum read, since no version is asked for. Raises ClusterErrors; ExpiredError when the list takes the
    server longer than it keeps history (five minutes).
    """
    token = ""
    while True:
        asked = {**query, "limit": str(page), **({"continue": token} if token else {})}
        try:
            body = await client.request("GET", path, query=asked, accept=accept, timeout=seconds)
        except OversizedError:
            # Objects as large as etcd stores them: fewer at once. The token does not mind.
            if page == 1:
                raise
            page = max(1, page // 4)
            continue
        try:
            got = decoded(body, _Page)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise UnreachableError(f"GET {path}: the answer is no list: {error}") from error
        take(got.items or [])
        token = got.metadata.continue_ or ""
        if not token:
            return got.metadata.version
        # Others have their turn between pages: the webhook answers on the same event loop.
        await asyncio.sleep(0)


def event_of(path: str, line: bytes) -> tuple[str, msgspec.Raw]:
    """Read a line of a watch: type and object. Raises the ClusterError that an ERROR event, or garbage, means."""
    try:
        event = decoded(line, _Event)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise UnreachableError(f"WATCH {path}: a line that is no event: {error}") from error
    if event.type == "ERROR":
        status = status_of(event.object)
        expired = status.reason in {"Expired", "Gone"}
        raise error_for(f"WATCH {path}", _GONE if expired else status.code or _INTERNAL, event.object)
    return event.type, event.object
