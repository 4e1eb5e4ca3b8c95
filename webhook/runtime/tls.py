"""The serving certificate: from files that are followed, made on the spot, or loaded later."""

import ssl
from datetime import datetime, timedelta
from ipaddress import ip_address

from certs import AllowedClients, CertError, CertificateAuthority, FilePairSource, KeyPair, ServingContext
from webhook.errors import StartError
from webhook.settings import Settings

_LOCAL_LIFETIME = timedelta(days=7)


class Tls:
    """The serving certificate: from files that are followed, or made on the spot by an authority of its own.

    With ``later`` it is neither: `adopt` brings it, and nobody may listen before.
    """

    def __init__(self, settings: Settings, now: datetime, *, later: bool = False) -> None:
        self.source: FilePairSource | None = None
        self.authority_pem: bytes | None = None
        self.loaded = not later
        try:
            if settings.tls_cert is not None and settings.tls_key is not None and not later:
                self.source = FilePairSource(settings.tls_cert, settings.tls_key, settings.tls_ca)
                pair = self.source.load()
            else:
                pair, authority = _local_pair(now)
                self.authority_pem = None if later else authority
            self.clients = _clients(settings)
            self.serving = ServingContext(pair, clients=self.clients)
        except CertError as error:
            raise StartError(str(error)) from None

    def adopt(self, pair: KeyPair) -> bool:
        """Show this pair from the next handshake on; tell whether it is another. CertError: the old one stays."""
        swapped = self.serving.update(pair)
        self.loaded = True
        return swapped

    def client_context(self) -> ssl.SSLContext:
        """Give a client's context that trusts the certificate made on the spot, and nothing else."""
        if self.authority_pem is None:
            raise StartError("the certificate was not made on the spot: its authority is not known here")
        return ssl.create_default_context(cadata=self.authority_pem.decode("ascii"))


def _clients(settings: Settings) -> AllowedClients | None:
    """Give who may call the webhooks; None for anybody."""
    if settings.client_ca is None:
        return None
    names = frozenset(name.strip() for name in settings.client_names.split(",") if name.strip())
    try:
        return AllowedClients(settings.client_ca.read_bytes(), names)
    except OSError as error:
        raise StartError(f"--client-ca {settings.client_ca}: {error.strerror or error}") from None


def _local_pair(now: datetime) -> tuple[KeyPair, bytes]:
    authority = CertificateAuthority.create("schemagate local", now=now, lifetime=_LOCAL_LIFETIME)
    addresses = [ip_address("127.0.0.1"), ip_address("::1")]
    pair = authority.issue(["localhost"], now=now, lifetime=_LOCAL_LIFETIME, ip_addresses=addresses)
    return pair, authority.certificate_pem
