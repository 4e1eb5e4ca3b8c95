"""The command lines of a node's programs and the files that they read."""

import json
from pathlib import Path
from typing import Final

import yaml

from tests.node import machine

NODE: Final = "node"
PAUSE: Final = "schemagate.test/pause:1"
SOCKET: Final = "/run/containerd/containerd.sock"
_PLUGINS: Final = "/usr/lib/cni"
KUBELET_PORT: Final = 10250


def containerd(folder: Path) -> list[str]:
    """Give containerd's command; writes its configuration and that of the pods' network.

    Every pod hangs on a link of its own (`ptp`): on a bridge, answers to a Service's client on the same bridge
    would pass by the rules that turn addresses back, unless the kernel has `br_netfilter`.
    """
    networks = folder / "cni"
    networks.mkdir(exist_ok=True)
    addresses = {
        "type": "host-local",
        "dataDir": str(folder / "cni-addresses"),
        "ranges": [[{"subnet": machine.PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    network = {"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": addresses}]}
    (networks / "10-pods.conflist").write_text(json.dumps(network))
    config = folder / "containerd.toml"
    config.write_text(f"""\
version = 2
root = "{folder / "containerd"}"
state = "/run/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Not every root may lower the score of what it starts (CAP_SYS_RESOURCE).
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_PLUGINS}"
    conf_dir = "{networks}"
""")
    return ["/usr/bin/containerd", f"--config={config}", "--log-level=warn"]


def kubelet(folder: Path, kubeconfig: Path, ca_file: Path, serving: tuple[Path, Path], cgroup: str) -> list[str]:
    """Give the kubelet's flags; writes its configuration. `serving` is certificate and key of its own server."""
    certificate, key = serving
    config = folder / "kubelet.yaml"
    document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": machine.ADDRESS,
        "port": KUBELET_PORT,
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "authentication": {"x509": {"clientCAFile": str(ca_file)}},
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        # How soon a changed Secret comes into pods; a minute unless told otherwise.
        "syncFrequency": "10s",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        # The disk is the machine's, not the node's: nothing is evicted or cleaned up for what others fill.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "oomScoreAdj": 0,
        "resolvConf": "",
    }
    config.write_text(yaml.safe_dump(document))
    return [
        f"--kubeconfig={kubeconfig}",
        f"--config={config}",
        f"--root-dir={folder / 'kubelet'}",
        f"--hostname-override={NODE}",
        f"--node-ip={machine.ADDRESS}",
    ]


def kube_proxy(kubeconfig: Path) -> list[str]:
    """Give kube-proxy's flags; of conntrack's settings it leaves alone those of the whole machine."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={NODE}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={machine.PODS}",
        "--iptables-min-sync-period=100ms",
        "--oom-score-adj=0",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    ]
