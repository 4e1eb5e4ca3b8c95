"""A TCP proxy that can fall silent or break, for connections that hang or are lost."""

import asyncio
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 65536


class Proxy:
    """Forwards connections to one address; use it as an asynchronous context."""

    def __init__(self, target_host: str, target_port: int) -> None:
        """Take the address behind the proxy; its own port is free to choose by the system."""
        self._target = target_host, target_port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._heard: dict[asyncio.Task[None], asyncio.Event] = {}
        self.opened = 0
        """How many connections have been accepted so far."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        tasks = list(self._open)
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """The proxy's port on loopback."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The address for a client that speaks HTTPS to what is behind the proxy."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """How many connections are open now, silent ones included."""
        return len(self._open)

    def freeze(self) -> None:
        """Forward nothing any more; connections stay open, and new ones are accepted and left waiting."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Forward again, first what has come in meanwhile."""
        self._flowing.set()

    def silence(self) -> None:
        """Forward nothing any more on connections that are open now, for good; new ones work."""
        for heard in self._heard.values():
            heard.clear()

    def cut(self) -> None:
        """Break all connections that are open, with a reset."""
        for task, writers in self._open.items():
            for writer in writers:
                writer.transport.abort()
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.opened += 1
        writers = self._open[task] = [writer]
        heard = self._heard[task] = asyncio.Event()
        heard.set()
        try:
            await self._flowing.wait()
            behind_reader, behind = await asyncio.open_connection(*self._target)
            writers.append(behind)
            # Whichever side ends first ends both: TLS and HTTP know no half-open connection.
            pumps = [
                asyncio.ensure_future(self._pump(reader, behind, heard)),
                asyncio.ensure_future(self._pump(behind_reader, writer, heard)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            # Nobody waits for this task but `__aexit__`, and asyncio's server reports what ends with an error.
            pass
        finally:
            del self._open[task], self._heard[task]
            for each in writers:
                each.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: asyncio.Event
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._flowing.wait()
            await heard.wait()
            writer.write(data)
            await writer.drain()
        await self._flowing.wait()
        await heard.wait()
