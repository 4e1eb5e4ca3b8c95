"""Errors that the application raises on purpose.

::

    SchemagateError            something went wrong and the message says what to do
    ├── InvalidObjectError     an object that somebody wrote has a bad or missing field
    ├── SourceError            a file or folder cannot be read, or does not hold what it should
    ├── ReviewError            a request is no AdmissionReview that can be judged
    ├── NameTakenError         an object of that name exists already
    └── StartError             the process cannot start as it was told to
"""


class SchemagateError(Exception):
    """Base of all errors raised on purpose; the message is one line for a person."""


class InvalidObjectError(SchemagateError):
    """An object has a bad field; the message names its path and what was expected."""


class SourceError(SchemagateError):
    """A file or folder cannot be used; the message names it, the line, and what was expected."""


class ReviewError(SchemagateError):
    """A request body is no AdmissionReview v1 with an object of the expected kind."""


class NameTakenError(SchemagateError):
    """An object of that name exists already; it may or may not be ours."""


class StartError(SchemagateError):
    """The process cannot start; the message names the setting to change."""
