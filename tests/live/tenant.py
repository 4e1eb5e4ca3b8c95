"""A tenant of a live test's namespace: what ``edit`` there lets somebody forge."""

import copy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.controlplane.client import Client
from tests.live.people import holds
from tests.live.world import Manifest, World
from webhook.policy.names import COMPONENT, HASH, MANAGED_BY, MIGRATION_COMPONENT, PRODUCT

ACCOUNT = "tenant"


@asynccontextmanager
async def tenant(world: World) -> AsyncIterator[Client]:
    """Give a client that holds the ClusterRole ``edit`` in the test's namespace, and nothing besides."""
    core = f"/api/v1/namespaces/{world.namespace}"
    await world.admin.post(f"{core}/serviceaccounts", {"metadata": {"name": ACCOUNT}})
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": world.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    binding = {"metadata": {"name": ACCOUNT}, "roleRef": role, "subjects": [subject]}
    await world.admin.post(
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{world.namespace}/rolebindings", binding
    )
    await holds(world, f"system:serviceaccount:{world.namespace}:{ACCOUNT}", "patch", "apps", "deployments")
    answer = await world.admin.post(f"{core}/serviceaccounts/{ACCOUNT}/token", {"spec": {}})
    trust = ssl.create_default_context(cadata=world.plane.ca_pem.decode())
    async with Client(world.plane.api_url, trust, token=answer["status"]["token"]) as client:
        yield client


def forged_job(name: str, short_hash: str, image: str, owner: Manifest | None = None, **spec: Any) -> Manifest:
    """Give a Job that says it is ours: our labels, the wanted hash, a record as its owner if one is given."""
    labels = {COMPONENT: MIGRATION_COMPONENT, MANAGED_BY: PRODUCT, HASH: short_hash}
    container = {"name": "db-migration", "image": image}
    template = {
        "metadata": {"labels": labels},
        "spec": {"restartPolicy": "Never", "containers": [container], "serviceAccountName": "default"},
    }
    owners = [
        {
            "apiVersion": record["apiVersion"],
            "kind": record["kind"],
            "name": record["metadata"]["name"],
            "uid": record["metadata"]["uid"],
            "controller": True,
        }
        for record in ([owner] if owner else [])
    ]
    return {
        "metadata": {"name": name, "labels": labels, "ownerReferences": owners},
        "spec": {"backoffLimit": 0, "template": template, **spec},
    }


def twin(pod: Manifest, name: str, image: str) -> Manifest:
    """Give a pod with the labels and owner of a Job's pod, of an image that ends well by itself."""
    kept = {key: pod["metadata"][key] for key in ("labels", "ownerReferences", "finalizers")}
    made: Manifest = copy.deepcopy({"metadata": {**kept, "name": name}, "spec": pod["spec"]})
    made["spec"]["containers"][0]["image"] = image
    made["spec"].pop("nodeName", None)
    return made
