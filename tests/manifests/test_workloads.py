"""How the processes are run: what they may, what they are asked, how long they get, how they are found."""

import re
from typing import Any

import pytest

from tests.manifests.rendering import BASE, MANIFESTS, Manifest, by_key, kustomized
from webhook import __version__
from webhook.admission.limits import Limits
from webhook.cli.main import schemagate
from webhook.policy.names import COMPONENT, MIGRATION_COMPONENT
from webhook.settings import Settings

ROLES = ("webhook", "controller")
DOCKERFILE = MANIFESTS.parent / "Dockerfile"
NAMESPACE = "schemagate"


def environment(deployment: Manifest) -> dict[str, str]:
    """Give what the first container is told; a name that comes twice is an error."""
    entries = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert len({entry["name"] for entry in entries}) == len(entries)
    return {entry["name"]: entry["value"] for entry in entries}


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], Manifest]:
    return {(kind, name): item for (kind, _, name), item in by_key(kustomized(BASE)).items()}


@pytest.fixture(params=ROLES)
def deployment(request: pytest.FixtureRequest, found: dict[tuple[str, str], Manifest]) -> Manifest:
    return found["Deployment", f"schemagate-{request.param}"]


@pytest.fixture
def pod(deployment: Manifest) -> dict[str, Any]:
    return dict(deployment["spec"]["template"]["spec"])


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    return dict(only)


def test_the_namespace_enforces_what_its_pods_pass(found: dict[tuple[str, str], Manifest]) -> None:
    labels = found["Namespace", NAMESPACE]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_it_runs_as_nobody_on_a_root_that_cannot_be_written(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    # No number: OpenShift gives each namespace its own, and refuses another. A kubelet that is told none can tell
    # that the image's user is not root only where that is a number.
    assert re.findall(r"(?m)^USER (.*)$", DOCKERFILE.read_text()) == ["65532:65532"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & pod.keys()


def test_it_runs_under_the_account_of_its_name(deployment: Manifest, pod: dict[str, Any]) -> None:
    assert pod["serviceAccountName"] == deployment["metadata"]["name"]
    assert pod["automountServiceAccountToken"] is True  # both ask the API server


def test_it_starts_what_the_command_line_has_with_settings_that_there_are(
    deployment: Manifest, container: dict[str, Any]
) -> None:
    (command,) = container["args"]
    assert command in schemagate.commands
    assert deployment["metadata"]["name"] == f"schemagate-{command}"
    assert container["image"] == f"schemagate:{__version__}"
    known = {f"SCHEMAGATE_{name.upper()}" for name in Settings.model_fields}
    assert environment(deployment).keys() <= known
    # Loopback, the default, is not where a Service or a probe comes in.
    assert environment(deployment)["SCHEMAGATE_HOST"] == "0.0.0.0"


def test_its_ports_are_those_that_it_listens_on(container: dict[str, Any]) -> None:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    wanted = {"webhooks": Settings.model_fields["port"].default, "ops": Settings.model_fields["ops_port"].default}
    assert ports == ({**wanted} if container["name"] == "webhook" else {"ops": wanted["ops"]})
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "ops"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "ops"}


def test_it_is_among_what_a_full_node_keeps_and_a_quota_lets_that_in(
    pod: dict[str, Any], found: dict[tuple[str, str], Manifest]
) -> None:
    quota = found["ResourceQuota", "schemagate-critical-pods"]["spec"]
    (scope,) = quota["scopeSelector"]["matchExpressions"]
    assert scope["scopeName"] == "PriorityClass"
    assert pod["priorityClassName"] in scope["values"]
    assert quota["hard"].keys() == {"pods"}  # it lets in, and limits nothing else


def test_memory_is_limited_and_cpu_is_not(container: dict[str, Any]) -> None:
    resources = container["resources"]
    assert resources["limits"].keys() == {"memory"}
    assert resources["requests"].keys() == {"cpu", "memory"}


def test_one_at_a_time_is_replaced_and_only_by_one_that_is_ready(
    deployment: Manifest, found: dict[tuple[str, str], Manifest]
) -> None:
    spec = deployment["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    budget = found["PodDisruptionBudget", deployment["metadata"]["name"]]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == spec["selector"]
    for constraint in spec["template"]["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"] == spec["selector"]
        assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"  # two replicas on one node are better than one
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]  # else the old ones count while they go


def test_the_end_is_long_enough_for_all_that_it_does(found: dict[tuple[str, str], Manifest]) -> None:
    grace = {
        role: found["Deployment", f"schemagate-{role}"]["spec"]["template"]["spec"][
            "terminationGracePeriodSeconds"
        ]
        for role in ROLES
    }
    hooks = found["ValidatingWebhookConfiguration", NAMESPACE]["webhooks"]
    slowest = max(hook["timeoutSeconds"] for hook in hooks)
    drain = Settings.model_fields["drain_seconds"].default
    # Serving on, what is under way, one request with the rejections that are left; and a margin for a slow node.
    assert grace["webhook"] >= drain + slowest + 10
    assert grace["webhook"] >= drain + Limits().shutdown_seconds + slowest
    # No write takes longer than a third of the Lease; giving that up is one more.
    assert grace["controller"] >= Settings.model_fields["lease_seconds"].default * 2 / 3 + 5


def test_labels_are_those_that_everything_else_selects_by(
    deployment: Manifest, found: dict[tuple[str, str], Manifest]
) -> None:
    name = deployment["metadata"]["name"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert found["NetworkPolicy", name]["spec"]["podSelector"]["matchLabels"] == labels
    assert labels[COMPONENT] != MIGRATION_COMPONENT
    metrics = found["Service", "schemagate-metrics"]["spec"]
    assert metrics["selector"].items() <= labels.items()
    if name == "schemagate-webhook":
        service = found["Service", Settings.model_fields["service"].default]["spec"]
        assert service["selector"] == labels
        assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(443, "webhooks")]


def test_the_network_lets_in_what_has_to_come(found: dict[tuple[str, str], Manifest]) -> None:
    webhook, controller = (found["NetworkPolicy", f"schemagate-{role}"]["spec"] for role in ROLES)
    for policy in (webhook, controller):
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} >= {443, 6443}
    # The API server is no pod: nothing narrower than a port can be said of it.
    assert {"ports": [{"protocol": "TCP", "port": "webhooks"}]} in webhook["ingress"]
    assert not [rule for rule in controller["ingress"] if "from" not in rule]
    assert {port["port"] for rule in controller["ingress"] for port in rule["ports"]} == {"ops"}
