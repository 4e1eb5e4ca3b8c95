"""Who may call the webhooks: with a client CA, only who it vouches for, by name."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import StartError
from webhook.runtime.embedded import EmbeddedGate
from webhook.settings import Settings, read_settings

NAME = "kube-apiserver"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def gate(tmp_path: Path, authority: trustme.CA) -> AsyncIterator[EmbeddedGate]:
    file = tmp_path / "clients.pem"
    authority.cert_pem.write_to_path(file)
    settings = Settings(port=0, ops_port=0, drain_seconds=0, client_ca=file, client_names=f"{NAME}, other")
    made = EmbeddedGate(EmbeddedControllerCluster(), settings)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def call(gate: EmbeddedGate, certificate: trustme.LeafCert | None) -> int:
    """Give the status of an answer to a client that shows this certificate."""
    context = gate.tls.client_context()
    if certificate is not None:
        certificate.configure_cert(context)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.post(f"{gate.url}/validate-apps-v1-deployment", data=b"{}", ssl=context) as answer,
    ):
        return answer.status


async def test_an_allowed_client_is_answered(gate: EmbeddedGate, authority: trustme.CA) -> None:
    certificate = authority.issue_cert(NAME, common_name=NAME)
    assert await call(gate, certificate) in {400, 415}


async def test_a_client_of_another_name_is_turned_away_and_counted(
    gate: EmbeddedGate, authority: trustme.CA
) -> None:
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await call(gate, authority.issue_cert("pod", common_name="pod"))
    assert b'schemagate_http_refused_total{reason="client"} 1.0' in gate.telemetry.exposition()


@pytest.mark.parametrize("stranger", [True, False], ids=["of another authority", "without a certificate"])
async def test_a_client_that_nobody_vouches_for_ends_in_the_handshake(gate: EmbeddedGate, stranger: bool) -> None:
    certificate = trustme.CA().issue_cert(NAME, common_name=NAME) if stranger else None
    with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
        await call(gate, certificate)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"client_names": "x"}, "give both"),
        ({"client_ca": Path("/no/such/file")}, "No such file"),
    ],
)
def test_bad_settings_say_what_to_give(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(StartError, match=said):
        EmbeddedGate(EmbeddedControllerCluster(), read_settings(port=0, ops_port=0, **flags))


def test_a_client_ca_that_holds_no_certificate(tmp_path: Path) -> None:
    file = tmp_path / "empty.pem"
    file.write_text("nothing")
    with pytest.raises(StartError, match="no certificate"):
        EmbeddedGate(EmbeddedControllerCluster(), Settings(port=0, ops_port=0, client_ca=file))
