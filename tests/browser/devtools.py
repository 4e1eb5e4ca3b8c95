"""A page in headless Chromium, driven by the DevTools protocol: what it loads, logs, computes and looks like."""

import asyncio
import base64
import itertools
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.browser import programs

# Without zygote and GPU process it runs in containers that forbid namespaces; it opens pages of ours alone.
FLAGS = (
    "--headless=shell",
    "--no-sandbox",
    "--no-zygote",
    "--disable-gpu",
    "--in-process-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--font-render-hinting=none",
    "--remote-debugging-port=0",
)
PATIENCE = 30.0
_KEYS = {"ArrowRight": 39}


class Page:
    """One page. ``requested`` holds every URL that was asked for, ``complaints`` what its console said."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str) -> None:
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self._socket = socket
        self._session = session
        self._numbers = itertools.count(100)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()

    async def listen(self) -> None:
        async for message in self._socket:
            self._heard(message.json())

    async def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(
            {"id": number, "sessionId": self._session, "method": method, "params": parameters}
        )
        return await asyncio.wait_for(answer, PATIENCE)

    async def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        await self.look("screen", dark=dark)
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), PATIENCE)

    async def look(self, media: str, *, dark: bool = False) -> None:
        """Show the page as on a screen or on paper."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    async def value(self, expression: str) -> Any:
        """Give the value of an expression of JavaScript, run beside the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_KEYS[key]
            )

    async def picture(self, *, whole: bool = False) -> bytes:
        """Give a PNG of what is seen, or of the whole page."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    async def paper(self) -> bytes:
        """Give the page as a PDF."""
        return base64.b64decode((await self.call("Page.printToPDF", printBackground=True))["data"])

    def _heard(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case None:
                waiting = self._waiting.pop(message["id"], None)
                if waiting is not None and not waiting.done():
                    failed = message.get("error")
                    if failed:
                        waiting.set_exception(RuntimeError(str(failed)))
                    else:
                        waiting.set_result(message["result"])
            case "Network.requestWillBeSent":
                self.requested.append(told["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(told["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(str(told))
            case "Page.loadEventFired":
                self._loaded.set()


@asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """Start a Chromium with a profile of its own and one page, and end it."""
    found = programs.chromium()
    with tempfile.TemporaryDirectory(prefix="schemagate-browser-") as profile:
        process = await asyncio.create_subprocess_exec(
            found.program,
            *FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
            env={**found.environment, "HOME": profile},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(await _address(process), max_msg_size=0) as socket,
            ):
                page = await _attach(socket)
                listening = asyncio.create_task(page.listen())
                try:
                    yield page
                finally:
                    listening.cancel()
        finally:
            process.kill()
            await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Read where DevTools listens from what Chromium says first."""
    assert process.stderr is not None
    said: list[str] = []
    async with asyncio.timeout(PATIENCE):
        async for line in process.stderr:
            said.append(line.decode(errors="replace"))
            if said[-1].startswith("DevTools listening on "):
                return said[-1].split()[-1]
    raise RuntimeError(f"Chromium ended at once: {''.join(said)}")


async def _attach(socket: aiohttp.ClientWebSocketResponse) -> Page:
    made = await _ask(socket, 1, "Target.createTarget", {"url": "about:blank"})
    target = {"targetId": made["targetId"], "flatten": True}
    attached = await _ask(socket, 2, "Target.attachToTarget", target)
    return Page(socket, attached["sessionId"])


async def _ask(socket: aiohttp.ClientWebSocketResponse, number: int, method: str, given: dict[str, Any]) -> Any:
    await socket.send_json({"id": number, "method": method, "params": given})
    while True:
        answer = await socket.receive_json(timeout=PATIENCE)
        if answer.get("id") == number:
            return answer["result"]


def address(path: Path) -> str:
    """Give the URL of a file."""
    return path.resolve().as_uri()
