"""Lines of a watch. aiohttp's own reader gives up at twice its buffer, and one event may be longer."""

from collections.abc import Iterator

from webhook.errors import ExpiredError

LINE_LIMIT = 8 * 2**20
"""Longest line that is put together, in bytes."""


class LineSplitter:
    """Puts chunks together to lines."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Give the lines that this chunk completes, without their ends; empty ones are left out.

        Raises ExpiredError when a line gets longer than the limit: the watch cannot go past that event, while a
        list can.
        """
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._keep(chunk[start:end])
            line = b"".join(self._pieces)
            self._pieces.clear()
            self._held = 0
            start = end + 1
            if line:
                yield line
        self._keep(chunk[start:])

    def _keep(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > self._limit:
            raise ExpiredError(f"an event is longer than {self._limit} bytes")
        if piece:
            self._pieces.append(piece)
