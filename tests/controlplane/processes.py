"""Child processes that end with us, and detached ones that are found again by pid and start time."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Run in the child before the program itself: asks Linux for SIGKILL when the parent dies (PR_SET_PDEATHSIG is 1
# and outlives exec), then looks whether it died in between. A preexec_fn would fork Python with its threads.
_TIE: Final = """
import ctypes, os, sys
getattr(ctypes.CDLL(None), "prctl", lambda *_: 0)(1, 9)
os.getppid() == int(sys.argv[1]) or sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for certain: a pid is used again, a pid with this start time is not."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        return started(self.pid) == self.started

    def end(self) -> None:
        """Kill this very process with its group and wait until it is gone; nothing when it is gone already."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        wait_until(lambda: not self.alive(), 10, f"process {self.pid} does not end")


class Spawner:
    """Starts processes from one thread of its own that lives as long as they do.

    Linux ties a child to the thread that forked it: a worker thread's end would take the children along.
    """

    def __init__(self, *, detached: bool) -> None:
        self._detached = detached
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")

    def spawn(self, argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own; its output is appended to `log`."""
        tie = () if self._detached else (sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()))

        def start() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(
                    [*tie, *argv],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(environment),
                    start_new_session=True,
                )

        return self._thread.submit(start).result()

    def close(self) -> None:
        """End the thread, after the processes."""
        self._thread.shutdown()


class Component:
    """One program of the control plane with its arguments, its log and, once started, its process."""

    def __init__(self, name: str, argv: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The pid of the running process."""
        assert self._process, f"{self.name} has not been started"
        return self._process.pid

    @property
    def identity(self) -> Identity:
        """Pid and start time, to find the process again."""
        return Identity(self.pid, started(self.pid) or 0)

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, spawner: Spawner, environment: Mapping[str, str]) -> None:
        """Start the program."""
        self._process = spawner.spawn(self._argv, self.log, environment)

    def check(self) -> None:
        """Raise with the end of the log when the process has ended by itself."""
        if self._process and self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")

    def send(self, number: int) -> None:
        """Send a signal to the process and what it started."""
        os.killpg(self.pid, number)

    def freeze(self) -> None:
        """Stop the process where it stands, and return once it does: a busy machine may let it run on for a while.

        Its first thread is told, tells the others, and needs a core for that (signal(7), Linux).
        """
        self.send(signal.SIGSTOP)
        wait_until(lambda: _stands(self.pid), 60, f"{self.name} does not stand still")

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.send(signal.SIGCONT)

    def stop(self, number: int = signal.SIGKILL, seconds: float = 10) -> None:
        """End the process, if need be by force when the time is over; also one that is frozen."""
        if self._process is None or not self.running:
            return
        self.send(number)
        self.thaw()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self._process.wait(seconds)

    def tail(self, lines: int = 20) -> str:
        """Give the end of the log."""
        with self.log.open(errors="replace") as file:
            return "".join(deque(file, lines))


def _stands(pid: int) -> bool:
    """Tell whether all threads of a process are stopped."""
    states = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            states.append((thread / "stat").read_text().rpartition(")")[2].split()[0])
    return set(states) <= {"T"}


def started(pid: int) -> int | None:
    """Give when a process started, in clock ticks since boot; None when there is none, or only its remains."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name in brackets may hold blanks and brackets itself
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def wait_until(condition: Callable[[], object], seconds: float, failure: str | Callable[[], str]) -> None:
    """Poll until the condition holds; TimeoutError with `failure` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(failure if isinstance(failure, str) else failure())
        time.sleep(0.05)
