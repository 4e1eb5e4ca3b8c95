"""A pair kept in two files (a mounted Secret, cert-manager's, or one's own) and followed as they change."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path

from certs.errors import CertError
from certs.pair import KeyPair
from certs.serving import ServingContext


class ReloadOutcome(StrEnum):
    """How one look at the files ended; the values suit a metric label."""

    RELOADED = "reloaded"
    """The files held another pair; new handshakes see it."""
    UNCHANGED = "unchanged"
    """The files hold the pair in use."""
    FAILED = "failed"
    """The files could not be used; the last good pair stays in use."""


ReloadReport = Callable[[ReloadOutcome, CertError | None], None]
"""Is told each outcome, with the error when it is FAILED; must not raise, or following ends."""


class FilePairSource:
    """Reads a pair from a certificate file and a key file, once or again and again.

    Takes the two paths; touches no file until asked. Links are followed anew at each look, so that a
    swapped directory is seen.
    """

    def __init__(self, cert_path: Path, key_path: Path) -> None:
        self._cert_path = cert_path
        self._key_path = key_path

    def load(self) -> KeyPair:
        """Give the pair that the files hold now; raises CertUnreadable or KeyMismatch, naming the files."""
        return KeyPair.from_files(self._cert_path, self._key_path)

    async def follow(
        self,
        serving: ServingContext,
        *,
        interval: float,
        sleep: Callable[[float], Awaitable[None]],
        report: ReloadReport,
    ) -> None:
        """Look at the files every `interval` seconds and hand what changed to `serving`, until cancelled.

        Waits first, by `sleep` (asyncio.sleep in production), as `serving` was made from a fresh load.
        Content is compared, not dates, so a swapped link counts and a mere touch does not. Whatever is
        wrong with the files, `serving` keeps its last good pair and the next look tries again. Reading
        happens off the event loop, as a volume may be slow.
        """
        if interval <= 0:
            raise ValueError("interval must be more than 0 seconds")
        while True:
            await sleep(interval)
            try:
                pair = await asyncio.to_thread(self.load)
                swapped = serving.update(pair)
            except CertError as error:
                report(ReloadOutcome.FAILED, error)
            else:
                report(ReloadOutcome.RELOADED if swapped else ReloadOutcome.UNCHANGED, None)
