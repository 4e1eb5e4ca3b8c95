"""Give OpenSSL a file to read: `SSLContext.load_cert_chain` takes paths, never bytes."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


def placed(content: bytes) -> AbstractContextManager[Path]:
    """Place `content` in a file for the length of a `with`; in memory on Linux, else on disk.

    Gives the path; raises OSError when no file can be made. On Linux there is no way back to the disk:
    a key must not come to rest on one, and a read-only root has none.
    """
    return in_memory(content) if sys.platform == "linux" else on_disk(content)


@contextmanager
def in_memory(content: bytes) -> Iterator[Path]:
    """Place `content` in an anonymous file that lives only in memory (memfd_create(2), Linux)."""
    if sys.platform != "linux":
        raise OSError("memfd_create(2) is a Linux call: use on_disk")
    descriptor = os.memfd_create("certs", os.MFD_CLOEXEC)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
        file.write(content)
        file.flush()
        yield Path(f"/proc/self/fd/{descriptor}")


@contextmanager
def on_disk(content: bytes) -> Iterator[Path]:
    """Place `content` in a temporary file that only this user can read, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="certs-") as directory:  # made with mode 0700
        path = Path(directory) / "pair.pem"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(content)
        yield path
