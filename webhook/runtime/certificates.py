"""What a webhook replica shows, the leaf that the controller keeps or files, and whether clients accept it."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from certs import CertError, KeyPair
from certs.bundle import leaf_of, valid, verifies
from certs.choice import Recent, preferable
from certs.renewal import Reason
from webhook.kube.api.client import Client
from webhook.kube.api.pace import Pace
from webhook.kube.certificates.keeper import leaf_in
from webhook.kube.certificates.registrations import KINDS, NAME, Registration, read
from webhook.kube.certificates.secrets import LEAF, SECRETS, Secret, read_secret
from webhook.kube.certificates.settings import own_of
from webhook.kube.informer.reflector import Reflector
from webhook.kube.lease.elector import steady
from webhook.metrics.certificates import ServedMetrics
from webhook.runtime.tls import Tls
from webhook.settings import Settings

LOOK_SECONDS = 15.0
"""How often the wall clock is looked at, although nothing changed."""
Report = Callable[[str, str], None]
"""Is told each look at another leaf: ``reloaded``, ``unchanged``, ``held_back`` or ``failed``, and why."""


class ServedCertificate:
    """Follows the stored leaf, if ``settings`` say so, and our webhook configurations, for one replica.

    Another leaf is shown only when no client loses by it: see `certs.choice`.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        settings: Settings,
        tls: Tls,
        report: Report,
        metrics: ServedMetrics,
        *,
        now: Callable[[], datetime],
        pace: Pace | None = None,
        clock: Callable[[], float] = steady,
    ) -> None:
        self._tls, self._report, self._metrics = tls, report, metrics
        self._now, self._clock = now, clock
        self._wake = asyncio.Event()
        self._loaded = asyncio.Event()
        if tls.loaded:
            self._loaded.set()
        self._recent = Recent(settings.settle_seconds)
        self._told: tuple[object, str] = (None, "")
        self._settle = settings.settle_seconds
        own = own_of(settings, namespace)
        self._registrations: dict[str, Reflector[Registration]] = {
            kind: Reflector(
                client,
                resource,
                partial(read, kind, own),
                self._changed,
                fields=f"metadata.name={NAME}",
                pace=pace,
            )
            for kind, resource in (KINDS.items() if not tls.source or settings.tls_ca else ())
        }
        self._leaf: Reflector[Secret] | None = None
        if tls.source is None:
            self._leaf = Reflector(
                client,
                SECRETS,
                read_secret,
                self._changed,
                namespace=namespace,
                fields=f"metadata.name={LEAF}",
                pace=pace,
            )

    async def run(self) -> None:
        """Follow, for ever."""
        reflectors: list[Reflector[Any]] = list(self._registrations.values())
        if self._leaf is not None:
            reflectors.append(self._leaf)
        async with asyncio.TaskGroup() as group:
            for reflector in reflectors:
                group.create_task(reflector.run())
            group.create_task(self._follow(reflectors))

    async def wait_loaded(self) -> None:
        """Wait until there is a certificate to show."""
        await self._loaded.wait()

    def missing(self) -> list[str]:
        """Say what is wrong with what is shown, in words; empty when the API server accepts it."""
        if not self._tls.loaded:
            return [f"no certificate that the API server would accept; the controller keeps one in Secret {LEAF}"]
        pair = self._tls.serving.pair
        if not valid(leaf_of(pair), self._now()):
            return [f"the certificate is valid from {pair.not_before} to {pair.not_after} alone"]
        refusing = self._refusing()
        return [f"the CA bundle of {name} does not verify the certificate" for name in refusing]

    async def _follow(self, reflectors: list[Reflector[Any]]) -> None:
        for reflector in reflectors:
            await reflector.wait_synced()
        while True:
            self._wake.clear()
            self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_SECONDS, max(self._settle, 0.1))):
                    await self._wake.wait()

    def _look(self) -> None:
        """Show the stored leaf if that is for the better."""
        recent = self._recent.observe(list(self._live().values()), self._clock())
        if self._leaf is not None:
            stored = next(iter(self._leaf.values()), None)
            offered = leaf_in(stored)
            if isinstance(offered, Reason):
                result = "held_back" if offered is Reason.MISSING else "failed"
                self._tell(stored, result, f"Secret {LEAF}: {offered.value}")
            else:
                self._offer(offered, recent)
        self._metrics.verified(name.partition("/")[0] for name in self._refusing())

    def _offer(self, offered: KeyPair, recent: frozenset[bytes]) -> None:
        served = self._tls.serving.pair
        if self._tls.loaded and offered == served:
            self._tell(offered.serial, "unchanged", "")
        elif not self._accepted(offered, recent):
            self._tell(offered.serial, "held_back", "not every CA bundle verifies it yet")
        else:
            try:
                self._tls.adopt(offered)
                self._loaded.set()
            except CertError as error:
                self._tell(offered.serial, "failed", str(error))
            else:
                self._tell(offered.serial, "reloaded", "")

    def _accepted(self, offered: KeyPair, recent: frozenset[bytes]) -> bool:
        now = self._now()
        if self._tls.loaded:
            return preferable(offered, self._tls.serving.pair, recent, now)
        live = self._live().values()
        return valid(leaf_of(offered), now) and all(verifies(bundle, offered, now) for bundle in live)

    def _refusing(self) -> list[str]:
        """Name the webhooks whose bundle does not verify what is shown."""
        pair, now = self._tls.serving.pair, self._now()
        known = dict(self._live())
        if self._tls.source is not None and self._tls.source.bundle is not None:
            known["--tls-ca"] = self._tls.source.bundle
        return [name for name, bundle in known.items() if not verifies(bundle, pair, now)]

    def _live(self) -> dict[str, bytes]:
        found = (registration for one in self._registrations.values() for registration in one.values())
        return {name: bundle for registration in found for name, bundle in registration.live().items()}

    def _tell(self, what: object, result: str, why: str) -> None:
        """Report each thing once: looks are many."""
        told = (what, result)
        if told != self._told:
            self._told = told
            self._report(result, why)

    def _changed(self, _namespace: str, _name: str) -> None:
        self._wake.set()
