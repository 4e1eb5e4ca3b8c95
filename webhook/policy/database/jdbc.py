"""JDBC URLs of a Gateway's database: understood, stripped of credentials, and made safe for the Job.

The grammar is MySQL Connector/J's (`ConnectionUrlParser`), made stricter wherever two readers could
differ. A URL is never edited as text: it is parsed, and what is shown, hashed or handed on is built
anew from the parse. User info is dropped, never decoded; where it is not certain which part is user
info, the URL is refused, and no message ever quotes it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import quote

from webhook.policy.database.properties import (
    AMBIGUOUS,
    JdbcUrlError,
    Property,
    decode,
    has_controls,
    holds_credential,
    last,
    read,
    read_embedded,
    without_creation,
)

__all__ = ["DEFAULT_PORT", "MAX_LENGTH", "Host", "JdbcUrl", "JdbcUrlError", "override", "parse"]

MAX_LENGTH: Final = 4096
DEFAULT_PORT: Final = 3306

_MODES = "aurora|failover|load-?balance|load-balance-read|replication|sequential"
_URL = re.compile(
    rf"(?P<scheme>jdbc:(?:mysql|mariadb)(?::(?:{_MODES}))?): *//(?P<authority>[^/?#]*)"
    r"(?:/(?P<path>[^?#]*))?(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.IGNORECASE | re.ASCII,
)
_EMBEDDED = re.compile(r"(?P<scheme>jdbc:(?:h2|derby|hsqldb)):(?P<database>[^;?&#]*)(?P<rest>.*)", re.IGNORECASE)
_HOST_PORT = re.compile(r"(?P<name>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?")
_HOST_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,252}")
_PORT = re.compile(r"[0-9]{1,6}")
_KEY_VALUE_HOST = re.compile(r"\(([^()]*)\)")
_ADDRESS_HOST = re.compile(r"address\s*=\s*((?:\([^()]*\)\s*)+)", re.IGNORECASE)

_NOT_MYSQL = (
    "the JDBC URL is not of a MySQL-compatible database: write jdbc:mysql://HOST:3306/SCHEMA "
    "(jdbc:mariadb:, and the modes loadbalance and replication, work as well)"
)


@dataclass(frozen=True, slots=True)
class Host:
    """One database server: lower-case name (an IPv6 address without brackets) and port."""

    name: str
    port: int

    def __str__(self) -> str:
        """Give `name:port`, with an IPv6 address in brackets."""
        return f"{_bracketed(self.name)}:{self.port}"


@dataclass(frozen=True, slots=True)
class JdbcUrl:
    """A JDBC URL without its credentials; every field is fit to be shown.

    `hosts` are in the order written, `database` is the schema the driver will use, `properties` are
    decoded and in the order written (a name without `=` has the value ""). `redacted` is the URL rebuilt
    from the parse; it parses to an equal value. Host-level forms such as `(host=h,port=1)` are rebuilt
    as `h:1`, and a default port is not added where none was written.
    """

    scheme: str
    hosts: tuple[Host, ...]
    database: str
    properties: tuple[tuple[str, str], ...]
    embedded: bool
    redacted: str

    @property
    def database_key(self) -> str:
        """Identity of the database: sorted `host:port` list and schema, whatever the mode or properties."""
        if self.embedded:
            return f"{self.scheme}:{self.database}"
        return f"{','.join(sorted({str(host) for host in self.hosts}))}/{_quoted_schema(self.database)}"


def parse(text: str) -> JdbcUrl:
    """Understand the URL that a Gateway's own pods use; credentials are dropped, properties not judged.

    Takes the URL as a pod sees it; gives its parse. Names and values are decoded once by the driver's
    rule (`+` is a space). What follows a `#` is ignored, as the driver does; names that no driver can
    have are dropped. Raises JdbcUrlError when it is not the URL of a MySQL-compatible or embedded
    database, is too long or garbled, or cannot be told apart from its credentials.
    """
    return _parse(text, strict=False)


def override(text: str) -> JdbcUrl:
    """Check a URL that somebody wrote into a record, and set `createDatabaseIfNotExist=false` in it.

    Takes the URL; gives its parse, whose `redacted` is what the Job gets. Credentials are dropped, since
    the pods' own are used. Raises JdbcUrlError for all that `parse` refuses, and for `#`, characters
    that are not printable ASCII, host-level properties, driver properties that load classes or files or
    lead elsewhere, embedded databases, and a URL without a schema.
    """
    return _parse(text, strict=True)


def _parse(text: str, *, strict: bool) -> JdbcUrl:
    text = _checked_text(text, strict=strict)
    embedded = _EMBEDDED.fullmatch(text)
    if embedded is not None:
        if strict:
            raise JdbcUrlError("the JDBC URL is of an embedded database, which has nothing to migrate: remove it")
        return _embedded(embedded["scheme"].lower(), embedded["database"].strip(), embedded["rest"])
    match = _URL.fullmatch(text)
    if match is None:
        raise JdbcUrlError(_NOT_MYSQL)
    authority, path, query = match["authority"], match["path"], match["query"] or ""
    if "@" in (match["fragment"] or "") or (path is None and "@" in query):
        raise JdbcUrlError(AMBIGUOUS)
    properties = list(read(query, strict=strict))
    schema = _checked_schema(decode((path or "").strip(" ")))
    if strict:
        if "(" in authority:
            raise JdbcUrlError("the JDBC URL has properties in its host part: write hosts as HOST:PORT only")
        if not schema:
            raise JdbcUrlError("the JDBC URL names no schema: write jdbc:mysql://HOST:3306/SCHEMA")
        properties = without_creation(properties)
    return _assemble(match["scheme"].lower(), list(_hosts(authority)), schema, properties)


def _check_length(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise JdbcUrlError(f"the JDBC URL is longer than {MAX_LENGTH} characters when encoded: shorten it")


def _assemble(
    scheme: str, hosts: list[tuple[str, int | None]], schema: str, properties: list[Property]
) -> JdbcUrl:
    """Build the value; Connector/J lets the properties `dbname` and `port` win over path and default."""
    port = _port(last(properties, "port")) or DEFAULT_PORT
    authority = ",".join(_bracketed(name) + (f":{own}" if own else "") for name, own in hosts)
    suffix = "?" + "&".join(map(str, properties)) if properties else ""
    redacted = f"{scheme}://{authority}/{_quoted_schema(schema)}{suffix}"
    _check_length(redacted)
    return JdbcUrl(
        scheme=scheme,
        hosts=tuple(Host(name, own or port) for name, own in hosts),
        database=_checked_schema(last(properties, "dbname") or schema),
        properties=_shown(properties),
        embedded=False,
        redacted=redacted,
    )


def _embedded(scheme: str, database: str, rest: str) -> JdbcUrl:
    """Build the value for H2, Derby or HSQLDB, keeping only properties that are plain settings."""
    if not database or set("@=%") & set(database):
        raise JdbcUrlError("the JDBC URL of the embedded database is garbled: write jdbc:h2:mem:NAME")
    properties = list(read_embedded(rest))
    tail = "".join(f";{found}" for found in properties)
    return JdbcUrl(scheme, (), database, _shown(properties), embedded=True, redacted=f"{scheme}:{database}{tail}")


def _checked_text(text: str, *, strict: bool) -> str:
    """Trim a URL and refuse what no part of it may have."""
    _check_length(text)
    text = text.strip(" \t\r\n")
    if has_controls(text):
        raise JdbcUrlError("the JDBC URL has control characters in it: remove them")
    if strict and not text.isascii():
        raise JdbcUrlError("the JDBC URL has characters outside printable ASCII: percent-encode them")
    if strict and "#" in text:
        raise JdbcUrlError("the JDBC URL has a '#', where the driver stops reading: remove it or write %23")
    return text


def _checked_schema(name: str) -> str:
    """Trim a decoded schema name; raise when it has traces of something else."""
    name = name.strip()
    if "@" in name:
        raise JdbcUrlError(AMBIGUOUS)
    if set("=&;?#") & set(name) or has_controls(name) or holds_credential(name):
        raise JdbcUrlError("the JDBC URL has no plain schema name: put '?' between schema and properties")
    return name


def _hosts(authority: str) -> Iterator[tuple[str, int | None]]:
    """Give name and written port of every host, without user info; raise when a host is not certain."""
    without_at = False
    for position, segment in enumerate(_segments(authority)):
        info, at, host = segment.partition("@")
        # User info after a host without any, or without ':' behind a comma, may be a password with a comma.
        if at and (without_at or "@" in host or set("([") & set(info) or (position and ":" not in info)):
            raise JdbcUrlError(AMBIGUOUS)
        without_at = not at
        host = (host if at else segment).strip()
        if host.startswith("[") and host.endswith("]") and _ipv6(host[1:-1]) is None:
            yield from map(_host, _segments(host[1:-1]))
        else:
            yield _host(host)


def _segments(text: str) -> list[str]:
    """Split at commas that are not inside brackets; raise when brackets do not match."""
    found, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if depth < 0:
            break
        if char == "," and depth == 0:
            found.append(text[start:at])
            start = at + 1
    if depth:
        raise JdbcUrlError("brackets in the host part of the JDBC URL do not match: percent-encode the user info")
    return [*found, text[start:]]


def _host(text: str) -> tuple[str, int | None]:
    """Give name and written port of one host in any form; other keys of a host-level form are dropped."""
    text = text.strip()
    key_values, address = _KEY_VALUE_HOST.fullmatch(text), _ADDRESS_HOST.fullmatch(text)
    if key_values is None and address is None:
        match = _HOST_PORT.fullmatch(text)
        return _host_name(match["name"] if match else ""), _port(match["port"] if match else None)
    pairs = key_values[1].split(",") if key_values else _KEY_VALUE_HOST.findall(address[1] if address else "")
    settings = {
        decode(key.strip()).strip().lower(): decode(value.strip())
        for key, _, value in (pair.partition("=") for pair in pairs)
    }
    if "dbname" in settings:
        raise JdbcUrlError("the JDBC URL names the schema in its host part: write jdbc:mysql://HOST:3306/SCHEMA")
    return _host_name(settings.get("host", "")), _port(settings.get("port"))


def _host_name(text: str) -> str:
    """Give a host name in lower case, or an IPv6 address in its one short spelling."""
    name = decode(text.strip(" ")).lower()
    if ":" in name:
        address = _ipv6(name.removeprefix("[").removesuffix("]"))
        if address is not None:
            return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else address.compressed
    elif _HOST_NAME.fullmatch(name):
        return name
    raise JdbcUrlError(
        "a host name in the JDBC URL is missing or has characters no host name has: write jdbc:mysql://HOST:3306/SCHEMA"
    )


def _ipv6(text: str) -> IPv6Address | None:
    """Read an IPv6 address; None when it is none (so that no exception carries the text on)."""
    try:
        return None if "%" in text else IPv6Address(text)
    except ValueError:
        return None


def _port(text: str | None) -> int | None:
    """Read a port; None when none is written."""
    text = (text or "").strip()
    if not text:
        return None
    if _PORT.fullmatch(text) and 1 <= int(text) <= 65535:
        return int(text)
    raise JdbcUrlError(
        "a port in the JDBC URL is not a number from 1 to 65535: correct it, or percent-encode the user info"
    )


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _quoted_schema(name: str) -> str:
    return quote(name, safe="$")


def _shown(properties: list[Property]) -> tuple[tuple[str, str], ...]:
    return tuple((found.name, found.value or "") for found in properties)
