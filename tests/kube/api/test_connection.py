"""Where the cluster is found, and who we are to it."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes_asyncio.client import Configuration

from tests.kube.fake_api import answer, client_of, kubeconfig, serving
from webhook.errors import StartError, UnreachableError
from webhook.kube.api.connection import connect, own_namespace
from webhook.kube.api.transport import ssl_context
from webhook.kube.resources import JOBS

JOB = JOBS.path("a", "j")


def service_account(folder: Path, ca: trustme.CA) -> Path:
    (folder / "token").write_text("pod-token\n")
    (folder / "namespace").write_text("gate\n")
    ca.cert_pem.write_to_path(folder / "ca.crt")
    return folder


def server_context(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(*names).configure_cert(context)
    return context


async def test_in_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    ca = trustme.CA()
    folder = service_account(tmp_path, ca)
    async with serving([answer({})], tls=server_context(ca, "127.0.0.1")) as api:
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": api.url.rpartition(":")[2]}
        assert own_namespace(environ=environ, service_account=folder) == "gate"
        client = await connect(environ=environ, service_account=folder)
        await client.request("GET", JOB)
        await client.close()
    assert api.asked[0].headers["Authorization"] == "Bearer pod-token"
    assert client.server == api.url


async def test_a_kubeconfig_that_is_named_wins_over_the_pod(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    path = kubeconfig(tmp_path, "http://127.0.0.1:1", context={"namespace": "mine"})
    client = await connect(path, environ=environ)
    await client.close()
    assert client.server == "http://127.0.0.1:1"
    assert own_namespace(path, environ=environ) == "mine"
    assert own_namespace(None, "c", environ={**environ, "KUBECONFIG": str(path)}) == "mine"


async def test_kubeconfig_of_the_environment_and_default_namespace(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    environ = {"KUBECONFIG": f"{tmp_path / 'none'}:{path}"}
    client = await connect(environ=environ)
    await client.close()
    assert own_namespace(environ=environ) == "default"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "a: &a [*a]",
        '{"current-context": "x", "contexts": [], "clusters": [], "users": []}',
        '{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k"}}],'
        ' "clusters": [], "users": []}',
        '{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k"}}],'
        ' "clusters": [{"name": "k", "cluster": {}}], "users": []}',
        '{"current-context": "c", "contexts": [{"name": "c"}], "clusters": null, "users": null}',
    ],
)
async def test_a_bad_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(StartError) as caught:
        await connect(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


async def test_unusable_files_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for cluster, user in (
        ({"certificate-authority": str(bad)}, None),
        ({"certificate-authority": "nowhere"}, None),
        ({}, {"tokenFile": "nowhere"}),
        ({}, {"client-certificate": str(bad), "client-key": str(bad)}),
    ):
        path = kubeconfig(tmp_path, "https://127.0.0.1:1", cluster=cluster, user=user)
        with pytest.raises(StartError):
            await connect(path)


async def test_nothing_to_connect_with(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="KUBECONFIG"):
        await connect(environ={"KUBECONFIG": str(tmp_path / "none")})
    with pytest.raises(StartError, match="KUBECONFIG"):
        own_namespace(tmp_path / "none")
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(StartError, match="service account"):
        await connect(environ=pod, service_account=tmp_path)
    with pytest.raises(StartError, match="namespace"):
        own_namespace(environ=pod, service_account=tmp_path)


async def test_names_and_authorities_are_checked(tmp_path: Path) -> None:
    ca, other = trustme.CA(), trustme.CA()
    authority = tmp_path / "ca.pem"
    async with serving([answer({})], tls=server_context(ca, "elsewhere.test")) as api:
        for trusted, cluster, good in (
            (ca, {}, False),
            (ca, {"tls-server-name": "elsewhere.test"}, True),
            (other, {"tls-server-name": "elsewhere.test"}, False),
            (other, {"insecure-skip-tls-verify": True}, True),
        ):
            trusted.cert_pem.write_to_path(authority)
            asked = {"certificate-authority": str(authority), **cluster}
            client = await connect(kubeconfig(tmp_path, api.url, cluster=asked))
            if good:
                await client.request("GET", JOB)
            else:
                with pytest.raises(UnreachableError, match="certificate"):
                    await client.request("GET", JOB)
            await client.close()
    assert len(api.asked) == 2


def bare_chain(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A chain as some clusters have it: without the identifiers of keys."""
    now = datetime.now(UTC)

    def certificate(key: Any, signer: Any, name: str, extension: x509.ExtensionType) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=True)
            .sign(signer, hashes.SHA256())
        )

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate(ca_key, ca_key, "ca", x509.BasicConstraints(ca=True, path_length=0))
    san = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = certificate(key, ca_key, "leaf", san)
    authority, chain = folder / "bare-ca.pem", folder / "bare.pem"
    authority.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    return authority, context


async def test_strict_x509_is_a_choice(tmp_path: Path) -> None:
    authority, context = bare_chain(tmp_path)
    async with serving([answer({})], tls=context) as api:
        path = kubeconfig(tmp_path, api.url, cluster={"certificate-authority": str(authority)})
        lenient = await connect(path)
        await lenient.request("GET", JOB)
        await lenient.close()
        strict = await connect(path, strict_x509=True)
        with pytest.raises(UnreachableError, match="certificate"):
            await strict.request("GET", JOB)
        await strict.close()


def test_the_flag_is_the_librarys() -> None:
    configuration = Configuration()
    assert ssl_context(configuration).verify_flags & ssl.VERIFY_X509_STRICT
    configuration.disable_strict_ssl_verification = True
    context = ssl_context(configuration)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


async def test_a_proxy_of_the_kubeconfig_is_asked(tmp_path: Path) -> None:
    async with serving([answer({})]) as api:
        path = kubeconfig(tmp_path, "http://elsewhere.test", cluster={"proxy-url": api.url})
        client = await connect(path)
        await client.request("GET", JOB)
        await client.close()
    assert api.asked[0].path == f"http://elsewhere.test{JOB}"


async def test_a_proxy_of_the_environment_is_asked_unless_excepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving([answer({})]) as api:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        for exception in ("127.0.0.1", "elsewhere.test"):
            monkeypatch.setenv("no_proxy", exception)
            async with client_of(api, tmp_path) as client:
                if exception == "127.0.0.1":
                    await client.request("GET", JOB)
                else:
                    with pytest.raises(UnreachableError):
                        await client.request("GET", JOB)
    assert len(api.asked) == 1


async def test_netrc_does_not_stand_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with serving([answer({})]) as api, client_of(api, tmp_path) as client:
        await client.request("GET", JOB)
    assert api.asked[0].headers["Authorization"] == "Bearer first-token"
