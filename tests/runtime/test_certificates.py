"""What a webhook replica shows, as the stored leaf and the CA bundles change under it."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from certs import CertificateAuthority, KeyPair
from tests.support.builders import NOW
from webhook.errors import StartError
from webhook.kube.api.client import Client
from webhook.metrics.certificates import ServedMetrics
from webhook.runtime.certificates import ServedCertificate
from webhook.runtime.tls import Tls
from webhook.settings import Settings

DAY = timedelta(days=1)
OLD, NEW = (CertificateAuthority.create(name, now=NOW, lifetime=30 * DAY) for name in ("old", "new"))


def leaf(authority: CertificateAuthority) -> KeyPair:
    return authority.issue(["gate.svc"], now=NOW, lifetime=DAY)


class Replica:
    """A replica whose copies are filled by hand."""

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or Settings.model_construct()
        self.tls = Tls(settings, NOW, later=settings.tls_cert is None)
        self.told: list[str] = []
        self.clock, self.now = 0.0, NOW
        self.registry = CollectorRegistry()
        self.served = ServedCertificate(
            cast("Client", None),
            "ns",
            settings,
            self.tls,
            lambda result, _why: self.told.append(result),
            ServedMetrics(self.registry),
            now=lambda: self.now,
            clock=lambda: self.clock,
        )
        self.versions = itertools.count(1)

    def store(self, data: dict[str, bytes]) -> None:
        metadata = {"name": "schemagate-webhook-tls", "namespace": "ns"}
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        assert self.served._leaf is not None
        self.served._leaf.learn(self.raw(metadata, data=encoded))
        self.served._look()

    def show(self, pair: KeyPair) -> None:
        self.store({"tls.crt": pair.certificate_chain, "tls.key": pair.private_key})

    def register(self, bundle: bytes) -> None:
        for kind, reflector in self.served._registrations.items():
            config = {
                "service": {"namespace": "ns", "name": "schemagate-webhook"},
                "caBundle": base64.b64encode(bundle).decode(),
            }
            metadata = {"name": "schemagate"}
            reflector.learn(self.raw(metadata, webhooks=[{"name": kind, "clientConfig": config}]))
        self.served._look()

    def raw(self, metadata: dict[str, Any], **rest: Any) -> bytes:
        version = str(next(self.versions))
        return json.dumps({"metadata": {**metadata, "uid": "u", "resourceVersion": version}, **rest}).encode()


def test_nothing_is_shown_before_there_is_a_leaf_that_every_bundle_verifies() -> None:
    replica = Replica()
    assert "no certificate" in replica.served.missing()[0]
    replica.register(b"")
    replica.show(leaf(OLD))
    assert "no certificate" in replica.served.missing()[0]
    replica.register(OLD.certificate_pem)
    assert replica.served.missing() == []
    assert replica.told == ["held_back", "held_back", "reloaded"]  # missing, then refused


def test_before_the_webhooks_are_registered_any_leaf_will_do() -> None:
    replica = Replica()
    replica.show(leaf(OLD))
    assert replica.served.missing() == []


def test_a_leaf_of_a_new_authority_waits_until_no_client_can_refuse_it() -> None:
    replica = Replica()
    replica.register(OLD.certificate_pem)
    replica.show(first := leaf(OLD))
    replica.show(second := leaf(NEW))
    assert replica.tls.serving.pair == first
    replica.register(NEW.certificate_pem + OLD.certificate_pem)
    assert replica.tls.serving.pair == first  # an API server may not have been told yet
    replica.clock = 61
    replica.served._look()
    assert replica.tls.serving.pair == second
    assert replica.told[1:] == ["reloaded", "held_back", "reloaded"]


@pytest.mark.parametrize("part", ["tls.crt", "tls.key"])
def test_a_pair_that_cannot_be_used_changes_nothing(part: str) -> None:
    replica = Replica()
    replica.register(OLD.certificate_pem)
    replica.show(first := leaf(OLD))
    other = leaf(OLD)
    good = {"tls.crt": other.certificate_chain, "tls.key": other.private_key}
    for damage in (b"", good[part][:99], first.private_key if part == "tls.key" else NEW.certificate_pem):
        replica.store({**good, part: damage})
        assert replica.tls.serving.pair == first
        assert replica.served.missing() == []
    assert replica.told[-1] == "failed"
    replica.store(good)
    assert replica.tls.serving.pair == other


def test_a_bundle_that_refuses_and_an_end_of_life_are_told() -> None:
    replica = Replica()
    replica.register(OLD.certificate_pem)
    replica.show(leaf(OLD))
    replica.register(NEW.certificate_pem)
    assert replica.served.missing() == [
        f"the CA bundle of {kind}/0/{kind} does not verify the certificate" for kind in ("mutating", "validating")
    ]
    labels = {"configuration": "mutating"}
    assert replica.registry.get_sample_value("schemagate_certificate_verified", labels) == 0
    replica.register(OLD.certificate_pem)
    assert replica.registry.get_sample_value("schemagate_certificate_verified", labels) == 1
    replica.now = NOW + 2 * DAY
    assert "valid from" in replica.served.missing()[0]


def test_files_are_verified_by_the_bundle_that_is_named(tmp_path: Path) -> None:
    pair = leaf(OLD)
    paths: dict[str, Any] = {name: tmp_path / name for name in ("tls_cert", "tls_key", "tls_ca")}
    paths["tls_cert"].write_bytes(pair.certificate_chain)
    paths["tls_key"].write_bytes(pair.private_key)
    paths["tls_ca"].write_bytes(OLD.certificate_pem)
    replica = Replica(Settings.model_construct(**paths))
    assert replica.served.missing() == []
    replica.register(NEW.certificate_pem)
    assert len(replica.served.missing()) == 2
    paths["tls_ca"].write_bytes(NEW.certificate_pem)
    assert "--tls-ca" in Replica(Settings.model_construct(**paths)).served.missing()[0]
    paths["tls_ca"].unlink()
    with pytest.raises(StartError, match="tls_ca is missing"):
        Replica(Settings.model_construct(**paths))


async def test_files_of_another_authority_are_judged_by_the_bundle_that_came_with_them(tmp_path: Path) -> None:
    paths: dict[str, Any] = {name: tmp_path / name for name in ("tls_cert", "tls_key", "tls_ca")}

    def write(authority: CertificateAuthority) -> None:
        pair = leaf(authority)
        for path, content in zip(
            paths.values(), (pair.certificate_chain, pair.private_key, authority.certificate_pem), strict=True
        ):
            path.write_bytes(content)

    write(OLD)
    replica = Replica(Settings.model_construct(**paths))
    assert replica.tls.source is not None
    replica.register(OLD.certificate_pem)
    write(NEW)
    looked = asyncio.Event()
    following = asyncio.create_task(
        replica.tls.source.follow(
            replica.tls.serving, interval=1, sleep=lambda _: asyncio.sleep(0), report=lambda *_: looked.set()
        )
    )
    await asyncio.wait_for(looked.wait(), 30)
    following.cancel()
    assert len(replica.served.missing()) == 2  # the injector has not been there yet
    replica.register(NEW.certificate_pem)
    assert replica.served.missing() == []


def test_files_without_a_bundle_ask_the_api_server_for_nothing(tmp_path: Path) -> None:
    pair = leaf(OLD)
    cert, key = tmp_path / "crt", tmp_path / "key"
    cert.write_bytes(pair.certificate_chain)
    key.write_bytes(pair.private_key)
    replica = Replica(Settings.model_construct(tls_cert=cert, tls_key=key))
    assert replica.served._registrations == {}
    assert replica.served._leaf is None
    assert replica.served.missing() == []
