"""schemagate as somebody installs it: kubectl or Helm apply it, and processes run as its Deployments say.

There is no kubelet and no cluster network. So the processes are the test's own, and these are put in their place:
the address and the ports, loopback and free ones; the account's token, by a kubeconfig; and the URL by which the
API server reaches them, where the registration names a Service. All else they are told by the Deployment.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Final

from tests.controlplane import binaries
from tests.controlplane.arguments import free_ports
from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.processes import Component, Spawner
from tests.live.certified import DEPLOYMENT
from tests.live.installation import Replica
from tests.live.test_cli import Done, Person

MANIFESTS: Final = Path(__file__).parents[2] / "manifests"
CHART: Final = MANIFESTS / "chart" / "schemagate"
IMAGE: Final = "image.repository=schemagate"
"""What the chart has to be told: the image's name in the base, which the nodes of the tests know."""
NAMESPACE: Final = "schemagate"
LABEL: Final = "app.kubernetes.io/name=schemagate"
DEFINITION: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gatewaymigrations.schemagate.io"
CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1"
_BIN: Final = Path(sys.executable).parent
_PLACED: Final = {"SCHEMAGATE_HOST", "SCHEMAGATE_PORT", "SCHEMAGATE_OPS_PORT"}


class Deployed:
    """One installation on a control plane, by a person with kubectl and Helm."""

    def __init__(self, plane: ControlPlane, admin: Client, folder: Path) -> None:
        self.plane, self.admin = plane, admin
        self._person = Person(plane.admin_kubeconfig, folder)
        self._spawner = Spawner(detached=False)
        self._replicas: list[Replica] = []

    async def kubectl(self, *arguments: str) -> Done:
        """Run kubectl as the administrator."""
        return await self._person.runs(str(self.plane.kubectl), *arguments)

    async def helm(self, program: str, *arguments: str) -> Done:
        """Run Helm, ``helm`` or ``helm4``, in our namespace."""
        return await self._person.runs(str(binaries.paths()[program]), *arguments, "--namespace", NAMESPACE)

    async def deployment(self, role: str) -> dict[str, Any]:
        """Give the stored Deployment of a process."""
        return await self.admin.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/schemagate-{role}")

    async def start(self, role: str, port: int = 0, **settings: str) -> Replica:
        """Start one replica as its Deployment says; settings take the place of its own, each for a reason."""
        pod = (await self.deployment(role))["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"]
        assert "command" not in container  # the entrypoint of the image is the program
        told = {entry["name"]: entry["value"] for entry in container["env"]}
        assert not _PLACED & settings.keys()
        name = f"{role}-{len(self._replicas)}"
        (ops_port,) = free_ports(1)
        kubeconfig = await asyncio.to_thread(self.plane.kubeconfig_for, pod["serviceAccountName"], NAMESPACE)
        environment = {
            "PATH": os.environ["PATH"],
            **told,
            "SCHEMAGATE_HOST": "127.0.0.1",
            "SCHEMAGATE_PORT": str(port),
            "SCHEMAGATE_OPS_PORT": str(ops_port),
            "SCHEMAGATE_KUBECONFIG": str(kubeconfig),
            "SCHEMAGATE_NAMESPACE": NAMESPACE,
            **settings,
        }
        command = [str(_BIN / "schemagate"), *container["args"]]
        component = Component(name, command, self.plane.folder / f"deployed-{name}.log")
        component.start(self._spawner, environment)
        self._replicas.append(Replica(component, f"http://127.0.0.1:{ops_port}"))
        return self._replicas[-1]

    async def ready(self) -> bool:
        """Tell whether every process says that it is ready."""
        return all([await asyncio.to_thread(replica.ready) for replica in self._replicas])

    async def trusted(self) -> None:
        """Wait until every process is ready, and the API server knows the bundle that it trusts them by."""
        await until(self.ready, 120, "every process is ready")
        path = "/apis/apps/v1/namespaces/default/deployments"
        await until(lambda: self.admin.post(path, DEPLOYMENT, dryRun="All"), what="the webhooks are trusted")

    async def register_by_url(self, port: int, seconds: int = 0) -> None:
        """Have the API server reach the webhooks on a port of loopback, not by their Service.

        They get so many ``seconds`` for a verdict, if any are named: a busy machine is no webhook that is away.
        """
        for kind in ("mutating", "validating"):
            path = f"{CONFIGURATIONS}/{kind}webhookconfigurations/schemagate"
            found = await self.admin.get(path)
            for hook in found["webhooks"]:
                service = hook["clientConfig"].pop("service")
                hook["timeoutSeconds"] = seconds or hook["timeoutSeconds"]
                hook["clientConfig"]["url"] = f"https://127.0.0.1:{port}{service['path']}"
            await self.admin.put(path, found)

    async def left(self) -> list[str]:
        """Name what there is of ours, of every kind that the API server knows, in all namespaces.

        A kind that goes between the two questions makes the second fail: then its words are what is left.
        """
        kinds = (await self.kubectl("api-resources", "--verbs=list,delete", "-o", "name")).out.split()
        asked = await self.kubectl("get", ",".join(kinds), "-A", "-l", LABEL, "-o", "name")
        if asked.code:
            return [asked.err]
        # Generated, and without labels.
        return [*asked.out.split(), *([DEFINITION] if await self.admin.exists(DEFINITION) else [])]

    async def keeps(self, *kept: str) -> None:
        """Wait until no more than this is there of ours: pods go after what asked for them."""

        async def gone() -> bool:
            return await self.left() == list(kept)

        await until(gone, 240, f"nothing of ours is left but {kept}")

    async def stop(self) -> None:
        """End the processes that were started."""
        for replica in self._replicas:
            await asyncio.to_thread(replica.component.stop)
        self._replicas.clear()

    def close(self) -> None:
        """End all, whatever becomes of the test."""
        for replica in self._replicas:
            replica.component.stop()
        self._spawner.close()
