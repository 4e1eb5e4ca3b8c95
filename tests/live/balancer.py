"""A Service for webhooks outside of a cluster network: a new connection goes to the next one that listens."""

import asyncio
import itertools
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class Balancer:
    """Forwards TCP connections in turn to ports of loopback; use it as an asynchronous context."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = itertools.cycle(ports)
        self._count = len(ports)
        self._tasks: set[asyncio.Task[None]] = set()
        self.opened = 0
        """How many connections have been accepted so far."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End the connections that are open, so that the next call begins with a handshake."""
        for task in self._tasks:
            task.cancel()

    async def idle(self) -> None:
        """Wait until no connection is open."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port on loopback."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.opened += 1
        writers = [writer]
        try:
            behind_reader, behind = await self._connect()
            writers.append(behind)
            await asyncio.gather(_pump(reader, behind), _pump(behind_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # nobody waits for this task but `__aexit__`
        finally:
            for each in writers:
                each.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(self._count - 1):
            try:
                return await asyncio.open_connection("127.0.0.1", next(self._ports))
            except OSError:
                continue
        return await asyncio.open_connection("127.0.0.1", next(self._ports))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
