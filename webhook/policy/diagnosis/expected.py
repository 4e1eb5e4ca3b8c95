"""How this version's manifests register the webhooks and fence the controller in; a test holds both together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webhook.policy.names import GATEWAY_CONTAINER, GROUP, LICENSE_PATH

EXCLUDED: Final = ("kube-system", "kube-node-lease")
"""Namespaces that are never asked about, beside schemagate's own."""
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
SERVICE: Final = "schemagate-webhook"
LEAF: Final = "schemagate-webhook-tls"
"""The Secret with the certificate that the controller makes; another one is cert-manager's, or a person's."""
ACCOUNTS: Final = ("schemagate-webhook", "schemagate-controller")
FENCES: Final[Mapping[str, Mapping[str, str]]] = {
    "deployments.controller.schemagate.io": {
        "failurePolicy": "21795faf6eb3",
        "paramKind": "74234e98afe7",
        "matchConstraints": "7c0caa92f104",
        "matchConditions": "f7917eda7bb6",
        "variables": "69b32de83b12",
        "validations": "e02eae75c4d7",
    },
    "enforce.namespaces.schemagate.io": {
        "failurePolicy": "21795faf6eb3",
        "paramKind": "74234e98afe7",
        "matchConstraints": "6ad76597b61d",
        "matchConditions": "301126481cef",
        "variables": "e763da4ae29b",
        "validations": "e59796a9a48e",
    },
    "inheritance.controller.schemagate.io": {
        "failurePolicy": "21795faf6eb3",
        "paramKind": "dc04c7be65d3",
        "matchConstraints": "66bf1b194f56",
        "matchConditions": "f7917eda7bb6",
        "variables": "3e8247457e8f",
        "validations": "9d9f146dd79e",
    },
    "jobs.controller.schemagate.io": {
        "failurePolicy": "21795faf6eb3",
        "paramKind": "74234e98afe7",
        "matchConstraints": "396b958aef52",
        "matchConditions": "f7917eda7bb6",
        "variables": "5915231bcc2d",
        "validations": "0080ada3314e",
    },
    "privileges.controller.schemagate.io": {
        "failurePolicy": "21795faf6eb3",
        "paramKind": "74234e98afe7",
        "matchConstraints": "66bf1b194f56",
        "matchConditions": "f7917eda7bb6",
        "variables": "5ff5af3427cc",
        "validations": "d0b42e8471e9",
    },
}
"""ValidatingAdmissionPolicies, each part by its digest (``fences.digests``): their text is in the manifests alone.

Those in whose name ``.controller.`` stands are about the controller's account.
"""

_MOUNTS = f"m.mountPath.contains('{LICENSE_PATH.rpartition('/')[2]}')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One webhook: what of its registration decides whether, when and about what it is asked."""

    configuration: str
    path: str
    rule: Mapping[str, Any]
    failure_policy: str
    seconds: int
    side_effects: str
    reinvocation: str | None
    conditions: Mapping[str, str]


_PODS: Final = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["pods"],
    "scope": "Namespaced",
}
_DEPLOYMENTS: Final = {
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["deployments"],
    "scope": "Namespaced",
}
_OF_DEPLOYMENTS: Final = {
    "not-being-deleted": "!has(object.metadata.deletionTimestamp)",
    "may-start-pods": (
        "request.operation == 'CREATE' || object.spec.template != oldObject.spec.template || "
        "object.spec.?paused.orValue(false) != oldObject.spec.?paused.orValue(false) || "
        f"object.metadata.?annotations[?'{GATEWAY_CONTAINER}'].orValue('') != "
        f"oldObject.metadata.?annotations[?'{GATEWAY_CONTAINER}'].orValue('')"
    ),
    "gateway-before-or-after": (
        "[object, oldObject].exists(o, o != null && ( o.spec.template.spec.containers.exists(c, "
        f"has(c.volumeMounts) && c.volumeMounts.exists(m, {_MOUNTS})) || has(o.metadata.annotations) && "
        f"'{GATEWAY_CONTAINER}' in o.metadata.annotations))"
    ),
}
WEBHOOKS: Final = {
    f"pods.mutate.{GROUP}": Webhook(
        configuration="mutating",
        path="/mutate-v1-pod",
        rule=_PODS,
        failure_policy="Ignore",
        seconds=2,
        side_effects="None",
        reinvocation="IfNeeded",
        conditions={
            "gateway-of-a-replicaset": (
                "has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, "
                "o.kind == 'ReplicaSet') && (object.spec.containers.exists(c, has(c.volumeMounts) && "
                f"c.volumeMounts.exists(m, {_MOUNTS})) || has(object.metadata.annotations) && "
                f"'{GATEWAY_CONTAINER}' in object.metadata.annotations)"
            )
        },
    ),
    f"deployments.mutate.{GROUP}": Webhook(
        configuration="mutating",
        path="/mutate-apps-v1-deployment",
        rule=_DEPLOYMENTS,
        failure_policy="Ignore",
        seconds=3,
        side_effects="NoneOnDryRun",
        reinvocation="IfNeeded",
        conditions=_OF_DEPLOYMENTS,
    ),
    f"deployments.validate.{GROUP}": Webhook(
        configuration="validating",
        path="/validate-apps-v1-deployment",
        rule=_DEPLOYMENTS,
        failure_policy="Fail",
        seconds=5,
        side_effects="NoneOnDryRun",
        reinvocation=None,
        conditions=_OF_DEPLOYMENTS,
    ),
}
