"""A bounded stream of requests that need a verdict, and what became of each."""

import asyncio
import re
from collections import Counter
from types import TracebackType
from typing import Final, Self

import aiohttp

from tests.controlplane.client import STRATEGIC, ApiError, Client

_DENIAL: Final = 'error_type="no_error"'
_MOST_CALLS: Final = 5000
"""Of one caller: whoever needs more has a disturbance that does not end, and is told so in ``other``."""
_COUNTS: Final = re.compile(
    r"^(apiserver_admission_webhook_(?:fail_open_count|rejection_count)\{.*schemagate\.io.*\}) (\S+)$",
    re.MULTILINE,
)


class Load:
    """Asks again and again, without storing anything, for an image that is not migrated; use it as a context.

    Every answer has to be the same denial: anything else, above all a webhook not reached, is in ``other``.
    """

    def __init__(
        self, admin: Client, deployment: str, image: str, denial: str, *, callers: int = 4, between: float = 0.05
    ) -> None:
        """Take the path of a guarded Deployment whose container is called `gateway`, and the denial's words.

        Each caller pauses for ``between`` seconds: longer where a disturbance lasts.
        """
        self._callers = callers
        self._admin, self._path, self._denial, self._between = admin, deployment, denial, between
        self._patch = {"spec": {"template": {"spec": {"containers": [{"name": "gateway", "image": image}]}}}}
        self._ended = asyncio.Event()
        self.denied = 0
        self.other: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._faults = await self._counted()
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(self._callers)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        await asyncio.gather(*self._tasks)

    async def unreached(self) -> dict[str, float]:
        """Give by how much the API server has counted more calls that failed, those it ignores included."""
        now = await self._counted()
        grown = {name: count - self._faults.get(name, 0) for name, count in now.items()}
        return {name: count for name, count in grown.items() if count and _DENIAL not in name}

    async def _ask(self) -> None:
        for _ in range(_MOST_CALLS):
            if self._ended.is_set():
                return
            try:
                await self._admin.patch(self._path, self._patch, STRATEGIC, dryRun="All")
            except ApiError as error:
                if (error.status, error.message) == (403, self._denial):
                    self.denied += 1
                else:
                    self.other[str(error)] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.other[repr(error)] += 1
            else:
                self.other["allowed"] += 1
            await asyncio.sleep(self._between)
        self.other[f"no caller asks more than {_MOST_CALLS} times"] += 1

    async def _counted(self) -> dict[str, float]:
        """Read the API server's own counts; a denial is among them, or it calls them otherwise by now."""
        found = {name: float(count) for name, count in _COUNTS.findall(await self._admin.text("/metrics"))}
        assert any(_DENIAL in name for name in found), found
        return found


async def answered(load: Load, count: int) -> bool:
    """Tell whether so many denials came, or something else."""
    return load.denied >= count or bool(load.other)
