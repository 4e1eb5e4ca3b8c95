"""An installation that keeps its own certificates, behind one address, and the storm that it has to bear."""

import asyncio
import base64
import contextlib
import itertools
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self

from tests.controlplane.client import ApiError, Client, until
from tests.live.balancer import Balancer
from tests.live.installation import NAMESPACE, Installation, Replica
from webhook.policy.names import LICENSE_PATH, ROTATE

CONFIGURATIONS = tuple(
    f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/schemagate"
    for kind in ("mutating", "validating")
)
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
AUTHORITY, LEAF = f"{SECRETS}/schemagate-ca", f"{SECRETS}/schemagate-webhook-tls"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "ssg"},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "ssg"}},
        "template": {
            "metadata": {"labels": {"app": "ssg"}},
            "spec": {
                "containers": [
                    {
                        "name": "gateway",
                        "image": "docker.io/caapim/gateway:11.2.5",
                        "volumeMounts": [{"name": "license", "mountPath": LICENSE_PATH, "subPath": "license.xml"}],
                    }
                ],
                "volumes": [{"name": "license", "secret": {"secretName": "license"}}],
            },
        },
    },
}
DEPLOYMENTS = "/apis/apps/v1/namespaces/team-a/deployments"
LEAVES, HANDSHAKES = 6, 50
"""How many a storm has to see at least."""


class Site:
    """An installation whose controller keeps the certificates, behind one address."""

    def __init__(
        self, installation: Installation, admin: Client, balancer: Balancer, ports: list[int], **settings: object
    ) -> None:
        self.installation = installation
        self.admin = admin
        self.balancer = balancer
        self.ports = ports
        self.settings: dict[str, Any] = {
            "certificates": "self-managed",
            "certificate_names": "127.0.0.1",
            "lease_seconds": 3,
            "settle_seconds": 2,
            **settings,
        }
        self.replicas: list[Replica] = []

    def start(self, role: str, **more: Any) -> Replica:
        replica = self.installation.start(role, wait=False, **{**self.settings, **more})
        self.replicas.append(replica)
        return replica

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the product as the administrator."""
        kubeconfig = str(self.installation.plane.admin_kubeconfig)
        return subprocess.run(
            [Path(sys.executable).with_name("schemagate"), *arguments, "--kubeconfig", kubeconfig],
            env={**os.environ, "SCHEMAGATE_CERTIFICATE_NAMES": "127.0.0.1"},
            capture_output=True,
            text=True,
            check=False,
        )

    async def ready(self) -> None:
        async def all_ready() -> bool:
            return all([await asyncio.to_thread(replica.ready) for replica in self.replicas])

        await until(all_ready, 60, "every replica is ready")

    async def bundles(self) -> list[bytes]:
        """Give the live bundle of every webhook."""
        found = [await self.admin.get(path) for path in CONFIGURATIONS]
        hooks = [hook["clientConfig"] for configuration in found for hook in configuration["webhooks"]]
        return [base64.b64decode(hook.get("caBundle", "")) for hook in hooks]

    async def trust(self, bundle: bytes) -> None:
        """Write the bundle of every webhook by hand."""
        text = base64.b64encode(bundle).decode()
        for path in CONFIGURATIONS:
            hooks = (await self.admin.get(path))["webhooks"]
            place = "/webhooks/{}/clientConfig/caBundle"
            patch = [{"op": "add", "path": place.format(at), "value": text} for at in range(len(hooks))]
            await self.admin.patch(path, patch, "application/json-patch+json")

    async def shown(self, port: int, bundle: bytes) -> bytes:
        """Give the certificate that a replica shows to a strict client that trusts the bundle."""
        context = ssl.create_default_context(cadata=bundle.decode())
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return bytes(der)

    async def verified(self) -> bool:
        """Tell whether every replica is verified by every live bundle."""
        try:
            for bundle in await self.bundles():
                for port in self.ports:
                    await self.shown(port, bundle)
        except (ssl.SSLError, OSError, ValueError):
            return False
        return True

    async def leaf(self) -> bytes:
        secret = await self.admin.get(LEAF)
        return base64.b64decode(secret["data"]["tls.crt"])

    async def annotate(self, path: str, key: str) -> None:
        await self.admin.patch(path, {"metadata": {"annotations": {key: str(time.time())}}})


class Storm:
    """Calls through the API server and strict handshakes, while certificates are renewed, rotated and deleted."""

    ACTS = (
        (10, ROTATE, (LEAF,)),
        (25, ROTATE, (AUTHORITY,)),
        (40, "delete", (LEAF,)),
        (55, ROTATE, (AUTHORITY,)),
        (70, "delete", (AUTHORITY, LEAF)),
        (85, ROTATE, (LEAF,)),
        (95, "delete", (AUTHORITY,)),
    )
    """At which percentage of the calls what is done to which Secret."""

    def __init__(self, site: Site, calls: int, clients: int) -> None:
        self._site = site
        self._calls, self._clients = calls, clients
        self._left = self._numbers()
        self._done = asyncio.Event()
        self.finished = self.handshakes = 0
        self.failures: list[str] = []
        self.leaves: set[bytes] = set()

    async def blow(self) -> None:
        """Go on until all calls are done."""
        others = [asyncio.create_task(self._shake_hands()), asyncio.create_task(self._disturb())]
        try:
            await asyncio.gather(*(self._call() for _ in range(self._clients)))
        finally:
            self._done.set()
            await asyncio.gather(*others)

    async def ignored(self) -> float:
        """Give how many calls failed that the API server let pass (failurePolicy Ignore)."""
        told = await self._site.admin.text("/metrics")
        return sum(map(float, re.findall(r"(?m)^apiserver_admission_webhook_fail_open_count\{.*\} (\S+)", told)))

    async def answered(self) -> float:
        """Give how many calls the replicas judged."""
        total = 0.0
        for replica in self._site.replicas:
            told = await asyncio.to_thread(replica.metrics)
            pattern = (
                r'(?m)^schemagate_http_responses_total\{path="/validate-apps-v1-deployment",status="200"\} (\S+)'
            )
            total += sum(map(float, re.findall(pattern, told)))
        return total

    def _numbers(self) -> Iterator[int]:
        """Number the calls: as many as were asked for, and on until all that is asserted of leaves was seen."""
        for number in itertools.count():
            if number >= self._calls and len(self.leaves) >= LEAVES and self.handshakes >= HANDSHAKES:
                return
            yield number

    async def _call(self) -> None:
        plane = self._site.installation.plane
        async with Client(plane.api_url, plane.client_context) as client:
            for number in self._left:
                try:
                    await restart(client, number)
                except ApiError as error:
                    self.failures.append(f"{number}: {error}")
                self.finished += 1

    async def _shake_hands(self) -> None:
        """Play strict clients with fresh connections, which know a bundle of a moment ago.

        Whoever knew it for longer than things settle was promised nothing: that does not count, either way.
        """
        while not self._done.is_set():
            read_at, known = time.monotonic(), await self._site.bundles()
            await asyncio.sleep(0.5)
            for port, bundle in itertools.product(self._site.ports, set(known)):
                failure = ""
                try:
                    await self._site.shown(port, bundle)
                except (ssl.SSLError, OSError) as error:
                    failure = f"handshake: {error}"
                if time.monotonic() - read_at > self._site.settings["settle_seconds"]:
                    break
                self.failures += [failure] if failure else []
                self.handshakes += 1

    async def _disturb(self) -> None:
        acts = list(self.ACTS)
        while not self._done.is_set():
            if acts and self.finished * 100 >= self._calls * acts[0][0]:
                _, act, paths = acts.pop(0)
                for path in paths:
                    # One that was deleted a moment ago is made anew.
                    await until(partial(self._site.admin.exists, path), what=f"{path} is there")
                    await self._look()  # what is there may be gone before the next look
                    await (self._site.admin.delete(path) if act == "delete" else self._site.annotate(path, act))
            await self._look()
            await asyncio.sleep(0.2)

    async def _look(self) -> None:
        with contextlib.suppress(ApiError):  # there is none for a moment
            self.leaves.add(await self._site.leaf())


class Caller:
    """Calls through the API server one after another, each with a handshake; use it as an asynchronous context."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.calls = 0
        self.failures: list[str] = []
        """What the API server said of certificates; whatever else goes wrong is raised."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def called(self, seconds: float, calls: int = 10) -> None:
        """Wait until that time has passed, and that many calls more were begun and ended."""
        wanted, end = self.calls + calls + 1, time.monotonic() + seconds

        async def enough() -> bool:
            if self._task.done():
                self._task.result()
            return self.calls >= wanted and time.monotonic() > end

        await until(enough, what="further calls")

    async def _run(self) -> None:
        while True:
            self._site.balancer.cut()
            await self._site.balancer.idle()
            try:
                await restart(self._site.admin, self.calls)
            except ApiError as error:
                if "certificate" not in error.message:
                    # Cut while the API server already sent: not what this is about.
                    if any(word in error.message for word in ("EOF", "reset by peer", "broken pipe")):
                        continue
                    raise
                self.failures.append(error.message)
            self.calls += 1


async def restart(client: Client, number: int) -> None:
    """Change a pod template without a trace: that asks both webhooks of Deployments."""
    change = {"spec": {"template": {"metadata": {"annotations": {"restarted": str(number)}}}}}
    await client.patch(f"{DEPLOYMENTS}/ssg", change, dryRun="All")
