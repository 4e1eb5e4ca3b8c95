"""Keeps our certificates: the leader's work on two Secrets and two webhook configurations.

What to do follows from `certs.plan` and from what is stored at the moment; watches only say when to look. So
whoever leads next goes on where this one stopped, and a write that comes too late finds another version.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from certs.choice import Holding
from certs.errors import CertError
from certs.pair import KeyPair
from certs.plan import plan
from certs.renewal import Reason
from certs.situation import Observed, Plan, Requests
from certs.trust import Trust, decode, stored_pair
from webhook.errors import ClusterError, ConflictError, NameTakenError, RejectedError
from webhook.kube.api.backoff import Backoff
from webhook.kube.api.client import Client
from webhook.kube.api.pace import Pace
from webhook.kube.certificates.registrations import KINDS, NAME, Registration, Registrations
from webhook.kube.certificates.secrets import AUTHORITY, LEAF, SECRETS, Secret, Secrets
from webhook.kube.certificates.settings import own_of, policy_of
from webhook.kube.informer.listing import Object
from webhook.kube.informer.reflector import Reflector
from webhook.kube.lease.elector import steady
from webhook.logs import said
from webhook.metrics.certificates import CONFIGURATIONS, KeeperMetrics
from webhook.policy.names import PRUNE, PRUNED, ROTATE, ROTATED
from webhook.settings import Settings

LOOK_SECONDS = 60.0
"""How often the wall clock is looked at, although nothing changed."""
_AT_ONCE = 12
"""Steps one after another before others have their turn."""


class CertificateKeeper:
    """Keeps CA, leaf and CA bundles in order while it runs; ``writer`` is the client that is fenced."""

    def __init__(
        self,
        client: Client,
        writer: Client,
        namespace: str,
        settings: Settings,
        metrics: KeeperMetrics,
        *,
        now: Callable[[], datetime],
        log: Any,
        pace: Pace | None = None,
        clock: Callable[[], float] = steady,
    ) -> None:
        self._policy = policy_of(settings, namespace)
        self._secrets = Secrets(client, writer, namespace)
        self._registrations = Registrations(client, writer, own_of(settings, namespace))
        self._metrics = metrics
        self._now, self._clock, self._log = now, clock, log
        self._wake = asyncio.Event()
        self._holding = Holding()
        self._waiting = ""
        self._left_alone: set[str] = set()
        watched = [(SECRETS, namespace, AUTHORITY), (SECRETS, namespace, LEAF)]
        watched += [(resource, "", NAME) for resource in KINDS.values()]
        self._reflectors = [
            Reflector[bool](
                client,
                resource,
                _present,
                self._changed,
                namespace=where,
                fields=f"metadata.name={name}",
                metadata_only=True,  # what keys there are stays where it is
                pace=pace,
            )
            for resource, where, name in watched
        ]

    async def run(self) -> None:
        """Keep them, for ever; the figures end with it, since another replica tells its own."""
        try:
            async with asyncio.TaskGroup() as group:
                for reflector in self._reflectors:
                    group.create_task(reflector.run())
                group.create_task(self._keep())
        finally:
            self._waiting, self._left_alone = "", set()
            self._metrics.forget()

    async def _keep(self) -> None:
        retries = Backoff()
        while True:
            self._wake.clear()
            try:
                wait = await self._look()
                retries.reset()
            except (ConflictError, NameTakenError, RejectedError) as error:
                self._failed(error)  # somebody was quicker: look again
                wait = retries.next()
            except (ClusterError, CertError, msgspec.MsgspecError, ValueError) as error:
                self._failed(error)
                wait = retries.next()
                await asyncio.sleep(wait)  # news do not help with what failed
            await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _look(self) -> float:
        """Do what there is to do; give how long to wait before the next look."""
        for _ in range(_AT_ONCE):
            authority, leaf = await self._secrets.read(AUTHORITY), await self._secrets.read(LEAF)
            registrations = self._ours(await self._registrations.read())
            observed = self._observed(authority, leaf, registrations)
            planned = plan(observed, self._policy, self._now())
            self._show(observed, planned)
            if planned.trust is not None:
                await self._store_trust(authority, planned.trust, planned)
            elif not await self._carry_out(planned, leaf, registrations):
                left = (planned.due - self._now()) / timedelta(seconds=1)
                return min(max(left, 0.05), LOOK_SECONDS)
        return 0.05

    def _ours(self, registrations: list[Registration]) -> list[Registration]:
        """Leave out what cert-manager's injector writes, and tell of it: two who write in turn help nobody."""
        injected = {found.kind for found in registrations if found.injected}
        for kind in sorted(injected - self._left_alone):
            why = "it is annotated for cert-manager's injector, which writes its CA bundle"
            self._log.warning("ca_bundle_left_alone", configuration=kind, why=why)
        self._left_alone = injected
        return [found for found in registrations if not found.injected]

    def _observed(
        self, authority: Secret | None, leaf: Secret | None, registrations: list[Registration]
    ) -> Observed:
        live = {name: bundle for found in registrations for name, bundle in found.live().items()}
        return Observed(
            decode(authority.data if authority else None),
            leaf_in(leaf),
            leaf.data.get("ca.crt", b"") if leaf else b"",
            live,
            self._holding.observe(list(live.values()), self._clock()),
            Requests(
                leaf=_asked(leaf, ROTATE, ROTATED),
                authority=_asked(authority, ROTATE, ROTATED),
                prune=_asked(authority, PRUNE, PRUNED),
            ),
        )

    async def _store_trust(self, before: Secret | None, trust: Trust, planned: Plan) -> None:
        done = _done(before, ROTATE, ROTATED) if planned.done.authority else {}
        done |= _done(before, PRUNE, PRUNED) if planned.done.prune else {}
        await self._secrets.write(AUTHORITY, before, trust.encode(), done)
        self._made("ca", planned.reason)

    async def _carry_out(self, planned: Plan, before: Secret | None, registrations: list[Registration]) -> bool:
        """Mend bundles and store the leaf; tell whether anything was written."""
        failure: ClusterError | None = None
        for registration in registrations:
            if not any(name in planned.stale for name in registration.live()):
                continue
            try:
                await self._registrations.mend(registration, planned.bundle)
            except ClusterError as error:
                failure = error  # a leaf that is due does not wait for it
            else:
                self._metrics.repairs.labels(registration.kind).inc()
                self._log.info("ca_bundle_written", configuration=registration.kind)
        if planned.leaf is not None:
            data = {
                "tls.crt": planned.leaf.certificate_chain,
                "tls.key": planned.leaf.private_key,
                "ca.crt": planned.bundle,
            }
            done = _done(before, ROTATE, ROTATED) if planned.done.leaf else {}
            await self._secrets.write(LEAF, before, data, done)
            self._made("leaf", planned.reason)
        if failure is not None:
            raise failure
        return bool(planned.stale or planned.leaf)

    def _made(self, kind: str, reason: Reason | None) -> None:
        if reason is not None:
            self._metrics.renewals.labels(kind, reason.value).inc()
            self._log.info("certificate_renewed", kind=kind, reason=reason.value)

    def _show(self, observed: Observed, planned: Plan) -> None:
        if isinstance(observed.trust, Trust):
            self._metrics.expiry.labels("ca").set(observed.trust.current.not_after.timestamp())
        if isinstance(observed.leaf, KeyPair):
            self._metrics.expiry.labels("leaf").set(observed.leaf.not_after.timestamp())
        for configuration in CONFIGURATIONS:
            stale = any(name.startswith(f"{configuration}/") for name in planned.stale)
            self._metrics.in_sync.labels(configuration).set(not stale and configuration not in self._left_alone)
        if planned.waiting != self._waiting:
            self._waiting = planned.waiting
            if planned.waiting:
                self._log.info("certificate_waits", why=planned.waiting)

    def _failed(self, error: Exception) -> None:
        self._metrics.failed(error)
        self._log.warning("certificates_not_kept", error=said(error))

    def _changed(self, _namespace: str, _name: str) -> None:
        self._wake.set()


def leaf_in(secret: Secret | None) -> KeyPair | Reason:
    """Give the pair that a Secret holds, or why it holds none."""
    return stored_pair(None if secret is None else secret.data)


def _asked(secret: Secret | None, request: str, answer: str) -> bool:
    told = secret.annotations if secret else {}
    return bool(told.get(request)) and told.get(request) != told.get(answer)


def _done(secret: Secret | None, request: str, answer: str) -> dict[str, str]:
    told = secret.annotations if secret else {}
    return {answer: told[request]} if request in told else {}


def _present(_raw: Object) -> bool:
    return True
