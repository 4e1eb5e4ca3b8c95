"""What the controller needs of a cluster. The live and the embedded one both give it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from webhook.claims import Known
from webhook.policy.gateway_resource import Gateway, MigrationStatus
from webhook.policy.migration.job_views import Job, JobEvent
from webhook.policy.objects import ConfigMap, Deployment, Pod
from webhook.policy.record import Record, RecordSpec, RecordStatus

Manifest = Mapping[str, Any]


class Copies(Known, Protocol):
    """What is known without asking: synced copies of small parts of objects. They may lag."""

    def records(self) -> Sequence[Record]:
        """Give all records: who migrates which database."""

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        """Give a stored Deployment, if it has a Gateway container or is held by us."""

    def deployments(self, namespace: str = "") -> Sequence[Deployment]:
        """Give those of a namespace, or of all."""

    def gateways(self, namespace: str = "") -> Sequence[Gateway]:
        """Give the Gateway resources of a namespace, or of all."""

    def jobs(self, namespace: str) -> Sequence[Job]:
        """Give the Jobs of a namespace, or of all, that migrate, or say that they do, ours and others'."""

    def obstacle(self, namespace: str, job_uid: str) -> str:
        """Say why the pod of a Job does not run, empty when it does or nothing is known."""

    @property
    def mirrors(self) -> bool:
        """Tell whether the Gateway resource has room for ``status.migrationStatus``."""


class Observations(Copies, Protocol):
    """Copies, and what is asked of the cluster at the moment; an answer that cannot be had is a ClusterError."""

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """Give a ConfigMap."""

    async def gateway_manifest(self, namespace: str, name: str) -> Manifest | None:
        """Give a whole Gateway resource."""

    async def deployment_template(self, namespace: str, name: str) -> Manifest:
        """Give a Deployment's whole pod template; NotFoundError when it is gone."""

    async def job(self, namespace: str, name: str) -> Manifest | None:
        """Give a whole Job."""

    async def job_pods(self, namespace: str, uid: str) -> Sequence[Manifest]:
        """Give all whole pods that the Job of this UID controls."""

    async def job_events(self, namespace: str, uid: str) -> Sequence[JobEvent]:
        """Give what was told of the Job of this UID, by whomever; nothing when that may not be read."""

    async def pod_log(self, namespace: str, name: str) -> str:
        """Give the end of a pod's log, empty when there is none to be had."""

    async def pods_of(self, namespace: str, deployment: str) -> Sequence[Pod]:
        """Give the pods of a Deployment's ReplicaSets."""


class Writes(Protocol):
    """Writes: each is conditional on what was read, and safe to repeat.

    ConflictError means that the object changed meanwhile: observe again.
    """

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

    async def unpause(self, namespace: str, name: str, version: str) -> None:
        """Let a Deployment go on that we paused, and take our mark off.

        ConflictError when its resourceVersion is another by now; one that is gone is no error.
        """

    async def mark_migrated(self, namespace: str, name: str, mark: str) -> None:
        """Annotate a Deployment with the hash that is complete; one that is gone is no error."""

    async def mirror(self, namespace: str, name: str, status: MigrationStatus) -> None:
        """Tell a Gateway resource how its migration stands."""


class Cluster(Observations, Writes, Protocol):
    """All that the controller knows of the cluster."""
