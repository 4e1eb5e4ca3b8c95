"""The manifests with all the time for a verdict that Kubernetes allows: a busy machine is no failed call.

How long a verdict may take is the product's promise, not this node's: two cores run the whole cluster here.
"""

import re
import shutil
from pathlib import Path
from typing import Final

from tests.live.deployed import MANIFESTS

SECONDS: Final = 30
"""The longest that a registration may name."""


def patient(folder: Path) -> Path:
    """Write the manifests, chart included, with that much time into a folder that is not there yet; gives it."""
    shutil.copytree(MANIFESTS, folder)
    allow(folder)
    return folder


def allow(folder: Path, seconds: int = SECONDS) -> None:
    """Give every webhook that manifests in a folder register so much time."""
    found = list(folder.rglob("90-webhooks.yaml"))
    assert found, folder
    for registration in found:
        told, count = re.subn(r"timeoutSeconds: \d+", f"timeoutSeconds: {seconds}", registration.read_text())
        assert count, registration
        registration.write_text(told)
