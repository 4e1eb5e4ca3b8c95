"""One TLS server context for the life of a listener, whose certificate can be replaced at any moment."""

import ssl
from typing import Final

from certs.clients import AllowedClients
from certs.errors import CertError, CertRefused
from certs.keyfile import placed
from certs.pair import KeyPair

ALPN_PROTOCOLS: Final = ("http/1.1",)
"""Offered to clients: an HTTP/2 client (kube-apiserver is one) must fall back, as aiohttp speaks 1.1."""


class ServingContext:
    """Owns a server-side `ssl.SSLContext` that shows the current pair to each new handshake.

    Takes the first pair, and the oldest TLS version to accept; raises CertRefused when OpenSSL will not
    serve the pair (a 1024-bit RSA key, say). ``clients`` are those who may come; without it no client
    certificate is asked for.

    `context` itself holds no certificate. Its server-name callback, which OpenSSL runs in every handshake,
    with a name sent or without, points the handshake to an inner context made for the current pair. To
    load a new pair into the live context instead has two traps, both seen on Python 3.11 with OpenSSL 3.0:
    a load that fails breaks all later handshakes, and OpenSSL keeps one certificate per kind of key, so
    after a change from RSA to ECDSA the old certificate would still be shown to some clients.
    """

    def __init__(
        self,
        pair: KeyPair,
        *,
        minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        clients: AllowedClients | None = None,
    ) -> None:
        self._minimum_version = minimum_version
        self._clients = clients
        self._current = self._context_for(pair)
        self._pair = pair
        self._context = self._bare_context()
        self._context.sni_callback = self._choose

    @property
    def context(self) -> ssl.SSLContext:
        """The context to listen with: always the same object."""
        return self._context

    @property
    def pair(self) -> KeyPair:
        """The pair that new handshakes see."""
        return self._pair

    def update(self, pair: KeyPair) -> bool:
        """Show `pair` from the next handshake on; give True when it was swapped in, False when unchanged.

        Open connections live on with the certificate they began with. Raises CertRefused when OpenSSL will
        not serve the pair and CertError when it cannot be handed over (no descriptor left); the previous
        pair then stays in use. Costs under a millisecond; call it from the thread of the event loop.
        """
        if pair == self._pair:
            return False
        self._current = self._context_for(pair)
        self._pair = pair
        return True

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._current

    def _context_for(self, pair: KeyPair) -> ssl.SSLContext:
        context = self._bare_context()
        try:
            with placed(pair.certificate_chain) as chain, placed(pair.private_key) as key:
                context.load_cert_chain(chain, key, password="")  # "": never ask at the terminal
        except ssl.SSLError as error:
            raise CertRefused(
                f"OpenSSL will not serve this pair ({error.reason or 'no reason given'}): "
                "issue it with an ECDSA P-256 key, or RSA of 2048 bits or more"
            ) from error
        except OSError as error:
            raise CertError(
                f"cannot hand the pair to OpenSSL ({error.strerror}): check open files, /proc and memory"
            ) from error
        return context

    def _bare_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # no compression, server's order of ciphers
        context.minimum_version = self._minimum_version
        context.verify_mode = ssl.CERT_NONE
        if self._clients is not None:
            self._clients.demand(context)
        context.options |= ssl.OP_NO_RENEGOTIATION  # TLS 1.2: a client could make us work for nothing
        context.set_alpn_protocols(list(ALPN_PROTOCOLS))
        return context
