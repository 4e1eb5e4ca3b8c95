import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from certs import CertUnreadable
from certs.reading import FILE_LIMIT, read_files
from tests.certs.handshakes import SecretVolume


def write(directory: Path, cert: bytes = b"cert", key: bytes = b"key") -> tuple[Path, Path]:
    directory.mkdir(exist_ok=True)
    (directory / "tls.crt").write_bytes(cert)
    (directory / "tls.key").write_bytes(key)
    return directory / "tls.crt", directory / "tls.key"


def read_while(volume: SecretVolume, happens: Callable[[], None]) -> tuple[bytes, bytes]:
    """Read version v1 of the volume; something happens between its certificate and its key.

    The certificate is a pipe: the reader is known to hold it open when `happens` runs.
    """
    state = volume.prepare("v1", b"", b"key 1")
    pipe = state / "tls.crt"
    pipe.unlink()
    os.mkfifo(pipe)
    volume.swap("v1")
    volume.prepare("v2", b"cert 2", b"key 2")

    def feed() -> None:
        with pipe.open("wb") as file:
            happens()
            file.write(b"cert 1")

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    content = read_files(volume.cert_path, volume.key_path)
    feeder.join()
    return content


def test_plain_files_are_read(tmp_path: Path) -> None:
    assert read_files(*write(tmp_path)) == (b"cert", b"key")


def test_files_of_two_directories_are_read(tmp_path: Path) -> None:
    cert_path, _ = write(tmp_path / "one")
    _, key_path = write(tmp_path / "two", key=b"other")
    assert read_files(cert_path, key_path) == (b"cert", b"other")


def test_a_linked_directory_is_followed_at_each_read(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two", cert=b"cert 2")
    link = tmp_path / "current"
    link.symlink_to("one")
    assert read_files(link / "tls.crt", link / "tls.key")[0] == b"cert"
    link.unlink()
    link.symlink_to("two")
    assert read_files(link / "tls.crt", link / "tls.key")[0] == b"cert 2"


def test_a_swap_between_the_two_files_gives_the_old_pair_whole(tmp_path: Path) -> None:
    volume = SecretVolume(tmp_path)
    assert read_while(volume, lambda: volume.swap("v2")) == (b"cert 1", b"key 1")
    assert read_files(volume.cert_path, volume.key_path) == (b"cert 2", b"key 2")


def test_a_swap_that_removes_the_old_directory_gives_the_new_pair_whole(tmp_path: Path) -> None:
    volume = SecretVolume(tmp_path)

    def swap_and_remove() -> None:
        volume.swap("v2")
        shutil.rmtree(tmp_path / "..v1")

    assert read_while(volume, swap_and_remove) == (b"cert 2", b"key 2")


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_a_missing_file_is_named_as_the_user_named_it(tmp_path: Path, name: str) -> None:
    volume = SecretVolume(tmp_path)
    state = volume.prepare("v1", b"cert", b"key")
    volume.swap("v1")
    (state / name).unlink()
    with pytest.raises(CertUnreadable, match="is missing: mount the Secret") as caught:
        read_files(volume.cert_path, volume.key_path)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertUnreadable, match="is missing") as caught:
        read_files(tmp_path / "no" / "tls.crt", tmp_path / "no" / "tls.key")
    assert str(tmp_path / "no" / "tls.crt") in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b" \n", "is empty"), (b"x" * (FILE_LIMIT + 1), "is larger")]
)
def test_a_file_that_cannot_be_a_key_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    cert_path, key_path = write(tmp_path, key=content)
    with pytest.raises(CertUnreadable, match=said) as caught:
        read_files(cert_path, key_path)
    assert str(key_path) in str(caught.value)


def test_a_directory_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").mkdir()
    with pytest.raises(CertUnreadable, match="Is a directory"):
        read_files(tmp_path / "tls.crt", tmp_path / "tls.key")


def test_a_loop_of_links_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CertUnreadable):
        read_files(tmp_path / "loop" / "tls.crt", tmp_path / "loop" / "tls.key")


def test_a_path_that_is_none_is_an_error_of_ours() -> None:
    with pytest.raises(CertUnreadable):
        read_files(Path("\0/tls.crt"), Path("\0/tls.key"))
    with pytest.raises(CertUnreadable):
        read_files(Path("/tmp/\0.crt"), Path("/tmp/tls.key"))
