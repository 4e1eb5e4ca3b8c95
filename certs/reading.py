"""Read a certificate file and a key file from one state of their directory."""

from pathlib import Path
from typing import Final

from certs.errors import CertUnreadable

FILE_LIMIT: Final = 1024 * 1024
"""Bytes taken from a file at most: a Secret holds no more (Kubernetes core/v1, MaxSecretSize)."""

VOLUME_LINK: Final = "..data"
"""The link that the kubelet renames in one step (kubernetes, pkg/volume/util/atomic_writer.go)."""

_ATTEMPTS: Final = 3


def read_files(cert_path: Path, key_path: Path) -> tuple[bytes, bytes]:
    """Give the content of both files, certificate first; raises CertUnreadable naming the file at fault.

    When both lie in one directory, links in its path and the `..data` link of a Kubernetes volume are
    resolved once for both, so a swap in between cannot mix an old certificate with a new key. When the
    old directory is removed meanwhile, as the kubelet does after a swap, the new one is read instead.
    """
    if cert_path.parent != key_path.parent:
        return _read(cert_path, cert_path), _read(key_path, key_path)
    for _ in range(_ATTEMPTS - 1):
        directory = _one_state(cert_path.parent)
        try:
            return _read_both(directory, cert_path, key_path)
        except CertUnreadable:
            if _one_state(cert_path.parent) == directory:
                raise
    return _read_both(_one_state(cert_path.parent), cert_path, key_path)


def read_file(path: Path) -> bytes:
    """Give the content of one file; raises CertUnreadable naming it."""
    return _read(path, path)


def _one_state(directory: Path) -> Path:
    """Give the directory that holds the files now, with no link left in its path."""
    try:
        resolved = directory.resolve()
        link = resolved / VOLUME_LINK
        return link.resolve() if link.is_symlink() else resolved
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links, Python < 3.13
        raise CertUnreadable(f"cannot resolve {directory}: name a directory that exists") from error


def _read_both(directory: Path, cert_path: Path, key_path: Path) -> tuple[bytes, bytes]:
    return _read(directory / cert_path.name, cert_path), _read(directory / key_path.name, key_path)


def _read(path: Path, named: Path) -> bytes:
    """Give the bytes of `path`; errors speak of `named`, the path that the user knows."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT + 1)
    except FileNotFoundError as error:
        raise CertUnreadable(f"{named} is missing: mount the Secret there or correct the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise CertUnreadable(f"cannot read {named} ({reason}): let this user read it as a file") from error
    if not content.strip():
        raise CertUnreadable(f"{named} is empty: it is being written, or its writer failed; fill it with PEM")
    if len(content) > FILE_LIMIT:
        raise CertUnreadable(f"{named} is larger than {FILE_LIMIT} bytes: name a PEM file")
    return content
