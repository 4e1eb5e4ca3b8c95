"""Which clients may speak to a listener: those whose certificate an authority vouches for, by their names."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from certs.errors import CertError


@dataclass(frozen=True, slots=True)
class AllowedClients:
    """Clients with a certificate under ``authorities`` (PEM), whose common name is one of ``names``; empty: any.

    kube-apiserver presents a certificate only when its ``--admission-control-config-file`` names a kubeconfig
    for webhooks with one (Kubernetes documentation, "Authenticate API servers").
    """

    authorities: bytes
    names: frozenset[str] = frozenset()

    def demand(self, context: ssl.SSLContext) -> None:
        """Have a server's context refuse, in the handshake, whoever has no such certificate.

        Raises CertError when the authorities cannot be read.
        """
        try:
            context.load_verify_locations(cadata=self.authorities.decode("ascii"))
        except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
            raise CertError(
                "the client CA holds no certificates in PEM form: give the authority's file"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED

    def allows(self, certificate: Mapping[str, Any] | None) -> bool:
        """Tell whether a verified certificate, as `ssl.SSLObject.getpeercert` gives it, has an allowed name."""
        if not certificate:
            return False
        subject = {key: value for part in certificate.get("subject", ()) for key, value in part}
        return not self.names or subject.get("commonName") in self.names
