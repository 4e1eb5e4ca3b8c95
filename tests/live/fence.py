"""What the controller's account may try: Jobs and changes of Deployments, with the words that refuse them."""

import copy
from typing import Any

from webhook.policy.names import HELD, MIGRATED

JSON_PATCH = "application/json-patch+json"
Manifest = dict[str, Any]
Change = tuple[list[Manifest], str]
"""A JSON patch, and the words that refuse it; none where it is allowed."""

_OWNER = {
    "apiVersion": "schemagate.io/v1alpha1",
    "kind": "GatewayMigration",
    "name": "ssg",
    "uid": "6b1c8e8e-5a0f-4f6b-8d5e-0d7f0a3c9e11",
    "controller": True,
}
_SECRET = {"secretKeyRef": {"name": "database", "key": "password"}}
_CONTAINER: Manifest = {
    "name": "gateway",
    "image": "docker.io/caapim/gateway:11.2.5",
    "env": [{"name": "PASSWORD", "valueFrom": _SECRET}],
    "envFrom": [{"secretRef": {"name": "ssg"}}, {"configMapRef": {"name": "ssg", "optional": True}}],
    "volumeMounts": [
        {"name": "secret", "mountPath": "/run/secret"},
        {"name": "settings", "mountPath": "/run/settings"},
        {"name": "mixed", "mountPath": "/run/mixed"},
        {"name": "scratch", "mountPath": "/run/scratch"},
    ],
}
# All that the API server fills in is left out: how files are readable, which field's version is meant.
_VOLUMES: list[Manifest] = [
    {"name": "license", "secret": {"secretName": "license"}},
    {"name": "secret", "secret": {"secretName": "database"}},
    {"name": "settings", "configMap": {"name": "settings"}},
    {
        "name": "mixed",
        "projected": {
            "sources": [
                {"secret": {"name": "database"}},
                {"configMap": {"name": "settings"}},
                {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            ]
        },
    },
    {"name": "scratch", "emptyDir": {"sizeLimit": "1024Mi"}},
]
DEPLOYED: Manifest = {"containers": [_CONTAINER], "volumes": _VOLUMES}
"""The pods of the Gateway that Jobs are compared with."""


def deployment(name: str, **pod: Any) -> Manifest:
    """Give a Deployment without pods, as a person writes it."""
    labels = {"app": name}
    spec = {"containers": [{"name": "main", "image": "registry.example.com/main:1"}], **copy.deepcopy(pod)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": {"example.com/by": "a person"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def job(name: str = "ssg-db-migration-0123abcd", **pod: Any) -> Manifest:
    """Give a Job that the controller could make for the Gateway, with other fields of its pod."""
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [_CONTAINER],
        "volumes": _VOLUMES,
        **pod,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "ownerReferences": [dict(_OWNER)]},
        "spec": {"template": {"spec": copy.deepcopy(spec)}},
    }


def _contained(**fields: Any) -> Manifest:
    return job(containers=[{**_CONTAINER, **fields}])


def _prepared(**fields: Any) -> Manifest:
    return job(initContainers=[{"name": "first", "image": "registry.example.com/first:1", **fields}])


def _volume(**source: Any) -> Manifest:
    return job(volumes=[*_VOLUMES, {"name": "further", **source}])


def _owned(*owners: Manifest) -> Manifest:
    made = job()
    made["metadata"]["ownerReferences"] = list(owners)
    return made


def _first(made: Manifest) -> Manifest:
    """Give the Job as one of a Gateway that has no Deployment yet, which leaves nothing to compare with."""
    made["metadata"]["ownerReferences"][0]["name"] = "first"
    return made


def _spec(**fields: Any) -> Manifest:
    made = job()
    made["spec"] |= fields
    made["spec"]["template"]["metadata"] = {"labels": {"app": "ssg"}}
    return made


_ALONE = "migration Jobs alone"
_NODE = "no access to its node"
_PRIVILEGES = "no privileges"
_TOKEN = "gets no token"
_ACCOUNT = "as the service account of its Deployment"
_VOLUME = "no volume but those of its Deployment"
_READS = "no Secret but those of its Deployment"
_OTHER = {"secretKeyRef": {"name": "other", "key": "password"}}

FORBIDDEN_JOBS: dict[str, tuple[Manifest, str]] = {
    "another name": (job("nightly"), _ALONE),
    "the name of an operator's own": (job("ssg-db-migration"), _ALONE),
    "no owner": (_owned(), _ALONE),
    "a second owner": (_owned(_OWNER, {**_OWNER, "uid": "1", "controller": False}), _ALONE),
    "an owner of another kind": (_owned({**_OWNER, "kind": "Gateway"}), _ALONE),
    "an owner of another group": (_owned({**_OWNER, "apiVersion": "example.com/v1"}), _ALONE),
    "many pods": (_spec(parallelism=2), "one pod"),
    "many in a row": (_spec(completions=2), "one pod"),
    "pods of others": (
        _spec(manualSelector=True, selector={"matchLabels": {"app": "ssg"}}),
        "one pod, and its own",
    ),
    "hostPID": (job(hostPID=True), _NODE),
    "hostIPC": (job(hostIPC=True), _NODE),
    "hostPath": (_first(_volume(hostPath={"path": "/"})), _NODE),
    "a port of the node": (_contained(ports=[{"containerPort": 80, "hostPort": 80}]), _NODE),
    "a node chosen": (job(nodeName="fake"), _NODE),
    "privileged": (_contained(securityContext={"privileged": True}), _PRIVILEGES),
    "privileged before": (_prepared(securityContext={"privileged": True}), _PRIVILEGES),
    "a capability": (_contained(securityContext={"capabilities": {"add": ["NET_ADMIN"]}}), _PRIVILEGES),
    "token by default": (job(automountServiceAccountToken=None), _TOKEN),
    "token asked for": (job(automountServiceAccountToken=True), _TOKEN),
    "token in a volume": (
        _first(_volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]})),
        _TOKEN,
    ),
    "another account": (job(serviceAccountName="other"), _ACCOUNT),
    "another account by the old name": (job(serviceAccount="other"), _ACCOUNT),
    "another Secret": (_volume(secret={"secretName": "other"}), _VOLUME),
    "another key of a Secret": (
        _volume(secret={"secretName": "database", "items": [{"key": "a", "path": "b"}]}),
        _VOLUME,
    ),
    "a volume of others": (_volume(persistentVolumeClaim={"claimName": "other"}), _VOLUME),
    "another Secret in the environment": (_contained(envFrom=[{"secretRef": {"name": "other"}}]), _READS),
    "a key of another Secret": (_contained(env=[{"name": "PASSWORD", "valueFrom": _OTHER}]), _READS),
    "another Secret read before": (_prepared(envFrom=[{"secretRef": {"name": "other"}}]), _READS),
    "the network of the node": (job(hostNetwork=True), "on the network of its node"),
}

ALLOWED_JOBS: dict[str, Manifest] = {
    "the first attempt": job(),
    "the second": job("ssg-db-migration-0123abcd-2"),
    "the account by name": job(serviceAccountName="default"),
    "a part of it": job(volumes=_VOLUMES[1:]),
    "settings of its own": _contained(
        env=[
            {"name": "KEPT", "valueFrom": {"secretKeyRef": {"name": "ssg", "key": "args", "optional": True}}},
            {"name": "EXTRA_JAVA_ARGS", "value": "$(KEPT) -Dx"},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ]
    ),
    "a Secret of the Gateway read before": _prepared(envFrom=[{"secretRef": {"name": "database"}}]),
    "capabilities dropped": _contained(securityContext={"capabilities": {"drop": ["ALL"]}}),
    "of a Deployment still to come": _first(_volume(secret={"secretName": "other"})),
}


def _put(path: str, value: object) -> Manifest:
    return {"op": "add", "path": path, "value": value}


def _note(name: str, value: str = "0123456789abcdef") -> Manifest:
    return _put(f"/metadata/annotations/{name.replace('/', '~1')}", value)


_ONLY_PAUSES = "nothing of a Deployment but whether it is paused"
_ONLY_OURS = "no metadata but its own annotations"
_HELD_ONLY = "resumes only what schemagate paused"
_RELEASE = [
    {"op": "remove", "path": "/spec/paused"},
    {"op": "remove", "path": f"/metadata/annotations/{HELD.replace('/', '~1')}"},
]

DEPLOYMENT_CHANGES: dict[str, Change] = {
    "image": ([_put("/spec/template/spec/containers/0/image", "other:1")], _ONLY_PAUSES),
    "template": ([_put("/spec/template/metadata/labels/more", "1")], _ONLY_PAUSES),
    "replicas": ([_put("/spec/replicas", 5)], _ONLY_PAUSES),
    "strategy": ([_put("/spec/strategy", {"type": "Recreate"})], _ONLY_PAUSES),
    "deadline": ([_put("/spec/progressDeadlineSeconds", 5)], _ONLY_PAUSES),
    "readiness": ([_put("/spec/minReadySeconds", 5)], _ONLY_PAUSES),
    "labels": ([_put("/metadata/labels", {"a": "b"})], _ONLY_OURS),
    "finalizers": ([_put("/metadata/finalizers", ["example.com/a"])], _ONLY_OURS),
    "owner": ([_put("/metadata/ownerReferences", [_OWNER])], _ONLY_OURS),
    "annotation": ([_note("kubernetes.io/change-cause")], _ONLY_OURS),
    "pause": ([_put("/spec/paused", value=True)], _HELD_ONLY),
    "mark": ([_note(HELD)], _HELD_ONLY),
    "mark and pause": ([_note(HELD), _put("/spec/paused", value=True)], _HELD_ONLY),
    "migrated": ([_note(MIGRATED)], ""),
}
"""Of a Deployment that nobody holds."""

HELD_CHANGES: dict[str, Change] = {
    "resume": (_RELEASE, ""),
    "resume and change": (
        [*_RELEASE, _put("/spec/template/spec/hostPID", value=True)],
        _ONLY_PAUSES,
    ),
}
"""Of one that schemagate holds."""
