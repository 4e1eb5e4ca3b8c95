"""Event loops on a time that only the test moves: one world, and in it processes that can be frozen.

Each process has an event loop of its own, so that freezing it is what SIGSTOP is: timers come due, nothing runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class World:
    """True time, in seconds, and the processes that live in it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.processes: list[VirtualLoop] = []

    def process(self, rate: float = 1.0, offset: float = 0.0) -> VirtualLoop:
        """Start a process whose steady clock begins at ``offset`` and runs at ``rate``."""
        loop = VirtualLoop(self, rate, offset)
        self.processes.append(loop)
        return loop

    def advance(self, seconds: float, watch: Callable[[], None] = lambda: None) -> None:
        """Let time pass, from one timer to the next; ``watch`` is called at each moment at which anything ran."""
        until = self.now + seconds
        while True:
            for loop in self.processes:
                loop.settle()
            watch()
            due = [when for loop in self.processes if (when := loop.next_due()) is not None and when <= until]
            if not due:
                break
            self.now = max(self.now, min(due))
            watch()
        self.now = until
        for loop in self.processes:
            loop.settle()
        watch()

    def close(self) -> None:
        """Kill all processes."""
        for loop in self.processes:
            loop.end()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the world's; it runs only when the world lets it."""

    def __init__(self, world: World, rate: float, offset: float) -> None:
        self._world, self._rate, self._offset, self._born = world, rate, offset, world.now
        self._timers: set[asyncio.TimerHandle] = set()
        self._busy = False
        self.frozen = False
        self.errors: list[dict[str, Any]] = []
        super().__init__()
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self._offset + (self._world.now - self._born) * self._rate

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self._busy = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        self._timers.add(timer)
        return timer

    def settle(self) -> None:
        """Run all that can run now."""
        if self.frozen:
            return
        for _ in range(10_000):
            due = {timer for timer in self._timers if timer.when() <= self.time() and not timer.cancelled()}
            self._timers -= due
            if not self._busy and not due:
                return
            self._busy = False
            super().call_soon(self.stop)
            self.run_forever()
        raise AssertionError("the loop spins without time passing")

    def next_due(self) -> float | None:
        """Give the world's time of the next timer; None when there is none, or the process is frozen."""
        self._timers = {timer for timer in self._timers if not timer.cancelled()}
        if self.frozen or not self._timers:
            return None
        first = min(timer.when() for timer in self._timers)
        # Rounded up: a timer must be due on the process's own clock when the world gets there.
        return self._born + (first - self._offset) / self._rate + 1e-9

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that needs no time to pass, and give its result."""
        task = self.create_task(what)
        self.settle()
        return task.result()

    def end(self) -> None:
        """Cancel what runs, as far as it lets itself be cancelled, and close."""
        self.frozen = False
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.settle()
        self.close()


async def never() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()
