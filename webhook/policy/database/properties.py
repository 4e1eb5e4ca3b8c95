"""Properties of a JDBC URL: read and written as the driver does, and judged secret, dangerous, or neither.

Names come from MySQL Connector/J (Developer Guide 8.0 and 9.x, "Configuration Properties"; `PropertyKey`
in the driver's source) and MariaDB Connector/J (`Configuration` and `OptionAliases` in its source).
Names are compared without case and punctuation, so `ha.loadBalanceStrategy` and its alias
`haLoadBalanceStrategy` are one entry; comparing more loosely than a driver does is the safe side.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, unquote_plus

AMBIGUOUS = (
    "the JDBC URL has an '@' where no user info can be: percent-encode the user name and password, "
    "or better, move them to SSG_DATABASE_USER and SSG_DATABASE_PASSWORD"
)
"""Why a URL is refused when its credentials cannot be told apart from the rest."""

_CREATE_DATABASE = "createDatabaseIfNotExist"
# A plain `@` in the value of these is no sign of misplaced user info.
_AT_SIGN_IS_NORMAL = frozenset({"sessionvariables", "connectionattributes", "serviceprincipalname"})
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # every name of every driver we know
_VALUE_SAFE = "-._~!$'()*,;:/="  # stays readable, and no reader takes it for anything but itself
_EMBEDDED_VALUE = re.compile(r"[A-Za-z0-9_.:/-]{0,256}")
_BAD_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_MAX_DECODES = 8

_SECRET_WORDS = "password|passwd|pwd|passphrase|secret|token|credential|oauth|apikey|accesskey|privatekey"  # noqa: S105
_SECRET_PART = re.compile(_SECRET_WORDS)
_SECRET_NAME = re.compile(r"(?:user(?:name|id)?|usr|uid|login|logon|pass|pw)[0-9]*")
_SECRET_VALUE = re.compile(
    rf"(?:{_SECRET_WORDS})\w{{0,20}}(?:[\s'\"]{{0,5}}[:=]|\s{{1,5}}['\"])"  # password = x, PASSWORD 'x'
    r"|\b(?:user(?:[_ ]?name)?|login|pass|pw)[\s'\"]{0,5}[:=]"
    r"|identified\s{1,5}(?:by|with)"
    r"|:[^\s@,]{0,200}@|//[^\s/@]{0,200}@"  # user info of a URL in the value
)
# Not secrets although their name says "password", as long as the value is what such a property takes.
_INNOCENT = {
    "disconnectonexpiredpasswords": re.compile(r"true|false", re.IGNORECASE),
    "passwordcharacterencoding": re.compile(r"(?:utf|iso|us-ascii|windows|latin)[0-9_-]{0,12}", re.IGNORECASE),
}

_REFUSED = frozenset(
    {
        # Connector/J: classes to load
        "autodeserialize", "propertiestransform", "authenticationplugins", "defaultauthenticationplugin",
        "clientinfoprovider", "logger", "profilereventhandler", "loadbalancestrategy",
        "haloadbalancestrategy",
        "loadbalanceexceptionchecker", "loadbalancesqlexceptionsubclassfailover",
        # Connector/J: files and configurations to read, other places to go
        "useconfigs", "xdevapisslkeystore", "xdevapissltruststore", "ociconfigprofile", "ldapserverhostname",
        "host", "port", "address", "dbname", "protocol",
        # MariaDB: the same, and SQL to run
        "localsocket", "pipe", "serversslcert", "sslcert", "keystore", "clientcertificatekeystore",
        "truststore", "trustcertificatekeystore", "credentialtype", "tlssockettype", "initsql",
    }
)  # fmt: skip
# Families: *Interceptors, *Factory, *CallbackHandler, *File, *Path, *Url, *LocalInfile*, socksProxy*, …
_REFUSED_FAMILY = re.compile(
    r".*(?:interceptors?|factory|callbackhandler|file|path|url|class|classname|xmlfactory.*)"
    r"|.*(?:infile|socksproxy|dnssrv).*"
)


class JdbcUrlError(ValueError):
    """A JDBC URL that we refuse; the message says why and what to do, and never quotes the URL."""


class Property(NamedTuple):
    """One decoded property; the value is None when there was no `=`."""

    name: str
    value: str | None

    def __str__(self) -> str:
        """Give the text that the driver decodes back to this name and value."""
        return self.name if self.value is None else f"{self.name}={quote(self.value, safe=_VALUE_SAFE)}"


def read(query: str, *, strict: bool) -> Iterator[Property]:
    """Read the query of a MySQL or MariaDB URL.

    Takes the text behind the `?`, and whether it is an override; gives the properties that may be shown,
    in order. Raises JdbcUrlError when part of the user info may have ended up here, and, when strict,
    for names that no driver has, refused properties and control characters.
    """
    after_credential = False
    for part in query.split("&"):
        raw_name, equals, raw_value = (piece.strip(" ") for piece in part.partition("="))
        name, value = decode(raw_name).strip(), decode(raw_value)
        if not raw_name and not raw_value:
            continue
        if "@" in raw_name:
            raise JdbcUrlError(AMBIGUOUS)
        if strict:
            _check(name, value)
        secret = is_credential(raw_name, value)
        # A bare name after a password is the rest of a password with an '&' in it.
        after_credential = secret or (after_credential and not equals)
        if after_credential or not _NAME.fullmatch(name):
            continue
        if "@" in raw_value and squash(name) not in _AT_SIGN_IS_NORMAL:
            raise JdbcUrlError(AMBIGUOUS)
        if not holds_credential(value):
            yield Property(name, value if equals else None)


def read_embedded(text: str) -> Iterator[Property]:
    """Read the properties of an H2, Derby or HSQLDB URL.

    Takes the text behind the database, separators included; gives the plain settings, in order.
    Raises JdbcUrlError when part of the user info may have ended up here.
    """
    after_credential = False
    for part in re.split(r"[;?&#]", text):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name and not value:
            continue
        after_credential = is_credential(name, value) or (after_credential and not equals)
        if after_credential:
            continue
        if "@" in part:
            raise JdbcUrlError(AMBIGUOUS)
        if _NAME.fullmatch(name) and _EMBEDDED_VALUE.fullmatch(value) and not holds_credential(value):
            yield Property(name, value if equals else None)


def without_creation(properties: list[Property]) -> list[Property]:
    """Forbid the driver to make a missing schema.

    Takes decoded properties; gives them with one `createDatabaseIfNotExist=false` in the place of the
    first one there was, else at the end. Raises nothing.
    """
    wanted = Property(_CREATE_DATABASE, "false")
    name = squash(wanted.name)
    first = next((at for at, found in enumerate(properties) if squash(found.name) == name), len(properties))
    rest = (found for found in properties[first:] if squash(found.name) != name)
    return [*properties[:first], wanted, *rest]


def last(properties: list[Property], name: str) -> str | None:
    """Look up a property that the driver reads without regard to case.

    Takes properties and a lower-case name; gives the value that wins, None without one. Raises nothing.
    """
    values = [found.value for found in properties if found.name.lower() == name]
    return values[-1] if values else None


def decode(text: str) -> str:
    """Decode percent-encoding once, as the driver does (Java's URLDecoder in UTF-8, so `+` is a space).

    Takes one name or value; gives the decoded text. A malformed `%` stays as it is, where the driver
    would refuse the URL. Raises nothing.
    """
    return unquote_plus(text, encoding="utf-8", errors="replace")


def squash(name: str) -> str:
    """Reduce a property name to what we compare: no case, no punctuation, no look-alike letters.

    Takes a decoded name; gives lower-case letters and digits only. Raises nothing.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(char for char in folded if char.isalnum())


def is_credential(name: str, value: str = "") -> bool:
    """Tell whether a property holds a user name, a password or another secret.

    Takes the name as written or decoded (more layers of encoding are looked through) and its value;
    gives True when the property must not be shown. Raises nothing.
    """
    plain = _decode_fully(name)
    if plain is None:
        return True
    key = squash(plain)
    innocent = _INNOCENT.get(key)
    if innocent is not None and innocent.fullmatch(value):
        return False
    return bool(_SECRET_PART.search(key) or _SECRET_NAME.fullmatch(key))


def holds_credential(value: str) -> bool:
    """Tell whether a value has a secret nested in it: `password=…` in sessionVariables, a URL with user info.

    Takes a value, encoded or not (all layers are looked through); gives True when it must not be shown.
    Raises nothing.
    """
    plain = _decode_fully(value)
    return plain is None or bool(_SECRET_VALUE.search(unicodedata.normalize("NFKC", plain).casefold()))


def is_refused(name: str) -> bool:
    """Tell whether a driver property loads classes, reads files, runs SQL or leads to another endpoint.

    Takes a decoded name; gives True when an override may not have it. Raises nothing.
    """
    key = squash(name)
    return key in _REFUSED or bool(_REFUSED_FAMILY.fullmatch(key))


def _decode_fully(text: str) -> str | None:
    """Decode until nothing changes; None when there are more layers than any honest text has."""
    for _ in range(_MAX_DECODES):
        decoded = decode(text)
        if decoded == text:
            return text
        text = decoded
    return None


def has_controls(text: str) -> bool:
    """Tell whether a text has characters that are invisible or break lines.

    Takes any text; gives True for control, format and surrogate characters. Raises nothing.
    """
    return not text.isprintable() and any(unicodedata.category(char) in _BAD_CATEGORIES for char in text)


def _check(name: str, value: str) -> None:
    """Refuse a property that an override may not have."""
    if not _NAME.fullmatch(name):
        raise JdbcUrlError(
            "a property of the JDBC URL has a name that no driver has: use letters, digits, '_', '.' and "
            "'-', percent-encoded at most once"
        )
    if is_refused(name):
        raise JdbcUrlError(
            f"the JDBC URL may not set {name}, which can make the driver load code or files or connect "
            "elsewhere: remove it"
        )
    if has_controls(value):
        raise JdbcUrlError("a property of the JDBC URL has control characters in its value: remove them")
