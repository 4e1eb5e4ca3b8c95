"""The controller's writes on the embedded cluster, and the Jobs that run in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from webhook.embedded.cluster import EmbeddedCluster
from webhook.errors import ConflictError, NameTakenError
from webhook.policy.gateway_resource import MigrationStatus
from webhook.policy.names import HELD, MIGRATED, RETRY
from webhook.policy.record import Record, RecordSpec, RecordStatus, Rejections

Manifest = Mapping[str, Any]


class EmbeddedControllerCluster(EmbeddedCluster):
    """An embedded cluster with all that the controller may do."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[tuple[str, str], str] = {}

    async def deployment_template(self, namespace: str, name: str) -> Manifest:
        """Give a Deployment's whole pod template."""
        template: Manifest = self._stored("Deployment", namespace, name)["spec"]["template"]
        return template

    async def job(self, namespace: str, name: str) -> Manifest | None:
        """Give a whole Job."""
        return self.get("Job", namespace, name)

    async def job_pods(self, namespace: str, uid: str) -> Sequence[Manifest]:
        """Give all whole pods that the Job of this UID controls."""
        pods = [self.get(*key) for key in self.keys("Pod") if key[1] == namespace]
        return [pod for pod in pods if pod is not None and _controlled(pod, uid)]

    async def pod_log(self, namespace: str, name: str) -> str:
        """Give a pod's log."""
        return self.logs.get((namespace, name), "")

    async def create_record(self, namespace: str, name: str, spec: RecordSpec) -> Record:
        """Create a managed record."""
        if self.record(namespace, name) is not None:
            raise NameTakenError(name)
        made = Record(namespace=namespace, name=name, managed=True, spec=spec)
        return Record.from_manifest(self.put(made.to_manifest()))

    async def write_spec(self, record: Record, spec: RecordSpec) -> Record:
        """Bring a managed record in line with its source."""
        return self._update(record, spec=replace(record, spec=spec).to_manifest()["spec"])

    async def delete_record(self, record: Record) -> None:
        """Delete a record."""
        self.delete("GatewayMigration", record.namespace, record.name)

    async def write_status(self, record: Record, status: RecordStatus) -> Record:
        """Write the status; new rejections are the ledger's to write, and those that came meanwhile stay."""
        stored = Record.from_manifest(self._stored("GatewayMigration", record.namespace, record.name))
        if stored.status.rejections.count != status.rejections.count:
            status = replace(status, rejections=stored.status.rejections)
        return self._write(record, status)

    async def write_rejections(self, namespace: str, name: str, fold: Callable[[Rejections], Rejections]) -> None:
        """Let ``fold`` change the rejections of a record, if there is one."""
        record = self.record(namespace, name)
        if record is not None:
            self._write(record, replace(record.status, rejections=fold(record.status.rejections)))

    async def clear_retry(self, record: Record) -> None:
        """Take the retry annotation off."""
        stored = self._stored("GatewayMigration", record.namespace, record.name)
        stored["metadata"].get("annotations", {}).pop(RETRY, None)
        self.put(stored)

    async def create_job(self, manifest: Manifest) -> str:
        """Create a Job and give its UID; NameTakenError when one of that name exists."""
        meta = manifest["metadata"]
        if self.get("Job", meta["namespace"], meta["name"]) is not None:
            raise NameTakenError(meta["name"])
        return str(self.put(manifest)["metadata"]["uid"])

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete the Job of this UID."""
        stored = self.get("Job", namespace, name)
        if stored is not None and stored["metadata"]["uid"] == uid:
            self.delete("Job", namespace, name)

    async def unpause(self, namespace: str, name: str, version: str) -> None:
        """Let a Deployment go on that we paused, and take our mark off; ConflictError when it has changed."""
        stored = self.get("Deployment", namespace, name)
        if stored is None:
            return
        if stored["metadata"]["resourceVersion"] != version:
            raise ConflictError(f"Deployment {namespace}/{name} changed since it was to be released")
        stored["spec"].pop("paused", None)
        stored["metadata"].get("annotations", {}).pop(HELD, None)
        self.put(stored)

    async def mark_migrated(self, namespace: str, name: str, mark: str) -> None:
        """Annotate a Deployment with the hash that is complete; one that is gone is no error."""
        stored = self.get("Deployment", namespace, name)
        if stored is None:
            return
        stored["metadata"].setdefault("annotations", {})[MIGRATED] = mark
        self.put(stored)

    async def gateway_manifest(self, namespace: str, name: str) -> Manifest | None:
        """Give a whole Gateway resource."""
        return self.get("Gateway", namespace, name)

    async def mirror(self, namespace: str, name: str, status: MigrationStatus) -> None:
        """Tell a Gateway resource how its migration stands."""
        stored = self._stored("Gateway", namespace, name)
        told = {"specHash": status.spec_hash, "complete": status.complete}
        stored.setdefault("status", {})["migrationStatus"] = told
        self.put(stored)

    def _stored(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        stored = self.get(kind, namespace, name)
        if stored is None:
            raise LookupError(f"{kind} {namespace}/{name} is not stored")
        return stored

    def _write(self, record: Record, status: RecordStatus) -> Record:
        return self._update(record, status=replace(record, status=status).to_manifest()["status"])

    def _update(self, record: Record, **parts: Manifest) -> Record:
        """Replace parts of a stored record; what else its user wrote stays."""
        stored = self._stored("GatewayMigration", record.namespace, record.name)
        return Record.from_manifest(self.put({**stored, **parts}))


def _controlled(pod: Manifest, uid: str) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)
