"""Every value of the chart does what it says, and what means nothing is refused."""

import json
import subprocess
from typing import Any

import pytest
import yaml

from tests.docs import chart
from tests.manifests.rendering import HELMS, Key, Manifest, by_key, template, templated
from webhook import __version__

CERTIFIED: dict[str, object] = {"certificates.source": "cert-manager"}
BOTH = {"schemagate-webhook", "schemagate-controller"}
WEBHOOK, CONTROLLER = {"schemagate-webhook"}, {"schemagate-controller"}
DEPLOYMENT, POLICY = {"Deployment"}, {"NetworkPolicy"}
VALUES: list[tuple[str, object, set[str], set[str], str]] = [
    ("image.repository", "registry.example/gate", DEPLOYMENT, BOTH, f"image: registry.example/gate:{__version__}"),
    ("image.tag", "9", DEPLOYMENT, BOTH, "image: schemagate:9"),
    ("image.digest", f"sha256:{'a' * 64}", DEPLOYMENT, BOTH, f"image: schemagate@sha256:{'a' * 64}"),
    ("image.pullPolicy", "Always", DEPLOYMENT, BOTH, "imagePullPolicy: Always"),
    ("image.pullSecrets", [{"name": "pull"}], DEPLOYMENT, BOTH, "imagePullSecrets:"),
    ("settings", {"strict_x509": True}, DEPLOYMENT, BOTH, "name: SCHEMAGATE_STRICT_X509"),
    ("host", "::", DEPLOYMENT, BOTH, "value: '::'"),
    ("webhook.port", 10443, DEPLOYMENT, WEBHOOK, 'name: SCHEMAGATE_PORT\n          value: "10443"'),
    ("webhook.settings", {"drain_seconds": 20}, DEPLOYMENT, WEBHOOK, "terminationGracePeriodSeconds: 55"),
    ("webhook.opsPort", 8081, {*DEPLOYMENT, "Service"}, {*WEBHOOK, "schemagate-metrics"}, "SCHEMAGATE_OPS_PORT"),
    ("controller.opsPort", 8081, DEPLOYMENT, CONTROLLER, 'name: SCHEMAGATE_OPS_PORT\n          value: "8081"'),
    ("controller.settings", {"workers": 2}, DEPLOYMENT, CONTROLLER, "name: SCHEMAGATE_WORKERS"),
    ("webhook.clientCA.secret", "callers", DEPLOYMENT, WEBHOOK, "value: /etc/schemagate/client-ca/ca.crt"),
    ("webhook.clientCA.names", ["api", "front"], DEPLOYMENT, WEBHOOK, "value: api,front"),
    *(
        (f"{role}.{name}", value, DEPLOYMENT, {f"schemagate-{role}"}, text)
        for role in ("webhook", "controller")
        for name, value, text in (
            ("replicas", 3, "replicas: 3"),
            ("resources", {"limits": {"memory": "1Gi"}}, "memory: 1Gi"),
            ("priorityClassName", "gateways-high", "priorityClassName: gateways-high"),
            ("podAnnotations", {"example.com/note": "x"}, "example.com/note: x"),
            ("podLabels", {"example.com/team": "x"}, "example.com/team: x"),
            ("nodeSelector", {"example.com/pool": "x"}, "nodeSelector:"),
            ("tolerations", [{"operator": "Exists"}], "operator: Exists"),
            ("affinity", {"nodeAffinity": {}}, "nodeAffinity: {}"),
        )
    ),
    ("networkPolicy.enabled", False, POLICY, BOTH, ""),
    ("networkPolicy.apiServerPorts", [7443], POLICY, BOTH, "port: 7443"),
    ("networkPolicy.metricsFrom", [{"ipBlock": {"cidr": "10.9.0.0/16"}}], POLICY, BOTH, "cidr: 10.9.0.0/16"),
    ("crd.install", False, {"CustomResourceDefinition"}, {"gatewaymigrations.schemagate.io"}, ""),
    ("rbac.aggregateToView", False, {"ClusterRole"}, {"schemagate-view"}, ""),
    (
        "namespaces",
        ["gateways"],
        {"ClusterRole", "RoleBinding"},
        {*CONTROLLER, "schemagate-migrations"},
        "namespace: gateways",
    ),
    (
        "secondLock.enabled",
        True,
        {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
        {f"{name}.lock.schemagate.io" for name in ("deployments", "migrations", "sessions")},
        "name: sessions.lock.schemagate.io",
    ),
    (
        "certificates.source",
        "cert-manager",
        {*DEPLOYMENT, "Certificate", "Issuer", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"},
        {*BOTH, "schemagate", "schemagate-authority", "schemagate-self-signed", "schemagate-serving"},
        "inject-ca-from: schemagate/schemagate-serving",
    ),
    (
        "certificates.issuerRef",
        {"name": "corporate", "kind": "ClusterIssuer"},
        {"Certificate", "Issuer"},
        {"schemagate", "schemagate-authority", "schemagate-self-signed", "schemagate-serving"},
        "kind: ClusterIssuer",
    ),
]


BESIDE: dict[str, dict[str, object]] = {
    "certificates.issuerRef": CERTIFIED,
    "webhook.clientCA.names": {"webhook.clientCA.secret": "callers"},
}
"""Values that another one goes with."""


@pytest.mark.parametrize(("path", "value", "kinds", "objects", "text"), VALUES, ids=[row[0] for row in VALUES])
def test_a_value_changes_what_it_says(
    path: str, value: object, kinds: set[str], objects: set[str], text: str
) -> None:
    others = BESIDE.get(path, {})
    before, after = by_key(templated(others)), by_key(templated({**others, path: value}))
    differing = changed(before, after)
    assert {kind for kind, _ in differing} == kinds
    assert {name for _, name in differing} == objects
    assert text in template("helm", "schemagate", {**others, path: value})


def test_every_value_is_tried_and_described() -> None:
    # What it adds beside the annotation itself has a test of its own.
    assert {row[0] for row in VALUES} | {"crd.keep"} == set(chart.described())
    described = set(chart.described())

    def leaves(value: Any, path: str) -> None:
        if path in described:
            return
        assert isinstance(value, dict), f"{path} has no comment in values.yaml"
        assert value, f"{path} has no comment in values.yaml"
        for name, inner in value.items():
            leaves(inner, f"{path}.{name}".removeprefix("."))

    leaves(yaml.safe_load(chart.VALUES.read_text()), "")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("webhok", {}),
        ("webhook.replicas", 0),
        ("webhook.replicas", "two"),
        ("webhook.replica", 3),
        ("webhook.port", 443),  # not without a capability that no pod here has
        ("webhook.settings", {"tls_cert": "/x"}),
        # Read apart, what the one holds the other would release, and so on.
        ("webhook.settings", {"default_mode": "Hold"}),
        ("controller.settings", {"default_mode": "Hold"}),
        ("secondLock.enabled", "yes"),
        ("controller.settings", {"certificate_names": "a"}),
        # Heeded by the other alone.
        ("controller.settings", {"dry_run": "warn"}),
        ("controller.settings", {"drain_seconds": 20}),
        ("webhook.settings", {"workers": 2}),
        # What would not start.
        ("settings", {"default_mode": "hold"}),
        ("settings", {"strict_x509": "no"}),
        ("settings", {"workers": 2.5}),
        ("controller.settings", {"lease_seconds": 1}),
        ("webhook.settings", {"drain_seconds": 301}),
        ("image.repository", "registry.example:5000/gate:9"),
        ("image.repository", f"gate@sha256:{'a' * 64}"),
        ("image.tag", "9@sha256"),
        ("webhook.clientCA", {"configMap": "x"}),
        ("webhook.clientCA.names", ["a,b"]),
        ("certificates.issuerRef", {"kind": "ClusterIssuer"}),
        ("controller.port", 9443),
        ("controller.resources", {"limit": {}}),
        ("settings", {"no_such_setting": 1}),
        ("settings", {"default_mode": ["Hold"]}),
        ("image.digest", "latest"),
        ("image.pullPolicy", "Sometimes"),
        ("certificates.source", "openssl"),
        ("certificates.caBundle", "x"),
        ("namespaces", ["Team A"]),
        ("networkPolicy.apiServerPorts", []),
        ("crd.keep", "yes"),
    ],
)
@pytest.mark.parametrize("helm", HELMS)
def test_a_value_that_means_nothing_is_refused(helm: str, path: str, value: object) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        template(helm, "schemagate", {path: value})
    assert "don't meet the specifications of the schema" in caught.value.stderr


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image.repository": ""}, "set image.repository"),
        ({"webhook.opsPort": 9443}, "webhook.port and webhook.opsPort are both 9443"),
        ({"certificates.issuerRef": {"name": "corporate"}}, "set certificates.source=cert-manager"),
        ({"webhook.clientCA.names": ["api"]}, "set both"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
@pytest.mark.parametrize("helm", HELMS)
def test_values_that_do_not_go_together_are_refused(helm: str, values: dict[str, object], words: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        template(helm, "schemagate", values)
    assert words in caught.value.stderr


def test_the_image_may_be_at_any_registry() -> None:
    for repository in ("localhost:5000/gate", "registry.example:5000/team/gate", "gate"):
        assert f"image: {repository}:" in template("helm", "schemagate", {"image.repository": repository})


def test_nobody_reads_metrics_where_nobody_is_named() -> None:
    """No peer means everybody to Kubernetes."""
    policies = [
        item["spec"] for item in templated({"networkPolicy.metricsFrom": []}) if item["kind"] == "NetworkPolicy"
    ]
    assert [policy["ingress"] for policy in policies] == [
        [{"ports": [{"port": "webhooks", "protocol": "TCP"}]}],
        [],
    ]
    assert all("Ingress" in policy["policyTypes"] for policy in policies)


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads(chart.SCHEMA.read_text())

    def same(known: dict[str, Any], value: Any, path: str) -> None:
        known = schema["definitions"][known["$ref"].rpartition("/")[2]] if "$ref" in known else known
        if "properties" not in known or not isinstance(value, dict) or not value:
            return
        assert known["additionalProperties"] is False, path
        if path not in chart.described():
            assert known["properties"].keys() - {"global"} == value.keys(), path
        for name, inner in value.items():
            same(known["properties"][name], inner, f"{path}.{name}".removeprefix("."))

    same(schema, yaml.safe_load(chart.VALUES.read_text()), "")


def changed(before: dict[Key, Manifest], after: dict[Key, Manifest]) -> set[tuple[str, str]]:
    """Give kind and name of what differs."""
    return {
        (kind, name)
        for kind, _, name in (where for where in before | after if before.get(where) != after.get(where))
    }
