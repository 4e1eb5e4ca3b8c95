import pytest

from certs import AuthorityNotValid, CertError, CertRefused, CertUnreadable, KeyMismatch


@pytest.mark.parametrize("kind", [AuthorityNotValid, CertRefused, CertUnreadable, KeyMismatch])
def test_one_base_catches_every_error(kind: type[CertError]) -> None:
    assert issubclass(kind, CertError)
    assert not issubclass(kind, OSError | ValueError)
