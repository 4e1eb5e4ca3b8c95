"""What an answer of the API server means: the one place where a status code becomes an error."""

from http import HTTPStatus
from typing import Final

import msgspec

from webhook.errors import (
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    RejectedError,
    UnreachableError,
)
from webhook.policy.redaction import safe

MESSAGE_LIMIT = 450
"""How much of the server's own words a message repeats, in characters."""

_REJECTED: Final = frozenset({400, 405, 406, 413, 415, 422})


class Status(msgspec.Struct, frozen=True):
    """What is read of a ``Status`` object."""

    code: int = 0
    reason: str = ""
    message: str = ""


class OversizedError(UnreachableError):
    """An answer is longer than we are ready to hold: ask for less at once."""


def status_of(body: bytes | msgspec.Raw) -> Status:
    """Decode a ``Status``; an empty one when the body is something else, such as a page of a proxy."""
    try:
        return msgspec.json.decode(body, type=Status)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Status()


def error_for(asked: str, code: int, body: bytes | msgspec.Raw = b"", retry_after: float = 0.0) -> ClusterError:
    """Make the error that says what was asked (``GET /api/v1/pods``) and what the answer means.

    ``retry_after`` is in seconds. The message repeats the server's words, without credentials, and nothing else of
    the body.
    """
    status = status_of(body)
    words = safe(status.message, MESSAGE_LIMIT) or _phrase(code)
    message = f"{asked}: {code} {words}"
    if code == HTTPStatus.CONFLICT:
        return NameTakenError(message) if status.reason == "AlreadyExists" else ConflictError(message)
    if code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ForbiddenError(message)
    if code == HTTPStatus.NOT_FOUND:
        return NotFoundError(message)
    if code == HTTPStatus.GONE:
        return ExpiredError(message)
    if code in _REJECTED:
        return RejectedError(message)
    # 429, all of 5xx, and what no API server answers: a redirect, a captive portal's success.
    return UnreachableError(message, retry_after)


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "unknown status"
