"""Errors that the application raises on purpose.

::

    SchemagateError            something went wrong and the message says what to do
    ├── InvalidObjectError     an object that somebody wrote has a bad or missing field
    ├── SourceError            a file or folder cannot be read, or does not hold what it should
    ├── ReviewError            a request is no AdmissionReview that can be judged
    ├── StartError             the process cannot start as it was told to
    ├── RefusedError           a command would not do what was asked of it
    └── ClusterError           the cluster could not be asked, or refused
        ├── NotFoundError      there is no such object (or kind)
        ├── NameTakenError     an object of that name exists already
        ├── ConflictError      the object changed since it was read
        ├── ForbiddenError     authorization or admission turned the request away
        ├── RejectedError      the API server finds the request itself wrong
        ├── ExpiredError       a list or watch is too old to go on
        ├── UnreachableError   no answer in time, or none that counts
        └── NotLeadingError    a write was held back, because another replica may lead by now
"""


class SchemagateError(Exception):
    """Base of all errors raised on purpose; the message is one line for a person."""


class InvalidObjectError(SchemagateError):
    """An object has a bad field; the message names its path and what was expected."""


class SourceError(SchemagateError):
    """A file or folder cannot be used; the message names it, the line, and what was expected."""


class ReviewError(SchemagateError):
    """A request body is no AdmissionReview v1 with an object of the expected kind."""


class StartError(SchemagateError):
    """The process cannot start; the message names the setting to change."""


class RefusedError(SchemagateError):
    """What was asked for would lead nowhere; the message says why, and what would lead on."""


class ClusterError(SchemagateError):
    """The cluster could not be asked, or refused; the message says what was asked and what was answered."""


class NotFoundError(ClusterError):
    """There is no such object, or its kind is not served (HTTP 404)."""


class NameTakenError(ClusterError):
    """An object of that name exists already; it may or may not be ours (HTTP 409, AlreadyExists)."""


class ConflictError(ClusterError):
    """The object changed since it was read: read it again (HTTP 409, Conflict)."""


class ForbiddenError(ClusterError):
    """Authorization, admission or a quota turned the request away (HTTP 401, 403)."""


class RejectedError(ClusterError):
    """The API server finds the request wrong (HTTP 400, 422 and the like): trying again is no use."""


class ExpiredError(ClusterError):
    """A list or watch is too old to go on: list anew (HTTP 410)."""


class UnreachableError(ClusterError):
    """No answer in time, no connection, or an overloaded server (HTTP 429, 5xx).

    ``retry_after`` is how many seconds the server asks to wait, 0 when it does not say.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotLeadingError(ClusterError):
    """A write was held back: the Lease is not surely ours any more."""
