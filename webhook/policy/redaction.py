"""Taking credentials out of free text: a log that nobody wrote with us in mind."""

import re

from webhook.policy.decision import printable

# Only from where a word begins: a long one would else be searched once for each of its characters.
_BEGIN = r"(?<![\w.%-])"
_NAME = r"[\w.%-]*(?:assw|pwd|passphrase|secret|token|credential|pass\b)[\w.%-]*"
_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s&,;<)]+)"""

# Each keeps what stands before the credential, in its first group. Too much taken is no harm; too little is.
_CREDENTIALS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<!/)(//)\S*(?=@)",  # user info of a URL, up to the last @ of the word
        r"(?<![\w.%-])()[^\s/@:]{1,256}+:[^\s/@]{1,4096}+(?=@(?!sha\d+:)[\w.-]+(?::\d+)?/)",  # that of an image
        r"(authorization[\"']?\s*[:=]\s*[\"']?\w+\s+)\S+",
        rf"([\"']?{_BEGIN}{_NAME}[\"']?\s*[=:]\s*){_VALUE}",
        rf"(<{_NAME}>)[^<]*",
        rf"({_BEGIN}--?{_NAME}\s+){_VALUE}",
        r"([?&;][\w.]*%[\w.%]*=)[^\s&]*",  # a property whose name is percent-encoded may be any
        r"([?&;(,\s](?:user|username|user_name)\s*=\s*)[^\s&,;)]+",
    )
)
_MASK = r"\g<1>***"

# Liquibase quotes the statement that failed, with the values that it holds.
_STATEMENT = re.compile(r"failed sql|insert\s+into|values\s*\(|update\s+\S{1,200}\s+set\s", re.IGNORECASE)
_LITERAL = re.compile(r"""'[^']*(?:'|$)|"[^"]*(?:"|$)""")


def redact(text: str) -> str:
    """Give the text with a mask in place of every credential that can be told from its surroundings.

    Of an SQL statement, all literals go: nothing tells which of them is a credential.
    """
    for pattern in _CREDENTIALS:
        text = pattern.sub(_MASK, text)
    if found := _STATEMENT.search(text):
        text = text[: found.start()] + _LITERAL.sub("'***'", text[found.start() :])
    return text


def safe(text: str, limit: int, read: int | None = None) -> str:
    """Give one printable line of at most ``limit`` characters, without credentials.

    Only the first ``read`` characters are looked at, twice the limit by default: the search for credentials takes
    the square of what it looks at.
    """
    return printable(redact_head(text, 2 * limit if read is None else read), limit)


def redact_head(text: str, read: int) -> str:
    """Redact the first ``read`` characters, without the word that the cut leaves unfinished.

    Its end may be what tells that it holds a credential, as the ``@`` behind that of an image does.
    """
    masked = redact(text[:read])
    if len(text) <= read or text[read].isspace() or masked[-1:].isspace() or masked.endswith("***"):
        return masked
    unfinished = masked.rsplit(maxsplit=1)[-1]
    return f"{masked[: -len(unfinished)]}…"
