"""The picture that the README shows: there, not heavy, and made by the same renderer."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.browser.devtools import Page, address

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "report.png"
HEAVIEST = 200_000


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


async def test_it_is_there_and_not_heavy(page: Page, report: Path) -> None:
    stored = PICTURE.read_bytes()
    assert len(stored) <= HEAVIEST
    width, height = size(stored)
    await page.open(address(report), width=width, height=height)
    assert size(await page.picture()) == (width, height)
