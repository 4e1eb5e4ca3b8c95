import os
import ssl
import stat
import sys
from pathlib import Path

import pytest

from certs.keyfile import in_memory, on_disk, placed
from tests.certs.handshakes import issued

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="memfd_create(2) is a Linux call")


@linux_only
def test_on_linux_the_content_never_has_a_name_on_disk() -> None:
    with placed(b"secret") as path:
        assert path.read_bytes() == b"secret"
        assert str(path.readlink()).startswith("/memfd:")
        assert not os.get_inheritable(int(path.name))
    assert not path.exists()


@linux_only
def test_large_content_is_whole_in_memory() -> None:
    with in_memory(b"x" * 1_000_000) as path:
        assert path.stat().st_size == 1_000_000


def test_elsewhere_only_this_user_can_read_the_file_and_it_goes_away() -> None:
    with on_disk(b"secret") as path:
        assert path.read_bytes() == b"secret"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_the_file_goes_away_when_its_use_fails() -> None:
    seen: list[Path] = []

    def use() -> None:
        with on_disk(b"secret") as path:
            seen.append(path)
            raise LookupError

    with pytest.raises(LookupError):
        use()
    assert not seen[0].parent.exists()


def test_openssl_reads_both_kinds() -> None:
    pair = issued()
    for place in (placed, on_disk):
        with place(pair.certificate_chain) as chain, place(pair.private_key) as key:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)
