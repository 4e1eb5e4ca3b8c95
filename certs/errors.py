"""What can go wrong with certificates; each message says what to do about it.

    CertError                 catch this to keep serving the last good pair
        CertUnreadable        a file or PEM block is missing, unreadable or half-written
        KeyMismatch           the private key belongs to another certificate
        CertRefused           readable, but unfit for the use asked for
        AuthorityNotValid     the authority is not valid at the moment asked for

No message holds key material: PEM content is never quoted, only where it came from.
"""


class CertError(Exception):
    """Base of every error that this package raises on purpose (wrong arguments are ValueError)."""


class CertUnreadable(CertError):  # noqa: N818 - reads as a sentence: "except CertUnreadable"
    """A certificate or key could not be read or parsed; a later try may succeed."""


class KeyMismatch(CertError):  # noqa: N818
    """The private key does not belong to the first certificate of the chain."""


class CertRefused(CertError):  # noqa: N818
    """The material was understood but must not, or cannot, be used as asked."""


class AuthorityNotValid(CertError):  # noqa: N818
    """The authority's certificate has expired or is not valid yet; a new authority is needed."""
