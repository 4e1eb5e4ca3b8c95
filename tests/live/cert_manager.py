"""A real cert-manager beside the real API server, and what a kubelet does with the Secret that it makes."""

import base64
import os
import re
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from tests.controlplane import binaries
from tests.controlplane.client import APPLY, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.processes import Component, Spawner
from tests.live.installation import NAMESPACE

CERTIFICATES: Final = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/certificates"
ISSUERS: Final = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/issuers"
SECRETS: Final = f"/api/v1/namespaces/{NAMESPACE}/secrets"
LEAF: Final = "schemagate-serving"
AUTHORITY: Final = "schemagate-authority"
INJECT: Final = {"cert-manager.io/inject-ca-from": f"{NAMESPACE}/{LEAF}"}


class CertManager:
    """cert-manager's controller and cainjector, as processes of the test's own."""

    def __init__(self, plane: ControlPlane) -> None:
        programs = binaries.paths()
        self._definitions = programs["cainjector"].with_name("crds")
        self._spawner = Spawner(detached=False)
        self._plane = plane
        flags = [f"--kubeconfig={plane.admin_kubeconfig}", "--leader-elect=false"]
        # Nothing of the cluster runs under its namespace here; metrics would take a fixed port.
        extra = {"controller": ["--metrics-listen-address=127.0.0.1:0", "--cluster-resource-namespace=default"]}
        self._components = [
            Component(name, [str(programs[name]), *flags, *extra.get(name, [])], plane.folder / f"cm-{name}.log")
            for name in ("controller", "cainjector")
        ]

    async def start(self, admin: Client) -> None:
        """Install the definitions, start both, and wait until the kinds are served."""
        for file in sorted(self._definitions.glob("*.yaml")):
            plain = "\n".join(line for line in file.read_text().splitlines() if "{{" not in line)
            definition = yaml.safe_load(plain)
            path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
            await admin.patch(path, definition, APPLY, fieldManager="tests", force="true")
        for kind in (CERTIFICATES, ISSUERS):  # each is served a moment after it was stored
            await until(partial(admin.exists, kind), what=f"{kind} to be served")
        for component in self._components:
            component.start(self._spawner, {"HOME": str(self._plane.folder), "PATH": os.environ["PATH"]})

    def stop(self) -> None:
        """End both."""
        for component in self._components:
            component.stop()
        self._spawner.close()


async def issue(admin: Client, names: list[str], addresses: list[str]) -> None:
    """Ask for a CA of our own and a leaf issued by it, as the documentation of cert-manager advises."""
    await admin.post(ISSUERS, {**_named("Issuer", "self-signed"), "spec": {"selfSigned": {}}})
    authority = {
        "isCA": True,
        "commonName": "schemagate",
        "secretName": AUTHORITY,
        "privateKey": {"algorithm": "ECDSA", "size": 256},
        "issuerRef": {"name": "self-signed", "kind": "Issuer"},
    }
    await admin.post(CERTIFICATES, {**_named("Certificate", AUTHORITY), "spec": authority})
    await admin.post(ISSUERS, {**_named("Issuer", "schemagate"), "spec": {"ca": {"secretName": AUTHORITY}}})
    leaf = {
        "secretName": LEAF,
        "dnsNames": names,
        "ipAddresses": addresses,
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": {"name": "schemagate", "kind": "Issuer"},
    }
    await admin.post(CERTIFICATES, {**_named("Certificate", LEAF), "spec": leaf})


async def renew(admin: Client) -> None:
    """Ask for a new leaf, as ``cmctl renew`` does."""
    condition = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "Certificate re-issuance manually triggered",
    }
    path = f"{CERTIFICATES}/{LEAF}"

    async def asked() -> bool:
        found = await admin.get(path)
        found["status"]["conditions"] = [*found["status"]["conditions"], condition]
        await admin.put(f"{path}/status", found)  # cert-manager may write it meanwhile
        return True

    await until(asked, what="cert-manager is asked for a new leaf")


async def leaf(admin: Client) -> dict[str, bytes]:
    """Wait for the leaf's Secret, and give its files."""

    async def there() -> dict[str, Any] | None:
        data = (await admin.get(f"{SECRETS}/{LEAF}")).get("data") or {}
        return data if data.get("tls.crt") and data.get("ca.crt") else None

    data = await until(there, 60, "the leaf that cert-manager issues")
    assert data is not None
    return {name: base64.b64decode(text) for name, text in data.items()}


def mount(folder: Path, files: dict[str, bytes]) -> None:
    """Bring the files of a mounted Secret up to date as a kubelet does: a new folder, and one swap of a link."""
    folder.mkdir(exist_ok=True)
    number = max((int(re.sub(r"\D", "", old.name) or 0) for old in folder.glob("..v*")), default=0) + 1
    fresh = folder / f"..v{number}"
    fresh.mkdir()
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    link = folder / "..data_tmp"
    link.symlink_to(fresh.name)
    link.replace(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


def _named(kind: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata}
