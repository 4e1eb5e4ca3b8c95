"""schemagate installed on a control plane: the manifests that users get, and both processes under their accounts.

There is no cluster network, so the webhooks are registered by URL and no pod is started for them; all else is what
``manifests/base`` says.
"""

import base64
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import yaml

from tests.controlplane.arguments import free_ports
from tests.controlplane.client import APPLY, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.processes import Component, Spawner, wait_until

MANIFESTS: Final = Path(__file__).parents[2] / "manifests" / "base"
NAMESPACE: Final = "schemagate"
_PROGRAM: Final = Path(sys.executable).with_name("schemagate")
_START_SECONDS: Final = 180
_PLURALS: Final = {
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Deployment": ("apps/v1", "deployments"),
    "MutatingWebhookConfiguration": ("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations"),
    "Namespace": ("v1", "namespaces"),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "ResourceQuota": ("v1", "resourcequotas"),
    "Role": ("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Service": ("v1", "services"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "ValidatingAdmissionPolicy": ("admissionregistration.k8s.io/v1", "validatingadmissionpolicies"),
    "ValidatingAdmissionPolicyBinding": ("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings"),
    "ValidatingWebhookConfiguration": ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"),
}
_PLAYED: Final = {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "ResourceQuota", "Service"}
"""What nothing here would run or reach: processes of the test's own take its place."""


def manifests(*names: str) -> list[dict[str, Any]]:
    """Give the documents of ``manifests/base``, in the order of their numbers, or of the files named."""
    files = [MANIFESTS / name for name in names] or sorted(MANIFESTS.glob("[0-9]*.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]


def path_of(document: dict[str, Any]) -> str:
    """Give where a document of ours is stored."""
    version, plural = _PLURALS[document["kind"]]
    root = "/api/v1" if version == "v1" else f"/apis/{version}"
    namespace = document["metadata"].get("namespace")
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{plural}/{document['metadata']['name']}"


class Replica:
    """One process of the product, under its own service account."""

    def __init__(self, component: Component, ops_url: str) -> None:
        self.component = component
        self.ops_url = ops_url

    @property
    def log(self) -> str:
        """All it has logged."""
        return self.component.log.read_text(errors="replace")

    def ready(self) -> bool:
        """Tell whether it says that it is ready."""
        self.component.check()
        try:
            with urllib.request.urlopen(f"{self.ops_url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def metrics(self) -> str:
        """Give its metrics."""
        with urllib.request.urlopen(f"{self.ops_url}/metrics", timeout=60) as answer:
            return str(answer.read().decode())


class Installation:
    """The product on a control plane. Processes end with the test run, whatever becomes of it."""

    def __init__(self, plane: ControlPlane, *, detached: bool = False) -> None:
        self.plane = plane
        self._spawner = Spawner(detached=detached)
        self._replicas: dict[str, Replica] = {}
        self._count = 0
        self.certificate, self.key = plane.issue("schemagate-webhook")

    async def apply(self, admin: Client, *, webhook_port: int | None = None, ca_bundle: bool = True) -> None:
        """Apply the manifests; the webhooks are registered on this port of loopback, or left out without one.

        Without ``ca_bundle`` it is for the controller to fill in.
        """
        for document in manifests():
            if document["kind"] in _PLAYED:
                continue
            if document["kind"].endswith("WebhookConfiguration"):
                if webhook_port is None:
                    continue
                document = self._by_url(document, webhook_port)
                for webhook in document["webhooks"]:
                    if not ca_bundle:
                        del webhook["clientConfig"]["caBundle"]
            path = path_of(document)
            await admin.patch(path, document, APPLY, fieldManager="tests", force="true")
        await until(lambda: admin.exists("/apis/schemagate.io/v1alpha1"), what="the record's kind")

    def _by_url(self, document: dict[str, Any], port: int) -> dict[str, Any]:
        for webhook in document["webhooks"]:
            webhook["timeoutSeconds"] = 30  # a busy machine is no webhook that does not answer
            path = webhook["clientConfig"].pop("service")["path"]
            authority = base64.b64encode(self.plane.ca_pem).decode()
            webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": authority}
        return document

    def client(self, account: str) -> Client:
        """Give a client under a service account of the product's; use it as an asynchronous context."""
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.plane.request("POST", path, body)["status"]["token"]
        trust = ssl.create_default_context(cadata=self.plane.ca_pem.decode())
        return Client(self.plane.api_url, trust, token=token)

    def start(self, role: str, *, server: str | None = None, wait: bool = True, **settings: object) -> Replica:
        """Start ``webhook`` or ``controller``, reaching the API server at ``server`` if given.

        Settings are those of the product, as environment variables: ``lease_seconds=3``.
        """
        self._count += 1
        name = f"{role}-{self._count}"
        ops_port = free_ports(1)[0]
        kubeconfig = self.plane.kubeconfig_for(f"schemagate-{role}", NAMESPACE, server=server)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.plane.folder),
            "SCHEMAGATE_KUBECONFIG": str(kubeconfig),
            "SCHEMAGATE_NAMESPACE": NAMESPACE,
            "SCHEMAGATE_IDENTITY": name,
            "SCHEMAGATE_OPS_PORT": str(ops_port),
            "SCHEMAGATE_DRAIN_SECONDS": "0",
            "SCHEMAGATE_GATHER_SECONDS": "0.1",
        }
        managed = settings.get("certificates") == "self-managed"
        environment |= {"SCHEMAGATE_CERTIFICATES": "self-managed" if managed else "files"}
        if role == "webhook" and not managed:
            environment |= {"SCHEMAGATE_TLS_CERT": str(self.certificate), "SCHEMAGATE_TLS_KEY": str(self.key)}
        environment |= {f"SCHEMAGATE_{key.upper()}": str(value) for key, value in settings.items()}
        component = Component(name, [str(_PROGRAM), role], self.plane.folder / f"{name}.log")
        component.start(self._spawner, environment)
        replica = Replica(component, f"http://127.0.0.1:{ops_port}")
        self._replicas[name] = replica
        if wait:
            wait_until(replica.ready, _START_SECONDS, lambda: f"{name} is not ready:\n{component.tail()}")
        return replica

    def replica(self, name: str) -> Replica:
        """Give a process that was started, by its identity: the first webhook is ``webhook-1``."""
        return self._replicas[name]

    @property
    def components(self) -> dict[str, Component]:
        """The processes that were started."""
        return {name: replica.component for name, replica in self._replicas.items()}

    def stop(self) -> None:
        """End all processes that were started."""
        for replica in self._replicas.values():
            replica.component.stop()
        self._spawner.close()
