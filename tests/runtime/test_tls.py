"""The serving certificate: made on the spot, or from files."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from certs import CertificateAuthority
from tests.support.builders import NOW
from webhook.errors import StartError
from webhook.runtime.tls import Tls
from webhook.settings import Settings


def settings(**given: Any) -> Settings:
    return Settings.model_construct(**given)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A pair as cert-manager mounts it."""
    authority = CertificateAuthority.create("test", now=NOW, lifetime=timedelta(days=30))
    lifetime = timedelta(days=2)
    pair = authority.issue(["localhost"], now=NOW, lifetime=lifetime, ip_addresses=[ip_address("127.0.0.1")])
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    cert.write_bytes(pair.certificate_chain)
    key.write_bytes(pair.private_key)
    return cert, key


def test_one_made_on_the_spot_is_trusted_by_its_authority() -> None:
    tls = Tls(settings(), NOW)
    assert tls.source is None
    assert tls.serving.pair.not_after == NOW + timedelta(days=7)
    (trusted,) = tls.client_context().get_ca_certs()
    assert trusted["subject"] == ((("commonName", "schemagate local"),),)


def test_one_from_files_is_followed_and_its_authority_is_not_known(files: tuple[Path, Path]) -> None:
    tls = Tls(settings(tls_cert=files[0], tls_key=files[1]), NOW)
    assert tls.source is not None
    assert tls.serving.pair.not_after == NOW + timedelta(days=2)
    with pytest.raises(StartError, match="not made on the spot"):
        tls.client_context()


def test_a_file_that_is_none_is_told(files: tuple[Path, Path]) -> None:
    files[0].write_text("hello")
    with pytest.raises(StartError, match=r"tls\.crt"):
        Tls(settings(tls_cert=files[0], tls_key=files[1]), NOW)
