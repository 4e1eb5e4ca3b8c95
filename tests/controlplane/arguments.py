"""The command line of every component and the files that they read."""

import os
import random
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.controlplane.pki import Authority

LOOPBACK: Final = "127.0.0.1"
STAGES: Final = Path(__file__).with_name("stages.yaml")
NODE: Final = "fake"

AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch", "delete"],
            "resources": [
                {"group": "batch", "resources": ["jobs", "jobs/status"]},
                {"group": "apps", "resources": ["deployments", "deployments/status"]},
                {"group": "schemagate.io", "resources": ["gatewaymigrations", "gatewaymigrations/status"]},
            ],
        },
        {"level": "Metadata"},
    ],
}
"""Everything at Metadata, which keeps what webhooks annotate; bodies of the writes that tests ask about."""

NODE_OBJECT: Final = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": NODE,
        "annotations": {"kwok.x-k8s.io/node": "fake"},
        "labels": {
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": NODE,
            "kubernetes.io/os": "linux",
            "type": "kwok",
        },
    },
}


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports on loopback."""

    etcd: int
    etcd_peer: int
    api: int
    kubelet: int

    @classmethod
    def free(cls) -> "Ports":
        """Find free ones."""
        return cls(*free_ports(4))


_GIVEN: Final[set[int]] = set()


def free_ports(count: int) -> list[int]:
    """Find free ports on loopback, all held until the last is found; other workers of a run find others.

    Below the range that the kernel gives to outgoing connections: a server that is started again must find its
    port as it left it.
    """
    found: list[int] = []
    low = 20000 + 2000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 5)
    with ExitStack() as held:
        while len(found) < count:
            port = random.randint(low, low + 1999)
            if port in _GIVEN:  # whoever was given it may not have bound it yet
                continue
            candidate = held.enter_context(socket.socket())
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
            _GIVEN.add(port)
    return found


def etcd(folder: Path, ports: Ports) -> list[str]:
    """Give etcd's flags: one member, nothing forced to disk, as nothing has to survive the machine."""
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(folder: Path, ports: Ports, pki: Authority, address: str = LOOPBACK) -> list[str]:
    """Give the API server's flags and write its audit policy. At an address of its own it serves real nodes."""
    policy = folder / "audit-policy.yaml"
    policy.write_text(yaml.safe_dump(AUDIT_POLICY))
    certificate, key = pki.server("kube-apiserver", ("localhost", "kubernetes", "kubernetes.default.svc"))
    kubelet_certificate, kubelet_key = pki.client("kubelet-client", "kube-apiserver", ("system:masters",))
    signer = pki.signing_key("service-account")
    if address == LOOPBACK:
        # The Service `kubernetes` may not point to loopback: nothing looks for it there.
        nodes = ["--endpoint-reconciler-type=none", "--authorization-mode=RBAC"]
    else:
        nodes = ["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"]
    return [
        *nodes,
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={ports.api}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={pki.ca_file}",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={signer}",
        f"--service-account-signing-key-file={signer}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={pki.ca_file}",
        f"--kubelet-client-certificate={kubelet_certificate}",
        f"--kubelet-client-key={kubelet_key}",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--audit-log-maxsize=2000",
    ]


def controller_manager(folder: Path, kubeconfig: Path, pki: Authority, address: str = LOOPBACK) -> list[str]:
    """Give the controller manager's flags; nodes on loopback are left alone, as kwok plays them."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--service-account-private-key-file={folder / 'pki' / 'service-account.key'}",
        f"--root-ca-file={pki.ca_file}",
        "--use-service-account-credentials=true",
        f"--controllers=*,-nodeipam{',-nodelifecycle' if address == LOOPBACK else ''}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def scheduler(kubeconfig: Path) -> list[str]:
    """Give the scheduler's flags."""
    return [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]


def kwok(folder: Path, ports: Ports, kubeconfig: Path, pki: Authority) -> list[str]:
    """Give kwok's flags and write its configuration: our stages, and one file with the log of every container."""
    logs: dict[str, Any] = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "every-container"},
        "spec": {"logs": [{"logsFile": str(folder / "containers.log")}]},
    }
    config = folder / "kwok.yaml"
    config.write_text(f"{yaml.safe_dump(logs)}---\n{STAGES.read_text()}")
    certificate, key = pki.server("kubelet")
    return [
        f"--kubeconfig={kubeconfig}",
        f"--config={config}",
        "--manage-all-nodes=true",
        "--node-ip=127.0.0.1",
        f"--node-port={ports.kubelet}",
        f"--server-address=127.0.0.1:{ports.kubelet}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        "--node-lease-duration-seconds=0",
        "--cidr=10.64.0.1/12",
    ]
