"""What each overlay makes of the base."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.rendering import BASE, MANIFESTS, OVERLAYS, Key, Manifest, by_key, key, kustomized, overlay
from tests.manifests.test_workloads import environment
from webhook.settings import Settings

CONTROLLER: Key = ("ClusterRole", "", "schemagate-controller")
MIGRATIONS: Key = ("ClusterRole", "", "schemagate-migrations")


def rights(role: Manifest) -> set[tuple[str, str, str, str]]:
    return {
        (group, resource, verb, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def changed(name: str) -> set[tuple[str, str]]:
    """Give kind and name of what an overlay changes, adds or takes away."""
    before, after = by_key(kustomized(BASE)), by_key(overlay(name))
    return {(where[0], where[2]) for where in before | after if before.get(where) != after.get(where)}


def test_the_base_takes_in_every_file_in_the_order_of_their_numbers() -> None:
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert listed == sorted(path.name for path in BASE.glob("[0-9]*.yaml"))


@pytest.mark.parametrize("name", ["base", *OVERLAYS])
def test_what_judges_comes_after_what_it_asks(name: str) -> None:
    objects = kustomized(BASE) if name == "base" else overlay(name)
    kinds = [item["kind"] for item in objects]
    assert kinds[0] == "Namespace"
    first = min(at for at, kind in enumerate(kinds) if kind.endswith("WebhookConfiguration"))
    needed = {
        "CustomResourceDefinition",
        "ServiceAccount",
        "Deployment",
        "Service",
        "ValidatingAdmissionPolicyBinding",
    }
    assert max(at for at, kind in enumerate(kinds) if kind in needed) < first


@pytest.mark.parametrize("name", ["base", *OVERLAYS])
def test_no_certificate_and_no_key_is_in_any_of_them(name: str) -> None:
    objects = kustomized(BASE) if name == "base" else overlay(name)
    assert not re.search(r"caBundle:|-----BEGIN|LS0tLS1", yaml.safe_dump(objects))
    assert "Secret" not in {item["kind"] for item in objects}


def test_self_managed_is_the_base() -> None:
    assert overlay("self-managed") == kustomized(BASE)


def test_cert_manager_changes_the_certificate_alone() -> None:
    assert changed("cert-manager") == {
        ("Certificate", "schemagate-authority"),
        ("Certificate", "schemagate-serving"),
        ("Deployment", "schemagate-controller"),
        ("Deployment", "schemagate-webhook"),
        ("Issuer", "schemagate"),
        ("Issuer", "schemagate-self-signed"),
        ("MutatingWebhookConfiguration", "schemagate"),
        ("ValidatingWebhookConfiguration", "schemagate"),
    }
    found = by_key(overlay("cert-manager"))
    leaf = found["Certificate", "schemagate", "schemagate-serving"]["spec"]
    service, namespace = Settings.model_fields["service"].default, "schemagate"
    domain = Settings.model_fields["cluster_domain"].default
    host = f"{service}.{namespace}"
    assert leaf["dnsNames"] == [service, host, f"{host}.svc", f"{host}.svc.{domain}"]
    webhook = found["Deployment", namespace, "schemagate-webhook"]
    controller = found["Deployment", namespace, "schemagate-controller"]
    assert environment(controller)["SCHEMAGATE_CERTIFICATES"] == "files"
    given = environment(webhook)
    (volume,) = webhook["spec"]["template"]["spec"]["volumes"]
    (mount,) = webhook["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert volume["secret"]["secretName"] == leaf["secretName"]
    assert (mount["name"], mount["readOnly"]) == (volume["name"], True)
    files = {name: given[f"SCHEMAGATE_TLS_{name}"] for name in ("CERT", "KEY", "CA")}
    # The keys that cert-manager writes into the Secret.
    names = {"CERT": "tls.crt", "KEY": "tls.key", "CA": "ca.crt"}
    assert files == {name: f"{mount['mountPath']}/{file}" for name, file in names.items()}
    for kind in ("Mutating", "Validating"):
        configuration = found[f"{kind}WebhookConfiguration", "", "schemagate"]
        assert configuration["metadata"]["annotations"] == {
            "cert-manager.io/inject-ca-from": f"{namespace}/schemagate-serving"
        }


def test_named_namespaces_take_from_the_controller_what_it_changes_and_nothing_else() -> None:
    assert changed("namespaced") == {
        ("ClusterRole", "schemagate-controller"),
        ("ClusterRole", "schemagate-migrations"),
        ("RoleBinding", "schemagate-migrations"),
    }
    before, after = by_key(kustomized(BASE)), by_key(overlay("namespaced"))
    everywhere, inside = rights(after[CONTROLLER]), rights(after[MIGRATIONS])
    assert everywhere | inside == rights(before[CONTROLLER])
    assert not everywhere & inside
    assert {(resource, verb) for _, resource, verb, _ in everywhere if verb not in {"get", "list", "watch"}} == {
        ("gatewaymigrations", "create"),
        ("gatewaymigrations", "patch"),
        ("gatewaymigrations", "delete"),
        ("gatewaymigrations/status", "update"),
        ("events", "create"),
        ("events", "patch"),
        ("mutatingwebhookconfigurations", "patch"),
        ("validatingwebhookconfigurations", "patch"),
    }
    assert "pods/log" not in {resource for _, resource, _, _ in everywhere}
    (binding,) = yaml.safe_load_all((MANIFESTS / "overlays" / "namespaced" / "namespaces.yaml").read_text())
    assert binding["roleRef"]["name"] == after[MIGRATIONS]["metadata"]["name"]
    account = {"kind": "ServiceAccount", "name": "schemagate-controller", "namespace": "schemagate"}
    assert binding["subjects"] == [account]


def test_kind_has_one_of_each_and_pulls_nothing() -> None:
    before, after = by_key(overlay("cert-manager")), by_key(overlay("kind"))
    assert before.keys() == after.keys()
    for where, item in after.items():
        if where[0] != "Deployment":
            assert item == before[where], where
            continue
        assert item["spec"]["replicas"] == 1
        (container,) = item["spec"]["template"]["spec"]["containers"]
        assert container["imagePullPolicy"] == "Never"


SHAPES = {
    "admissionregistration.k8s.io/v1": {
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",  # in v1 since 1.30
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    },
    "apiextensions.k8s.io/v1": {"CustomResourceDefinition"},
    "apps/v1": {"Deployment"},
    "cert-manager.io/v1": {"Certificate", "Issuer"},
    "networking.k8s.io/v1": {"NetworkPolicy"},
    "policy/v1": {"PodDisruptionBudget"},
    "rbac.authorization.k8s.io/v1": {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
    "v1": {"Namespace", "ResourceQuota", "Service", "ServiceAccount"},
}
"""Every version and kind, all served by Kubernetes 1.30."""
FIELDS: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("fields.yaml").read_text())
"""Every field that may be used, each looked up by hand: all are on by default in Kubernetes 1.30."""
FREE = {"matchLabels", "labels", "requests", "limits"}
"""What has keys of one's own, as the selector of a Service has."""


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_is_newer_than_kubernetes_1_30(name: str) -> None:
    """By list: of API servers only that of 1.36 is at hand (tests/live/apart/test_install.py)."""
    for item in overlay(name):
        assert item["kind"] in SHAPES[item["apiVersion"]], key(item)
        if item["kind"].endswith("WebhookConfiguration"):
            for hook in item["webhooks"]:
                assert set(fields(hook)) <= set(FIELDS["WebhookConfiguration"]), key(item)
        elif item["kind"] in FIELDS:
            assert set(fields(item["spec"])) <= set(FIELDS[item["kind"]]), key(item)


def fields(value: Any, path: str = "") -> Iterator[str]:
    """Give the path of every field, without the positions in lists; keys that users choose are left out."""
    if isinstance(value, list):
        for inner in value:
            yield from fields(inner, path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            where = f"{path}.{name}".removeprefix(".")
            yield where
            if name not in FREE and not (where == "selector" and "app.kubernetes.io/name" in inner):
                yield from fields(inner, where)
