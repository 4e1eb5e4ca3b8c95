"""A healthy installation as the doctor sees it, made from the manifests; every test says what is wrong."""

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.live.installation import NAMESPACE, manifests
from tests.support.builders import NOW, Manifest
from webhook.policy.definition import definition
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.facts import Canary, Certificate, Facts, Fence, Gateways
from webhook.policy.diagnosis.line import Check, Level, Line
from webhook.policy.diagnosis.rights import rights
from webhook.policy.names import COMPONENT, MANAGED_BY, MIGRATION_COMPONENT, PRODUCT
from webhook.policy.record import Record

MUTATING, VALIDATING = manifests("90-webhooks.yaml")
DEPLOYMENTS = [item for item in manifests("70-webhook.yaml", "80-controller.yaml") if item["kind"] == "Deployment"]
VALIDATOR = "deployments.validate.schemagate.io"
_FENCES = manifests("50-fence.yaml", "55-labels.yaml")
FENCE = Fence(
    policies=[item for item in _FENCES if item["kind"] == "ValidatingAdmissionPolicy"],
    bindings=[item for item in _FENCES if item["kind"] == "ValidatingAdmissionPolicyBinding"],
)
_DEFINITION = definition()
CERTIFICATE = Certificate(
    secret="schemagate-webhook-tls",
    names=("schemagate-webhook", "schemagate-webhook.schemagate.svc"),
    start=NOW - timedelta(days=1),
    end=NOW + timedelta(days=89),
    verified={hook["name"]: True for item in (MUTATING, VALIDATING) for hook in item["webhooks"]},
)


def established() -> Manifest:
    """Give the record's definition as an API server stores it."""
    return {**copy.deepcopy(_DEFINITION), "status": {"conditions": [{"type": "Established", "status": "True"}]}}


def running(deployment: Manifest) -> Manifest:
    """Give a Deployment of which every replica is up to date and available."""
    item = copy.deepcopy(deployment)
    item["metadata"]["generation"] = 2
    replicas = item["spec"]["replicas"]
    item["status"] = {"observedGeneration": 2, "updatedReplicas": replicas, "availableReplicas": replicas}
    return item


def healthy() -> Facts:
    """Give an installation that is well, with one record and one Gateway in team-a."""
    return Facts(
        namespace=NAMESPACE,
        server_time=NOW,
        local_time=NOW,
        timed=True,
        version="v1.36.3",
        deployments={item["metadata"]["name"]: running(item) for item in DEPLOYMENTS},
        definition=established(),
        registrations={"mutating": copy.deepcopy(MUTATING), "validating": copy.deepcopy(VALIDATING)},
        other_webhooks=(),
        fence=FENCE,
        service={"spec": {"ports": [{"name": "webhooks", "port": 443, "targetPort": "webhooks"}]}},
        slices=[slice_of("webhook-0", "webhook-1")],
        certificate=CERTIFICATE,
        canary=Canary(
            namespace="default",
            version="11.1.0",
            warnings=("schemagate: Gateway 11.1.0 is older than 11.2.2 and migrates its database at start",),
        ),
        rights=dict.fromkeys(rights(NAMESPACE), True),
        almighty=(),
        lease=lease(),
        lease_time=NOW,
        lease_moved=False,
        labels={name: {} for name in ("default", "kube-system", "kube-node-lease", "team-a", NAMESPACE)},
        gateways=Gateways(
            records=(Record(namespace="team-a", name="ssg"),), count=1, namespaces=frozenset({"team-a"})
        ),
        jobs=(),
    )


def slice_of(*pods: str, ready: bool = True, port: str = "webhooks") -> Manifest:
    """Give an EndpointSlice of these pods."""
    endpoints = [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": pod}}
        for pod in pods
    ]
    return {"endpoints": endpoints, "ports": [{"name": port, "port": 9443}]}


def lease(holder: str = "controller-0", age: float = 3.0) -> Manifest:
    """Give a Lease that was renewed so many seconds ago."""
    renewed = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed}}


def job(name: str, *, ours: bool = False, uid: str = "j-1", **status: Any) -> Manifest:
    """Give a Job in team-a that was started ten minutes ago."""
    labels = {COMPONENT: MIGRATION_COMPONENT, MANAGED_BY: PRODUCT} if ours else {}
    started = (NOW - timedelta(minutes=10)).isoformat()
    return {
        "metadata": {"namespace": "team-a", "name": name, "uid": uid, "labels": labels},
        "spec": {"activeDeadlineSeconds": 300},
        "status": {"startTime": started, **status},
    }


def found(**changes: Any) -> list[Line]:
    """Give the lines that are not OK once some facts of a healthy installation are others."""
    return [line for line in diagnose(replace(healthy(), **changes)) if line.level is not Level.OK]


def only(level: Level, check: Check, **changes: Any) -> str:
    """Give the message of the one line that is not OK, which is of this level and check."""
    (line,) = found(**changes)
    assert (line.level, line.check) == (level, check), line
    assert line.advice
    return line.message
