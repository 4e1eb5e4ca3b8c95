"""A control plane with one real node in namespaces of its own."""

import shutil
import subprocess
from pathlib import Path

from tests.controlplane import binaries
from tests.controlplane.cluster import ControlPlane
from tests.node import arguments, images, machine, packages


class NodeCluster(ControlPlane):
    """Starts everything inside the node's network, into which it takes the calling thread.

    API server, Services and pods are reached at their own addresses from there. ``stop`` takes the thread out
    again and ends, unmounts and removes all that was made.
    """

    def __init__(self, folder: Path) -> None:
        """Take an empty or missing folder; MachineError when this machine cannot hold a node."""
        packages.require()
        folder.mkdir(parents=True, exist_ok=True)
        self.node = arguments.NODE
        self._programs = binaries.paths(binaries.NODE)
        self.machine = machine.Machine(folder, self._programs["workload"])
        try:
            self.machine.start()
            self.machine.enter_network()
            super().__init__(folder, address=machine.ADDRESS)
        except BaseException:
            self._remove_machine()
            raise

    def stop(self) -> None:
        """End what was started, in reverse, by force and at once; of the files, keep the logs."""
        try:
            super().stop()
        finally:
            self._remove_machine()
            for name in ("containerd", "kubelet", "cni-addresses"):
                shutil.rmtree(self.folder / name, ignore_errors=True)

    def load_image(self, archive: Path) -> None:
        """Import an image that `docker save` or `buildah push docker-archive:` has written; pods use its name."""
        self.ctr("images", "import", str(archive), seconds=900)

    def tag_image(self, name: str, *others: str) -> None:
        """Have an image under other names as well; all of them without a registry."""
        familiar = "docker.io/library/"
        self.ctr("images", "tag", "--force", f"{familiar}{name}", *(f"{familiar}{other}" for other in others))

    def ctr(self, *argv: str, seconds: float = 60) -> str:
        """Run containerd's own client where Kubernetes has its images and containers; give its output."""
        connection = (f"--address={arguments.SOCKET}", "--namespace=k8s.io")
        return self.machine.run("/usr/bin/ctr", *connection, *argv, seconds=seconds)

    def restart_kubelet(self) -> str:
        """End the kubelet by force, start it again without waiting, and give the last heartbeat of the first."""
        self.components["kubelet"].stop()
        beat = self.heartbeat()
        self._start("kubelet")
        return beat

    def ready(self) -> bool:
        """Tell whether the node says that it is ready."""
        node = self.request("GET", f"/api/v1/nodes/{self.node}")
        return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"]["conditions"])

    def heartbeat(self) -> str:
        """Give when the kubelet last renewed its Lease: one that was started again does so at once."""
        lease = self.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self.node}")
        return str(lease["spec"]["renewTime"])

    def _node_commands(self) -> dict[str, list[str]]:
        """Give the commands of containerd, kubelet and kube-proxy."""
        kubelet = self.user_kubeconfig(f"system:node:{self.node}", ("system:nodes",))
        proxy = self.user_kubeconfig("system:kube-proxy")
        serving = self._pki.server("node", (self.node,))
        flags = arguments.kubelet(self.folder, kubelet, self._pki.ca_file, serving, self.machine.cgroup)
        return {
            "containerd": self.machine.command(*arguments.containerd(self.folder)),
            "kubelet": self.machine.command(str(self._programs["kubelet"]), *flags),
            "kube-proxy": self.machine.command(str(self._programs["kube-proxy"]), *arguments.kube_proxy(proxy)),
        }

    def _start_nodes(self) -> None:
        self._start("containerd")
        self._wait("containerd", self._containerd_answers)
        workload = self._programs["workload"]
        self.load_image(images.write(self.folder / "pause.tar", arguments.PAUSE, workload, ["pause"]))
        self._start("kubelet")
        self._start("kube-proxy")
        self._wait("kubelet", self.ready)
        self._wait("kube-proxy", self._services_are_programmed)

    def _containerd_answers(self) -> bool:
        # Its client waits for the socket, longer than one look may take.
        try:
            self.ctr("version", seconds=30)
        except (machine.MachineError, subprocess.TimeoutExpired):
            return False
        return True

    def _services_are_programmed(self) -> bool:
        return "kubernetes:https" in self.machine.run("/usr/sbin/iptables-save", "--table=nat")

    def _remove_machine(self) -> None:
        self.machine.leave_network()
        self.machine.stop()
