"""Plays the Job controller and the kubelet for migration Jobs: they end when, and as, somebody says."""

import copy
import uuid
from dataclasses import dataclass
from typing import Any

from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import SourceError
from webhook.policy.names import COMPONENT, MIGRATION_COMPONENT


@dataclass(frozen=True, slots=True)
class Ending:
    """How a Job ends: exit code of its pod, what it logged, and the Job's own reason when it fails."""

    exit_code: int = 0
    log: str = "Liquibase command 'update' was executed successfully.\n"
    reason: str = "BackoffLimitExceeded"


_OWNER = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}
SUCCESS = Ending()
LOCKED = Ending(
    exit_code=1,
    log=(
        "Running Changeset: liquibase/ssg-11.3.0.xml\n"
        "Waiting for changelog lock....\n"
        "liquibase.exception.LockException: Could not acquire change log lock.  "
        "Currently locked by ssg-7c5d8 (10.0.3.17) since 11/22/26 4:43 AM\n"
    ),
    reason="DeadlineExceeded",
)


class JobRunner:
    """Ends Jobs of an embedded cluster."""

    def __init__(self, cluster: EmbeddedControllerCluster) -> None:
        self._cluster = cluster

    def active(self) -> list[tuple[str, str]]:
        """Give namespace and name of the migration Jobs that have not ended, sorted; others are left alone.

        Ours are told by their label, those of an operator or chart by their name: they need have no label.
        """
        jobs = ((key, self._cluster.get(*key) or {}) for key in self._cluster.keys("Job"))
        return [
            (namespace, name)
            for (_, namespace, name), job in jobs
            if _migrates(name, job) and not job.get("status", {}).get("conditions")
        ]

    def finish(self, namespace: str, name: str, ending: Ending = SUCCESS) -> None:
        """End a Job: a pod made from its template ends as told, then the Job says so."""
        job = self._cluster.get("Job", namespace, name)
        if job is None:
            raise SourceError(f"no Job {namespace}/{name} is running")
        pod = self._pod(job, ending)
        self._cluster.logs[(namespace, pod["metadata"]["name"])] = ending.log
        self._cluster.put(pod)
        done = ending.exit_code == 0
        condition = {"type": "Complete" if done else "Failed", "status": "True"}
        if not done:
            condition["reason"] = ending.reason
        job["status"] = {"conditions": [condition], ("succeeded" if done else "failed"): 1}
        self._cluster.put(job)

    def _pod(self, job: dict[str, Any], ending: Ending) -> dict[str, Any]:
        meta = job["metadata"]
        template = copy.deepcopy(job["spec"]["template"])
        container = template["spec"]["containers"][0]
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{meta['name']}-{uuid.uuid4().hex[:5]}",
                "namespace": meta["namespace"],
                "labels": template.get("metadata", {}).get("labels", {}),
                "ownerReferences": [{**_OWNER, "name": meta["name"], "uid": meta["uid"]}],
            },
            "spec": template["spec"],
            "status": {
                "phase": "Succeeded" if ending.exit_code == 0 else "Failed",
                "containerStatuses": [
                    {
                        "name": container["name"],
                        "imageID": f"{container['image']}@embedded",
                        "state": {"terminated": {"exitCode": ending.exit_code}},
                    }
                ],
            },
        }


def _migrates(name: str, job: dict[str, Any]) -> bool:
    labelled = job["metadata"].get("labels", {}).get(COMPONENT) == MIGRATION_COMPONENT
    return labelled or name.endswith(f"-{MIGRATION_COMPONENT}")
