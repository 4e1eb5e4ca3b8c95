"""The adapter of certificates: which webhooks are ours, what is written and on what condition."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from webhook.errors import StartError
from webhook.kube.certificates.keeper import leaf_in
from webhook.kube.certificates.registrations import Own, read
from webhook.kube.certificates.secrets import read_secret
from webhook.kube.certificates.settings import own_of, policy_of
from webhook.settings import Settings

OWN = Own("schemagate", "schemagate-webhook", frozenset({"127.0.0.1"}))


def hook(name: str, bundle: bytes | None = None, **config: Any) -> dict[str, Any]:
    held = {} if bundle is None else {"caBundle": base64.b64encode(bundle).decode()}
    return {"name": name, "clientConfig": {**config, **held}}


def service(name: str = "schemagate-webhook", namespace: str = "schemagate") -> dict[str, Any]:
    return {"service": {"name": name, "namespace": namespace, "path": "/x"}}


def configuration(*hooks: dict[str, Any]) -> bytes:
    return json.dumps({"metadata": {"name": "schemagate", "resourceVersion": "7"}, "webhooks": hooks}).encode()


def test_only_webhooks_that_lead_to_us_are_ours() -> None:
    found = read(
        "mutating",
        OWN,
        configuration(
            hook("a", b"one", **service()),
            hook("b", b"one", **service("another")),
            hook("c", b"one", **service(namespace="team-a")),
            hook("d", None, url="https://127.0.0.1:9443/x"),
            hook("e", b"one", url="https://127.0.0.1.example.com/x"),
            hook("f"),
        ),
    )
    assert found.live() == {"mutating/0/a": b"one", "mutating/3/d": b""}


def test_a_bundle_is_written_where_another_is_held_and_only_on_what_was_read() -> None:
    found = read("validating", OWN, configuration(hook("a", b"new", **service()), hook("b", b"old", **service())))
    assert found.patch(b"new") == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "test", "path": "/webhooks/1/name", "value": "b"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "bmV3"},
    ]


def test_a_secret_shows_no_value() -> None:
    raw = {"metadata": {"name": "s"}, "data": {"ca.key": base64.b64encode(b"hush").decode()}}
    secret = read_secret(json.dumps(raw).encode())
    assert secret.data == {"ca.key": b"hush"}
    assert "hush" not in repr(secret)
    assert leaf_in(secret) == "Unreadable"
    assert leaf_in(None) == "Missing"


def test_names_are_those_of_the_service_and_those_of_the_settings() -> None:
    settings = Settings.model_construct(certificate_names=" hooks.example.com, 10.0.0.7 ,", service="gate")
    names = policy_of(settings, "ns").names
    assert names.dns == ("gate", "gate.ns", "gate.ns.svc", "gate.ns.svc.cluster.local", "hooks.example.com")
    assert [str(address) for address in names.addresses] == ["10.0.0.7"]
    assert own_of(settings, "ns").hosts == {"hooks.example.com", "10.0.0.7"}
    with pytest.raises(StartError, match="CERTIFICATE_NAMES"):
        policy_of(Settings.model_construct(certificate_names="not a name"), "ns")
