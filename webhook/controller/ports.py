"""What the controller needs of a cluster. The live and the embedded one both give it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from webhook.policy.gateway_resource import Gateway
from webhook.policy.objects import ConfigMap, Deployment, Namespace, Pod
from webhook.policy.record import Record, RecordSpec, RecordStatus

Manifest = Mapping[str, Any]


class Observations(Protocol):
    """Reads."""

    def record(self, namespace: str, name: str) -> Record | None:
        """Give a record."""

    def records(self) -> Sequence[Record]:
        """Give all records: who migrates which database."""

    def gateway(self, namespace: str, name: str) -> Gateway | None:
        """Give a Gateway resource."""

    def namespace(self, name: str) -> Namespace | None:
        """Give a namespace."""

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        """Give a stored Deployment."""

    def pods_of(self, namespace: str, deployment: str) -> Sequence[Pod]:
        """Give the pods of a Deployment's ReplicaSets."""

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """Give a ConfigMap."""

    async def deployment_template(self, namespace: str, name: str) -> Manifest:
        """Give a Deployment's whole pod template."""

    async def job(self, namespace: str, name: str) -> Manifest | None:
        """Give a whole Job."""

    async def job_pods(self, namespace: str, uid: str) -> Sequence[Manifest]:
        """Give all whole pods that the Job of this UID controls."""

    async def pod_log(self, namespace: str, name: str) -> str:
        """Give the end of a pod's log."""


class Writes(Protocol):
    """Writes: each is conditional on what was read, and safe to repeat."""

    async def create_record(self, namespace: str, name: str, spec: RecordSpec) -> Record:
        """Create a managed record."""

    async def write_spec(self, record: Record, spec: RecordSpec) -> Record:
        """Bring a managed record in line with its source."""

    async def delete_record(self, record: Record) -> None:
        """Delete a managed record whose source is gone."""

    async def write_status(self, record: Record, status: RecordStatus) -> Record:
        """Write the status."""

    async def clear_retry(self, record: Record) -> None:
        """Take the retry annotation off."""

    async def create_job(self, manifest: Manifest) -> str:
        """Create a Job and give its UID; NameTakenError when one of that name exists."""

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete the Job of this UID; one that is gone already is no error."""

    async def unpause(self, namespace: str, name: str) -> None:
        """Let a Deployment go on that we paused, and take our mark off."""

    async def mark_migrated(self, namespace: str, name: str, mark: str) -> None:
        """Annotate a Deployment with the hash that is complete."""


class Cluster(Observations, Writes, Protocol):
    """All that the controller knows of the cluster."""
