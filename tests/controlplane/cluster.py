"""A control plane of real programs on loopback: etcd, API server, controller manager, scheduler, kwok."""

import http.client
import json
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.controlplane import arguments, audit, binaries
from tests.controlplane.access import Access
from tests.controlplane.processes import Component, Spawner, wait_until

START_SECONDS: Final = 180


class ControlPlane(Access):
    """Starts the programs in a folder of its own and ends exactly those.

    Everything here waits in the thread that calls: in a coroutine, use ``asyncio.to_thread`` for what takes long
    while something of the test's own has to answer, such as a webhook or a proxy.
    """

    def __init__(self, folder: Path, *, detached: bool = False, address: str = arguments.LOOPBACK) -> None:
        """Take an empty or missing folder; detached processes outlive this one, others die with it.

        The address is the API server's: real nodes and their pods need one that is not loopback.
        """
        programs = binaries.paths()
        folder.mkdir(parents=True, exist_ok=True)
        ports = arguments.Ports.free()
        super().__init__(folder, ports.api, address)
        self._ports = ports
        self._audit_log = folder / "audit.log"
        self._spawner = Spawner(detached=detached)
        self.kubectl: Final = programs["kubectl"]
        certificate_users = {
            "kube-controller-manager": ("system:kube-controller-manager", ()),
            "kube-scheduler": ("system:kube-scheduler", ()),
        }
        users = {name: self.user_kubeconfig(*user) for name, user in certificate_users.items()}
        flags = {
            "etcd": arguments.etcd(folder, ports),
            "kube-apiserver": arguments.api_server(folder, ports, self._pki, address),
            "kube-controller-manager": arguments.controller_manager(
                folder, users["kube-controller-manager"], self._pki, address
            ),
            "kube-scheduler": arguments.scheduler(users["kube-scheduler"]),
        }
        commands = {name: [str(programs[name]), *argv] for name, argv in flags.items()} | self._node_commands()
        self.components: Final = {
            name: Component(name, argv, folder / f"{name}.log") for name, argv in commands.items()
        }
        self.write_log("")

    def start(self) -> None:
        """Start everything and wait until it works; raises with the end of a log when it does not."""
        try:
            self._start("etcd")
            self._wait("etcd", lambda: self._etcd("kv/range", {"key": "AA=="}))
            self._start("kube-apiserver")
            self._wait("kube-apiserver", self._ready)
            for name in ("kube-controller-manager", "kube-scheduler"):
                self._start(name)
            self._start_nodes()
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            self._wait("kube-controller-manager", lambda: self.request("GET", account))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End what was started, in reverse, by force and at once; of the files, keep the logs."""
        for component in reversed(self.components.values()):
            component.stop()
        self._spawner.close()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def kill_api_server(self, number: int = signal.SIGKILL) -> None:
        """End the API server and leave it ended."""
        self.components["kube-apiserver"].stop(number)

    def restart_api_server(self, number: int = signal.SIGKILL) -> None:
        """End the API server if it still runs, start it again on the same port, wait until it is ready."""
        self.kill_api_server(number)
        self._start("kube-apiserver")
        self._wait("kube-apiserver", self._ready)

    @contextmanager
    def frozen(self, component: str) -> Iterator[None]:
        """Keep a program from running for as long as the block takes."""
        self.freeze(component)
        try:
            yield
        finally:
            self.thaw(component)

    def freeze(self, component: str) -> None:
        """Stop a program where it stands; its connections stay open and say nothing."""
        self.components[component].freeze()

    def thaw(self, component: str) -> None:
        """Let a frozen program go on."""
        self.components[component].thaw()

    def compact(self) -> int:
        """Forget all history before now, and give the revision.

        The API server's cache still knows it and serves older lists and watches: restart it for them to get 410.
        """
        revision = int(self._etcd("kv/range", {"key": "AA=="})["header"]["revision"])
        self._etcd("kv/compaction", {"revision": revision, "physical": True})
        return revision

    def audit_position(self) -> int:
        """Give where the audit log ends now, for `audit_events`."""
        return audit.position(self._audit_log)

    def audit_events(self, since: int = 0) -> list[dict[str, Any]]:
        """Give the requests that ended after a position. One appears a moment after its answer: poll."""
        return audit.events(self._audit_log, since)

    def write_log(self, text: str | None) -> None:
        """Set what every container has written so far; None makes reading any log fail."""
        path = self.folder / "containers.log"
        if text is None:
            path.unlink(missing_ok=True)
            return
        moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(f"{moment} stdout F {line}\n" for line in text.splitlines()))
        fresh.rename(path)  # in one step, as kwok may be reading

    def _node_commands(self) -> dict[str, list[str]]:
        """Give the commands of what stands for nodes, in the order of their start: kwok."""
        kubeconfig = self.user_kubeconfig("kwok", ("system:masters", "system:nodes"))
        argv = arguments.kwok(self.folder, self._ports, kubeconfig, self._pki)
        return {"kwok": [str(binaries.paths()["kwok"]), *argv]}

    def _start_nodes(self) -> None:
        """Start what `_node_commands` gives and wait until pods can run."""
        self._start("kwok")
        node = f"/api/v1/nodes/{arguments.NODE}"
        self.request("POST", "/api/v1/nodes", arguments.NODE_OBJECT)
        # The controller that takes this taint off is off, as it would take fake nodes for dead.
        self.request("PATCH", node, {"spec": {"taints": None}})
        self._wait("kwok", lambda: "addresses" in self.request("GET", node)["status"])

    def _start(self, name: str) -> None:
        # Nothing of the caller's: no proxies, and kwok would read a configuration from the user's home.
        environment = {"HOME": str(self.folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        self.components[name].start(self._spawner, environment)

    def _ready(self) -> bool:
        with self._opener.open(f"{self.api_url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)

    def _wait(self, name: str, condition: Callable[[], object]) -> None:
        """Poll what a program is to make true; what refuses or is not found is not true yet."""
        component = self.components[name]

        def holds() -> bool:
            component.check()
            try:
                return bool(condition())
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                return False

        wait_until(
            holds,
            START_SECONDS,
            lambda: (
                f"{name} is not ready after {START_SECONDS} s. The end of {component.log}:\n{component.tail()}"
            ),
        )

    def _etcd(self, call: str, body: object) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._ports.etcd}/v3/{call}", json.dumps(body).encode(), method="POST"
        )
        with self._opener.open(request, timeout=10) as answer:
            return json.loads(answer.read())
