"""The actors of a live test: an operator, a chart, people with kubectl, in one namespace."""

import copy
import json
import re
from typing import Any

import pytest

from tests.controlplane.client import STRATEGIC, ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.kubelet import finish, pod_of
from tests.controlplane.objects import owned, recorded
from webhook.policy.names import MODE_PROPERTY

OLD, NEW, NEWER = (f"docker.io/caapim/gateway:{tag}" for tag in ("11.2.5", "11.3.0", "11.4.0"))
Manifest = dict[str, Any]
_PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Gateway": "/apis/security.brcmlabs.com/v1/namespaces/{}/gateways",
    "GatewayMigration": "/apis/schemagate.io/v1alpha1/namespaces/{}/gatewaymigrations",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Event": "/apis/events.k8s.io/v1/namespaces/{}/events",
}
_CONVERGED = 60
POD: Manifest = {"containers": [{"name": "any", "image": "example.com/any:1"}]}
"""The spec of a pod that is nobody's."""


class World:
    """One namespace. Waits end with a TimeoutError that shows what was last seen."""

    def __init__(self, admin: Client, namespace: str, plane: ControlPlane, database: str = "") -> None:
        """Take the host of the database too, or none for one that no other test's migrations keep busy."""
        self.admin = admin
        self.namespace = namespace
        self.plane = plane
        self.database = database or f"db-{namespace}"

    def path(self, kind: str, name: str = "") -> str:
        """Give where objects of a kind, or one of them, are stored."""
        return _PATHS[kind].format(self.namespace) + (f"/{name}" if name else "")

    def recorded(self, recording: str) -> list[Manifest]:
        """Give recorded objects, on the database of this test."""
        text = json.dumps(recorded(recording, self.namespace))
        return list(json.loads(re.sub(r"mysql-primary|db\.example\.com", self.database, text)))

    # What actors do.

    async def create(self, manifest: Manifest) -> Manifest:
        """Create an object in the test's namespace."""
        manifest = copy.deepcopy(manifest)
        manifest["metadata"]["namespace"] = self.namespace
        return await self.admin.post(self.path(manifest["kind"]), manifest)

    async def operator_gateway(self, recording: str = "operator-gateway", **annotations: str) -> Manifest:
        """Have a recorded Gateway run, with all that its operator made of it, then annotate it; gives the Gateway.

        It comes under guard once it runs: a Gateway that asks for it from the start has its schema migrated first.
        """
        documents = self.recorded(recording)
        (gateway,) = (item for item in documents if item["kind"] == "Gateway")
        gateway["metadata"]["annotations"] = {}
        stored = await self.create(gateway)
        for document in documents:
            if document["kind"] in {"ConfigMap", "Deployment"}:
                document["metadata"]["annotations"] = {}
                await self.create(owned(document, stored))
        name = stored["metadata"]["name"]
        await self.quiet(name)
        return await self.patch("Gateway", name, {"metadata": {"annotations": annotations}})

    async def wants(self, image: str, name: str = "ssg") -> Manifest:
        """Store the wanted image in the Gateway, which is what its user does."""
        return await self.patch("Gateway", name, {"spec": {"app": {"image": image}}})

    async def write_record(self, name: str, **spec: Any) -> Manifest:
        """Create a record as a user writes it."""
        head = {"apiVersion": "schemagate.io/v1alpha1", "kind": "GatewayMigration", "metadata": {"name": name}}
        return await self.create({**head, "spec": spec})

    async def forbid(self, kind: str, resource: str, spec: Manifest) -> None:
        """Have a quota allow no object of a kind, and wait until one with this spec is turned away for it.

        Admission learns of a new quota by a watch of its own, so that what is created at once may still pass.
        """
        quota = {"metadata": {"name": "none"}, "spec": {"hard": {resource: "0"}}}
        await self.admin.post(f"/api/v1/namespaces/{self.namespace}/resourcequotas", quota)

        async def enforced() -> bool:
            try:
                await self.admin.post(
                    self.path(kind), {"metadata": {"name": "too-many"}, "spec": spec}, dryRun="All"
                )
            except ApiError as error:
                return "exceeded quota: none" in error.message
            return False

        await until(enforced, what=f"the quota for {resource} is enforced")

    async def finish(self, exit_code: int = 0) -> None:
        """End the pod of the one Job that runs."""
        (job,) = [job for job in await self.jobs() if not job["status"].get("conditions")]
        pod = await pod_of(self.admin, self.namespace, job["metadata"]["name"])
        await finish(self.admin, pod, exit_code)

    async def patch(self, kind: str, name: str, patch: Manifest, **query: str) -> Manifest:
        """Change an object by a merge patch."""
        return await self.admin.patch(self.path(kind, name), patch, **query)

    async def set_image(self, name: str, image: str, container: str = "gateway", **query: str) -> Manifest:
        """Change the image of a Deployment's Gateway container, as ``kubectl set image`` does."""
        patch = {"spec": {"template": {"spec": {"containers": [{"name": container, "image": image}]}}}}
        return await self.admin.patch(self.path("Deployment", name), patch, STRATEGIC, **query)

    async def denial(self, name: str, image: str, container: str = "gateway") -> str:
        """Try to change the image, and give the words with which that was denied."""
        with pytest.raises(ApiError) as caught:
            await self.set_image(name, image, container)
        assert caught.value.status == 403, caught.value
        return caught.value.message

    async def refusal(self, name: str, image: str, container: str = "gateway") -> str:
        """Give the words with which an image is denied in a dry run; empty when it is not."""
        try:
            await self.set_image(name, image, container, dryRun="All")
        except ApiError as error:
            return error.message if error.status == 403 else ""
        return ""

    # What people see.

    async def get(self, kind: str, name: str) -> Manifest:
        """Read an object."""
        return await self.admin.get(self.path(kind, name))

    async def record(self, name: str = "ssg") -> Manifest:
        """Read a record."""
        return await self.get("GatewayMigration", name)

    async def reaches(
        self, phase: str, name: str = "ssg", image: str = "", seconds: float = _CONVERGED
    ) -> Manifest:
        """Wait until a record is in a phase, for an image if one is given; gives its status."""

        status: Manifest = {}

        async def there() -> bool:
            nonlocal status
            status = (await self.record(name)).get("status") or {}
            return status.get("phase") == phase and image in {"", status.get("image")}

        try:
            await until(there, seconds)
        except TimeoutError:
            raise TimeoutError(f"{name} is not {phase} {image} within {seconds} s, but {status}") from None
        return status

    async def settled(self, name: str = "ssg", seconds: float = _CONVERGED) -> Manifest:
        """Wait until a Deployment runs its template in all replicas; gives it."""

        async def there() -> Manifest | None:
            found = await self.get("Deployment", name)
            status, wanted = found.get("status", {}), found["spec"].get("replicas", 1)
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            counts = {status.get(count, 0) for count in ("replicas", "updatedReplicas", "availableReplicas")}
            return found if current and counts == {wanted} else None

        deployment = await until(there, seconds, f"{name} is rolled out")
        assert deployment is not None
        return deployment

    async def quiet(self, name: str = "ssg") -> None:
        """Wait until the Deployment controller has written its last word on a rollout, and the cache has it."""

        async def over() -> bool:
            found = (await self.settled(name))["status"].get("conditions", ())
            return any(item.get("reason") == "NewReplicaSetAvailable" for item in found)

        await until(over, what=f"{name} is left alone")
        await self.cached()

    async def cached(self) -> None:
        """Wait until the API server's cache has the Deployments as stored.

        Else a change of one asks all webhooks twice within one request (GuaranteedUpdate, Kubernetes 1.36), and
        what is counted once a question is counted twice.
        """

        async def same() -> bool:
            found = [
                {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}
                for items in (
                    await self.admin.items(self.path("Deployment"), resourceVersion="0"),
                    await self.admin.items(self.path("Deployment")),
                )
            ]
            return found[0] == found[1]

        await until(same, what="the cache is up to date")

    async def shut(self, name: str = "ssg", container: str = "gateway") -> None:
        """Wait until the webhook knows, by watches of its own, that a Gateway is guarded: a dry run is denied."""

        await until(
            lambda: self.refusal(name, f"{NEWER}-never", container),
            what=f"the webhook knows that {name} is guarded",
        )

    async def would_hold(self, image: str = f"{NEWER}-never") -> None:
        """Wait until the webhook knows that it is to hold: a dry run of another image comes back paused."""

        async def paused() -> bool:
            return bool((await self.set_image("ssg", image, dryRun="All"))["spec"].get("paused"))

        await until(paused, what="the webhook knows the mode")

    async def jobs(self) -> list[Manifest]:
        """Give the Jobs, oldest first."""
        found = await self.admin.items(self.path("Job"))
        return sorted(found, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))

    async def pods(self, name: str = "ssg") -> list[Manifest]:
        """Give the pods of a Deployment that are not on their way out."""
        found = await self.admin.items(self.path("Pod"))
        return [
            pod
            for pod in found
            if "deletionTimestamp" not in pod["metadata"]
            and any(
                owner["name"].startswith(f"{name}-") and owner["kind"] == "ReplicaSet"
                for owner in pod["metadata"].get("ownerReferences", ())
            )
        ]

    async def events(self, reason: str) -> list[Manifest]:
        """Give the Events of a reason that schemagate wrote."""
        found = await self.admin.items(self.path("Event"))
        return [item for item in found if item["reason"] == reason and "schemagate" in item["reportingController"]]


def environment(pod: Manifest, container: str = "gateway") -> dict[str, str]:
    """Give the literal environment of a pod's container; a name that comes twice is an error."""
    (found,) = (item for item in pod["spec"]["containers"] if item["name"] == container)
    entries = found.get("env", [])
    assert len({entry["name"] for entry in entries}) == len(entries), entries
    return {entry["name"]: entry.get("value", "") for entry in entries}


def skips(pod: Manifest) -> bool:
    """Tell whether a pod starts in skip; any other mode beside it is an error."""
    told = environment(pod).get("EXTRA_JAVA_ARGS", "")
    modes = [word for word in told.split() if MODE_PROPERTY in word]
    assert modes in ([], [f"-D{MODE_PROPERTY}=skip"]), told
    return bool(modes)


def condition(status: Manifest, kind: str) -> Manifest:
    """Give a condition of a record."""
    (found,) = (item for item in status["conditions"] if item["type"] == kind)
    return dict(found)
