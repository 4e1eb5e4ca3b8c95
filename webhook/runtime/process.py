"""What every process of ours does: tell the time and its own name, end when told, keep the collector calm."""

import asyncio
import gc
import os
import socket
import uuid
from datetime import UTC, datetime

from webhook import __version__


def utc_now() -> datetime:
    """Give the time, aware, in UTC."""
    return datetime.now(UTC)


def calm_collector() -> None:
    """Keep the garbage collector from stalling the event loop.

    What lives for ever need not be walked by every collection, and requests leave little behind, so that it may be
    looked at seldom. Thresholds count objects made and not yet freed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1000)


def stop_or_exit(stop: asyncio.Event) -> None:
    """Drain on the first signal, and end at once on the second."""
    if stop.is_set():
        os._exit(1)
    stop.set()


def user_agent(program: str, identity: str) -> str:
    """Say in the API server's audit log which replica of a program asks: all of them share one account."""
    # A comment of HTTP ends at its bracket, and a header at its line: what cannot stand there is replaced.
    plain = "".join(char if " " <= char <= "~" and char not in "()\\" else "-" for char in identity)
    return f"{program}/{__version__} ({plain})"


def unique_identity() -> str:
    """Name this process: the pod's name, which is the host's, and what tells it from one before its restart."""
    host = "".join(char if char.isalnum() or char == "-" else "-" for char in socket.gethostname().lower())
    return f"{host.strip('-')[:50] or 'replica'}-{uuid.uuid4().hex[:8]}"
