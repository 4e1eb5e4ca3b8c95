"""One HTTP session with the API server: connections, TLS, proxy, credentials. It judges no answer.

Of kubernetes_asyncio the configuration is used and no request is sent through it. Its ``call_api`` refuses bytes
that are encoded already, does not check the status of a raw answer and has no timeout unless told each time; and
its session asks netrc and the proxy variables on every request, in the thread pool, where slow name lookups would
hold it up, and where a ``default`` entry in ~/.netrc makes every request with a token fail.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes_asyncio.client import Configuration
from yarl import URL

from webhook.kube.api.credentials import Credentials

# Larger than aiohttp's 64 KiB, which would wake the event loop a dozen times for one large object.
_READ_BUFFER = 2**20

_WARNING = re.compile(r'\b299 \S+ "(?P<text>(?:[^"\\]|\\.)*+)"')
_ESCAPED = re.compile(r"\\(.)")


class Transport:
    """Sends requests. Made and closed inside a running event loop; good for 100 connections at once."""

    def __init__(self, configuration: Configuration, credentials: Credentials, user_agent: str) -> None:
        """Make the session; raises OSError (ssl.SSLError too) when the certificates cannot be used."""
        self.server = (configuration.host or "").rstrip("/")
        self.credentials = credentials
        self._server_hostname = configuration.tls_server_name or None
        self._proxy = configuration.proxy or _proxy_from_environment(self.server)
        self._proxy_headers = configuration.proxy_headers
        context = ssl_context(configuration) if self.server.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=configuration.connection_pool_maxsize or 0, ssl=context),
            # Compression costs the API server more than it saves on a cluster's network, and us a bound.
            headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_BUFFER,
        )

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._session.closed

    async def send(self, request: "Request") -> "Answer":
        """Send a request and give the answer as soon as its headers are there; whoever gets it closes it."""
        url = f"{self.server}{request.path}" + (f"?{urlencode(request.query)}" if request.query else "")
        authorization = self.credentials.authorization()
        response = await self._session.request(
            request.method,
            # The path is encoded already; a second normalisation could only change what it leads to.
            URL(url, encoded=True),
            headers={**request.headers, **({"Authorization": authorization} if authorization else {})},
            data=request.data,
            timeout=request.limits,
            # A redirect would take the token along.
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
            server_hostname=self._server_hostname,
        )
        return Answer(response)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send; ``path`` is encoded, ``data`` is the body as bytes."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    data: bytes | None
    limits: aiohttp.ClientTimeout

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Answer:
    """An answer to read. Leaving its context gives the connection back, or ends it when there is more to read."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.content_type = response.content_type

    @property
    def retry_after(self) -> float:
        """How long the server asks to wait, in seconds; 0 when it does not say, at most 5 minutes."""
        value = self._response.headers.get("Retry-After", "")
        # The other form, a date, is not used by API servers; what stands before them waits well enough at 0.
        return min(float(value), 300.0) if value.isascii() and value.isdigit() and len(value) < 10 else 0.0

    @property
    def date(self) -> datetime | None:
        """The server's time when it answered, to the second; None when it does not say."""
        try:
            moment = parsedate_to_datetime(self._response.headers.get("Date", ""))
        except ValueError:
            return None
        return moment if moment.tzinfo is not None else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server and its webhooks warn of (RFC 7234 5.5: ``299 - "text"``)."""
        return tuple(
            _ESCAPED.sub(r"\1", found["text"])
            for header in self._response.headers.getall("Warning", ())
            for found in _WARNING.finditer(header)
        )

    async def read(self) -> bytes:
        """Give what has arrived, waiting for at least one byte; empty at the end."""
        return await self._response.content.readany()

    async def __aenter__(self) -> "Answer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def ssl_context(configuration: Configuration) -> ssl.SSLContext:
    """Make the TLS settings that a configuration asks for, which the library does inside its own session."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # Since Python 3.13 strict is the default, before it was not: an explicit choice is the same on all.
    if configuration.disable_strict_ssl_verification:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    else:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def _proxy_from_environment(server: str) -> str | None:
    parts = urlsplit(server)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)
