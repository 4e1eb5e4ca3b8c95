"""A pair kept in files (a mounted Secret, cert-manager's, or one's own), with what verifies it, and followed."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path

from certs.errors import CertError
from certs.pair import KeyPair
from certs.reading import read_file
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

    Takes the two paths, and that of the CA bundle beside them where there is one; touches no file until asked.
    Links are followed anew at each look, so that a swapped directory is seen. `bundle` is what the third file
    held when the pair in use was read, None without one.
    """

    def __init__(self, cert_path: Path, key_path: Path, ca_path: Path | None = None) -> None:
        self._cert_path = cert_path
        self._key_path = key_path
        self._ca_path = ca_path
        self.bundle: bytes | None = None

    def load(self) -> KeyPair:
        """Give the pair that the files hold now; raises CertUnreadable or KeyMismatch, naming the files."""
        pair, bundle = self._pair(), self._read_bundle()
        self.bundle = bundle
        return pair

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
        wrong with the files, `serving` keeps its last good pair and the next look tries again; a pair is taken
        although its bundle cannot be read, which is then told and stays as it was. Reading happens off the event
        loop, as a volume may be slow.
        """
        if interval <= 0:
            raise ValueError("interval must be more than 0 seconds")
        while True:
            await sleep(interval)
            try:
                pair, bundle = await asyncio.to_thread(self._look)
                swapped = serving.update(pair)
            except CertError as error:
                report(ReloadOutcome.FAILED, error)
                continue
            if not isinstance(bundle, CertError):
                self.bundle = bundle
            if swapped or not isinstance(bundle, CertError):
                report(ReloadOutcome.RELOADED if swapped else ReloadOutcome.UNCHANGED, None)
            if isinstance(bundle, CertError):
                report(ReloadOutcome.FAILED, bundle)

    def _look(self) -> tuple[KeyPair, bytes | CertError | None]:
        pair = self._pair()
        try:
            return pair, self._read_bundle()
        except CertError as error:
            return pair, error

    def _pair(self) -> KeyPair:
        return KeyPair.from_files(self._cert_path, self._key_path)

    def _read_bundle(self) -> bytes | None:
        return None if self._ca_path is None else read_file(self._ca_path)
