"""Service, certificate, CA bundles and the canary."""

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import NOW, Manifest
from tests.support.diagnoses import CERTIFICATE, MUTATING, VALIDATING, VALIDATOR, found, healthy, only, slice_of
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.facts import Canary, Certificate
from webhook.policy.diagnosis.line import Check, Level, Unread

CALL = 'POST /x: 500 Internal error occurred: failed calling webhook "deployments.validate.schemagate.io": EOF'


def by_url() -> dict[str, Manifest]:
    items = {"mutating": copy.deepcopy(MUTATING), "validating": copy.deepcopy(VALIDATING)}
    for item in items.values():
        for hook in item["webhooks"]:
            hook["clientConfig"] = {"url": f"https://10.0.0.9:9443{hook['clientConfig']['service']['path']}"}
    return items


def with_port(port: int, service: str = "schemagate-webhook") -> dict[str, Manifest]:
    items = {"mutating": copy.deepcopy(MUTATING), "validating": copy.deepcopy(VALIDATING)}
    for item in items.values():
        for hook in item["webhooks"]:
            hook["clientConfig"]["service"] |= {"port": port, "name": service}
    return items


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"service": None}, "there is no Service schemagate-webhook in namespace schemagate"),
        ({"slices": []}, "has no ready endpoint"),
        ({"slices": [slice_of("webhook-0", ready=False)]}, "has no ready endpoint"),
        ({"slices": [slice_of("webhook-0", port="ops")]}, "has the port that its port 443 targets"),
        ({"registrations": with_port(8443)}, "has no port 8443, which is registered"),
        ({"namespace": "elsewhere"}, "registered on Service schemagate/schemagate-webhook, not elsewhere/"),
    ],
)
def test_what_is_wrong_between_registration_and_pods_is_told(changes: dict[str, Any], told: str) -> None:
    (line,) = [line for line in found(**changes) if line.check is Check.SERVICE]
    assert line.level is Level.FAIL
    assert told in line.message


def test_the_wrong_namespace_is_told_by_what_is_registered() -> None:
    changes: dict[str, Any] = {"namespace": "elsewhere", "service": None, "slices": []}
    (line,) = [line for line in found(**changes) if line.check is Check.SERVICE]
    assert "registered on Service schemagate/schemagate-webhook, not elsewhere/schemagate-webhook" in line.message
    assert "-n" in line.advice


@pytest.mark.parametrize("unread", ["service", "slices"])
def test_what_of_it_may_not_be_read_is_unknown(unread: str) -> None:
    assert "you may not get it" in only(Level.UNKNOWN, Check.SERVICE, **{unread: Unread("get it")})


def test_who_registers_by_url_needs_no_service() -> None:
    certificate = replace(CERTIFICATE, names=("10.0.0.9",))
    changes: dict[str, Any] = {"registrations": by_url(), "certificate": certificate}
    assert found(**changes) == []
    assert found(**changes, service=None, slices=[]) == []
    assert "do without" in only(Level.WARN, Check.SERVICE, **changes, slices=[])


def test_endpoints_that_tell_nothing_count_as_ready() -> None:
    some = slice_of("webhook-0")
    del some["endpoints"][0]["conditions"], some["endpoints"][0]["targetRef"]
    assert found(slices=[some]) == []


@pytest.mark.parametrize(
    ("changes", "level", "told"),
    [
        ({"end": NOW - timedelta(hours=1)}, Level.FAIL, "valid from 2026-11-21 12:00 to 2026-11-22 11:00"),
        ({"start": NOW + timedelta(hours=1)}, Level.FAIL, "and it is 2026-11-22 12:00"),
        (
            {"start": NOW - timedelta(days=80), "end": NOW + timedelta(days=10)},
            Level.WARN,
            "ends in 240 h, and nobody has renewed it",
        ),
        ({"names": ("other.schemagate.svc",)}, Level.FAIL, "not valid for schemagate-webhook.schemagate.svc"),
    ],
)
def test_what_is_wrong_with_the_certificate_is_told(changes: dict[str, Any], level: Level, told: str) -> None:
    assert told in only(level, Check.CERTIFICATE, certificate=replace(CERTIFICATE, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"problem": "there is no such Secret"},
        {"end": NOW - timedelta(hours=1)},
        {"start": NOW - timedelta(days=80), "end": NOW + timedelta(days=10)},
        {"names": ("other.schemagate.svc",)},
    ],
)
def test_what_the_controller_did_not_make_it_does_not_renew(changes: dict[str, Any]) -> None:
    ours, theirs = (
        found(certificate=replace(CERTIFICATE, secret=secret, **changes))[0].advice
        for secret in ("schemagate-webhook-tls", "schemagate-serving")
    )
    assert "kubectl -n schemagate describe certificate" in theirs
    assert "describe certificate" not in ours
    assert "schemagate certs" not in theirs
    assert "certs rotate" not in ours or "certs rotate -n schemagate" in ours


def test_names_that_were_not_looked_at_are_not_said_to_be_right() -> None:
    lines = diagnose(replace(healthy(), registrations=Unread("get them")))
    (line,) = [line for line in lines if line.check is Check.CERTIFICATE]
    assert line.message == "Secret schemagate-webhook-tls: valid until 2027-02-19 12:00 UTC"


@pytest.mark.parametrize(("name", "fits"), [("*.schemagate.svc", True), ("*.svc", False), ("*", False)])
def test_a_wildcard_stands_for_one_label(name: str, fits: bool) -> None:
    assert (found(certificate=replace(CERTIFICATE, names=(name,))) == []) is fits


def test_without_a_certificate_no_bundle_can_be_tried() -> None:
    lines = found(certificate=Certificate(secret="schemagate-webhook-tls", problem="there is no such Secret"))
    assert [(line.level, line.check) for line in lines] == [
        (Level.FAIL, Check.CERTIFICATE),
        (Level.UNKNOWN, Check.CA_BUNDLE),
    ]
    assert "there is no such Secret" in lines[0].message


def test_who_may_not_read_it_is_told_which_right_it_takes() -> None:
    lines = found(certificate=Unread("get secrets"))
    assert [(line.level, line.check) for line in lines] == [
        (Level.UNKNOWN, Check.CERTIFICATE),
        (Level.UNKNOWN, Check.CA_BUNDLE),
    ]


def test_a_bundle_that_verifies_something_else_is_named() -> None:
    verified = {**CERTIFICATE.verified, VALIDATOR: False}
    message = only(Level.FAIL, Check.CA_BUNDLE, certificate=replace(CERTIFICATE, verified=verified))
    assert f"the CA bundle of {VALIDATOR} does not verify" in message


def test_a_bundle_that_is_left_to_an_injector_that_is_not_there_is_told() -> None:
    annotated = {"mutating": copy.deepcopy(MUTATING), "validating": copy.deepcopy(VALIDATING)}
    annotated["validating"]["metadata"]["annotations"] = {
        "cert-manager.io/inject-ca-from": "schemagate/schemagate-serving"
    }
    refused = replace(CERTIFICATE, verified={**CERTIFICATE.verified, VALIDATOR: False})
    (line,) = found(registrations=annotated, certificate=refused)
    assert line.advice.startswith("take the annotation cert-manager.io/inject-ca-from off both configurations")
    theirs = replace(refused, secret="schemagate-serving")
    (line,) = found(registrations=annotated, certificate=theirs)
    assert "that cert-manager injects the CA" in line.advice


@pytest.mark.parametrize(
    ("canary", "level", "told"),
    [
        ({}, Level.FAIL, "went through without schemagate being asked"),
        ({"warnings": ("somebody: Gateway 11.1.0 is old",)}, Level.FAIL, "without schemagate being asked"),
        ({"refusal": CALL}, Level.FAIL, "failed calling webhook"),
        ({"refusal": 'POST: 500 failed calling webhook "x.example.com": EOF'}, Level.UNKNOWN, "x.example.com"),
        ({"refusal": "POST: 403 exceeded quota: q"}, Level.UNKNOWN, "exceeded quota"),
        (
            {"refusal": f'POST: 403 admission webhook "{VALIDATOR}" denied the request: no'},
            Level.WARN,
            "denied the request",
        ),
    ],
)
def test_what_became_of_the_canary_is_told(canary: dict[str, Any], level: Level, told: str) -> None:
    sent = Canary(namespace="default", version="11.1.0", **canary)
    assert told in only(level, Check.CANARY, canary=sent)


def test_a_canary_that_may_not_be_sent_is_unknown() -> None:
    assert "you may not create" in only(Level.UNKNOWN, Check.CANARY, canary=Unread("create deployments.apps"))
