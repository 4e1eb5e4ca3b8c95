"""What an image reference tells of the Gateway version.

Tags seen on Gateways (layer7-operator and apim-charts, all branches): ``11.2.2``, zero-padded ``11.1.00``,
suffixed ``11.0.00_CR2`` or ``10.1.00_OTEL_2``, and ``latest``. They are not SemVer.
"""

import re
from typing import NamedTuple

from webhook.policy.names import FIRST_SUPPORTED

_VERSION = re.compile(r"v?([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})(?:[_-].+)?", re.ASCII | re.DOTALL)


class GatewayVersion(NamedTuple):
    """A Gateway version that compares by number: ``11.1.00`` is 11.1.0."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        """Give the version as written in release notes."""
        return f"{self.major}.{self.minor}.{self.patch}"


def image_tag(image: str) -> str | None:
    """Give the tag of an image reference, or None when it has none that counts.

    A registry's port is no tag, and beside a digest a tag is decoration: the digest is what runs.
    """
    if "@" in image:
        return None
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return tag if colon and tag else None


def parse_version(text: str) -> GatewayVersion | None:
    """Read a version, or None when the text does not tell one (``latest``, a branch, nonsense)."""
    found = _VERSION.fullmatch(text)
    return GatewayVersion(int(found[1]), int(found[2]), int(found[3])) if found else None


def image_version(image: str, declared: str = "") -> GatewayVersion | None:
    """Give the Gateway version of an image: from its tag, else as declared on the record, else None."""
    tag = image_tag(image)
    return (parse_version(tag) if tag else None) or parse_version(declared)


def knows_modes(version: GatewayVersion | None) -> bool | None:
    """Tell whether a Gateway knows the schema-update modes (11.2.2 on); None when the version is unknown."""
    return None if version is None else version >= FIRST_SUPPORTED
