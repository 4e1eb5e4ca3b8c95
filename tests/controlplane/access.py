"""How clients reach an API server: addresses, certificates, kubeconfigs, a small client that waits."""

import base64
import itertools
import json
import ssl
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.controlplane.pki import Authority


class Access:
    """One API server, on loopback unless told otherwise, as its administrator; writes kubeconfigs."""

    def __init__(self, folder: Path, port: int, address: str = "127.0.0.1") -> None:
        """Take the folder, which must hold no `pki` yet, and the API server's port and address."""
        self.folder: Final = folder
        self.address: Final = address
        self.api_port: Final = port
        self._pki = Authority(folder / "pki", address)
        self._admin = self._pki.client("admin", "admin", ("system:masters",))
        self._client = ssl.create_default_context(cadata=self.ca_pem.decode())
        self._client.load_cert_chain(*self._admin)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._client)
        )
        self._numbers = itertools.count(1)
        self.admin_kubeconfig: Final = self._write(
            folder / "admin.kubeconfig", self.api_url, _certificate(self._admin)
        )

    @property
    def api_url(self) -> str:
        """The API server's address."""
        return f"https://{self.address}:{self.api_port}"

    @property
    def ca_pem(self) -> bytes:
        """The authority of all servers here, proxies and webhooks of tests included."""
        return self._pki.ca_pem

    @property
    def client_context(self) -> ssl.SSLContext:
        """The TLS settings of a client that is the administrator."""
        return self._client

    def server_context(self) -> ssl.SSLContext:
        """Give the TLS settings of a server on loopback that clients of this control plane trust."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(f"server-{next(self._numbers)}"))
        return context

    def issue(self, name: str, *dns_names: str) -> tuple[Path, Path]:
        """Issue a certificate for a server of the test's own, valid for loopback too; give the two files."""
        return self._pki.server(name, dns_names or ("localhost",))

    def kubeconfig_for(
        self, service_account: str, namespace: str, *, server: str | None = None, seconds: int = 12 * 3600
    ) -> Path:
        """Ask for a token of a service account and write a kubeconfig with it, through `server` if given."""
        answer = self.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": seconds},
            },
        )
        stem = self.folder / f"{namespace}-{service_account}-{next(self._numbers)}"
        token = stem.with_name(f"{stem.name}.token")
        token.touch(mode=0o600)
        token.write_text(answer["status"]["token"])
        target = stem.with_name(f"{stem.name}.kubeconfig")
        return self._write(target, server or self.api_url, {"tokenFile": str(token)})

    def admin_kubeconfig_through(self, server: str) -> Path:
        """Write a kubeconfig of the administrator that reaches the API server at another address.

        For a TCP proxy: one that ends TLS, as `CallProxy` does, cannot pass a client certificate on.
        """
        return self._write(
            self.folder / f"admin-{next(self._numbers)}.kubeconfig", server, _certificate(self._admin)
        )

    def user_kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig of any user and groups, by a client certificate."""
        name = f"user-{next(self._numbers)}"
        user_entry = _certificate(self._pki.client(name, user, groups))
        return self._write(self.folder / f"{name}.kubeconfig", self.api_url, user_entry)

    def request(self, method: str, path: str, body: object = None, *, seconds: float = 60) -> Any:
        """Send one request as administrator, a merge patch for PATCH, and give the decoded answer."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api_url + path, data, {"Content-Type": kind}, method=method)
        with self._opener.open(request, timeout=seconds) as answer:
            return json.loads(answer.read())

    def _write(self, path: Path, server: str, user: dict[str, Any]) -> Path:
        """Write a kubeconfig that only its owner can read."""
        cluster = {"server": server, "certificate-authority-data": base64.b64encode(self.ca_pem).decode()}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "controlplane", "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "controlplane", "context": {"cluster": "controlplane", "user": "user"}}],
            "current-context": "controlplane",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document))
        return path


def _certificate(pair: tuple[Path, Path]) -> dict[str, Any]:
    """Give a kubeconfig's user that authenticates by a client certificate."""
    certificate, key = (base64.b64encode(file.read_bytes()).decode() for file in pair)
    return {"client-certificate-data": certificate, "client-key-data": key}
