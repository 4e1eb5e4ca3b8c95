"""Plays the API server towards the webhooks: real AdmissionReviews over real HTTPS, then it stores."""

import base64
import copy
import hashlib
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jsonpatch
import msgspec

from webhook.embedded.cluster import MASTERS, EmbeddedCluster, key_of
from webhook.policy.names import POD_TEMPLATE_HASH

Manifest = dict[str, Any]
MUTATING = {"Pod": "/mutate-v1-pod", "Deployment": "/mutate-apps-v1-deployment"}
VALIDATING = {"Deployment": "/validate-apps-v1-deployment"}
_ADMIN_GROUPS = {"admin": (MASTERS,)}
_GROUPS = {"Pod": "", "Deployment": "apps"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write: stored or not, the message of a denial, warnings, patch, audit annotations."""

    stored: bool
    manifest: Manifest
    message: str = ""
    warnings: tuple[str, ...] = ()
    patch: tuple[Mapping[str, Any], ...] = ()
    audit: Mapping[str, str] = field(default_factory=dict)


class EmbeddedApiServer:
    """Sends every write of a Deployment or pod through the webhooks at ``base``, in the API server's order."""

    def __init__(self, cluster: EmbeddedCluster, base: str, trust: ssl.SSLContext) -> None:
        self._cluster = cluster
        self._base = base
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "EmbeddedApiServer":
        """Open the connection pool, kept alive as the real one's."""
        connector = aiohttp.TCPConnector(ssl=self._trust, keepalive_timeout=90)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    async def write(self, manifest: Mapping[str, Any], *, user: str, dry_run: bool = False) -> Outcome:
        """Create or update an object: mutate, validate, store."""
        new = copy.deepcopy(dict(manifest))
        kind, namespace, name = key_of(new)
        old = self._cluster.get(kind, namespace, name)
        review = admission_review(new, old, user=user, dry_run=dry_run)
        mutated = await self._call(MUTATING[kind], review)
        patch = tuple(msgspec.json.decode(base64.b64decode(mutated["patch"]))) if "patch" in mutated else ()
        new = jsonpatch.apply_patch(new, list(patch))
        warnings = tuple(mutated.get("warnings", ()))
        audit = mutated.get("auditAnnotations", {})
        if kind in VALIDATING:
            answer = await self._call(VALIDATING[kind], admission_review(new, old, user=user, dry_run=dry_run))
            warnings += tuple(answer.get("warnings", ()))
            audit = answer.get("auditAnnotations", {})
            if not answer["allowed"]:
                return Outcome(
                    stored=False,
                    manifest=new,
                    message=answer["status"]["message"],
                    warnings=warnings,
                    patch=patch,
                    audit=audit,
                )
        stored = new if dry_run else self._cluster.put(new)
        return Outcome(stored=True, manifest=stored, warnings=warnings, patch=patch, audit=audit)

    async def start_pods(self, namespace: str, name: str) -> Outcome:
        """Play the Deployment controller and the kubelet: replace all pods by new ones of the stored template."""
        deployment = self._cluster.get("Deployment", namespace, name)
        if deployment is None:
            raise LookupError(f"Deployment {namespace}/{name} is not stored")
        for pod in await self._cluster.pods_of(namespace, name):
            self._cluster.delete("Pod", namespace, pod.metadata.name)
        revision = hashlib.sha256(msgspec.json.encode(deployment["spec"]["template"])).hexdigest()[:10]
        outcome = await self.write(_pod(deployment, revision), user="system:kube-controller-manager")
        count = deployment["spec"].get("replicas", 1)
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": count,
            "updatedReplicas": count,
            "availableReplicas": count,
        }
        self._cluster.put(deployment)
        return outcome

    async def _call(self, path: str, review: Mapping[str, Any]) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("use the API server as an async context manager")
        async with self._session.post(
            f"{self._base}{path}?timeout=5s", json=review, headers={"Content-Type": "application/json"}
        ) as response:
            text = await response.text()
            if response.status != 200:
                raise RuntimeError(f"{path} answered {response.status}: {text.strip()}")
            answer: dict[str, Any] = msgspec.json.decode(text)["response"]
            if answer["uid"] != review["request"]["uid"]:
                raise RuntimeError(f"{path} answered another request")
            return answer


def admission_review(new: Manifest, old: Manifest | None, *, user: str, dry_run: bool = False) -> Manifest:
    """Build the AdmissionReview v1 that an API server sends for a create (no ``old``) or an update."""
    kind, namespace, name = key_of(new)
    group = _GROUPS[kind]
    gvk = {"group": group, "version": "v1", "kind": kind}
    resource = {"group": group, "version": "v1", "resource": f"{kind.lower()}s"}
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": gvk,
            "resource": resource,
            "requestKind": gvk,
            "requestResource": resource,
            "name": name,
            "namespace": namespace,
            "operation": "CREATE" if old is None else "UPDATE",
            "userInfo": {"username": user, "groups": [*_ADMIN_GROUPS.get(user, ()), "system:authenticated"]},
            "object": new,
            "oldObject": old,
            "dryRun": dry_run,
        },
    }


def _pod(deployment: Manifest, revision: str) -> Manifest:
    meta, template = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"])
    set_name = f"{meta['name']}-{revision}"
    labels = {**template.get("metadata", {}).get("labels", {}), POD_TEMPLATE_HASH: revision}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set_name, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{set_name}-{uuid.uuid4().hex[:5]}",
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": template.get("metadata", {}).get("annotations", {}),
            "ownerReferences": [{**owner, "uid": str(uuid.uuid4())}],
        },
        "spec": template["spec"],
    }
