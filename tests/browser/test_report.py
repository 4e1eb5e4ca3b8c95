"""The report in a real Chromium: it opens, loads nothing, fits, and can be read by everybody."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from pathlib import Path

import pytest

from tests.browser.devtools import Page, address

PHONE, DESK = 390, 1280
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3 level AA, for text of ordinary size
LEAST_CONTRAST_OF_MARKS = 3.0  # 1.4.11, for what is drawn

CONTRASTS = """(() => {
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const numbers = color => (color.match(/[\\d.]+/g) || []).map(Number);
  const weights = [0.2126, 0.7152, 0.0722];
  const light = color => weights.reduce((sum, weight, at) => sum + weight * channel(numbers(color)[at]), 0);
  const ground = e => {
    const color = getComputedStyle(e).backgroundColor;
    return numbers(color)[3] === 0 ? ground(e.parentElement) : color;
  };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const found = [];
  const note = (kind, e, color) =>
    found.push([kind, e.outerHTML.slice(0, 80), ratio(light(color), light(ground(e)))]);
  for (const e of document.querySelectorAll('body *')) {
    const style = getComputedStyle(e);
    if (e instanceof SVGElement) {
      const color = style.fill === 'none' ? style.stroke : style.fill;
      if (['rect', 'path'].includes(e.tagName) && style.opacity === '1') note('mark', e, color);
    } else if ([...e.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
      note('text', e, style.color);
  }
  return found;
})()"""

OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
DANGLING = """[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))
  .filter(h => h[0] !== '#' || !document.getElementById(h.slice(1)))"""
SHOWN = """[...document.querySelectorAll('#gateways .scroll > table > tbody')]
  .filter(e => e.offsetHeight).map(e => e.className)"""


def colours(png: bytes) -> Counter[bytes]:
    """Count the colours of a PNG of eight bits a channel (W3C PNG specification, 9: filtering)."""
    width, height, _, kind = struct.unpack(">IIBB", png[16:26])
    size, at, packed = {2: 3, 6: 4}[kind], 8, b""
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        packed += png[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    data, row, counted = zlib.decompress(packed), width * size, Counter[bytes]()
    above = bytes(row)
    for line in range(height):
        start = line * (row + 1)
        above = unfiltered(data[start], data[start + 1 : start + 1 + row], above, size)
        counted.update(above[place : place + 3] for place in range(0, row, size))
    return counted


def unfiltered(kind: int, line: bytes, above: bytes, size: int) -> bytes:
    made = bytearray(line)
    for at in range(len(made)):
        left, up = made[at - size] if at >= size else 0, above[at]
        corner = above[at - size] if at >= size else 0
        guess = left + up - corner
        paeth = min((left, up, corner), key=lambda near: abs(guess - near))
        made[at] = (made[at] + (0, left, up, (left + up) // 2, paeth)[kind]) & 0xFF
    return bytes(made)


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("dark", [False, True])
async def test_it_opens_quietly_and_fits(page: Page, report: Path, width: int, dark: bool) -> None:
    await page.open(address(report), width=width, dark=dark)
    assert page.requested == [address(report)]
    assert page.complaints == []
    assert await page.value(OVERFLOW) == 0
    assert await page.value("document.querySelector('h1').textContent") == (
        "3 rollouts need somebody, 2 wait for a migration."
    )


@pytest.mark.parametrize("dark", [False, True])
async def test_it_can_be_read_in_light_and_dark(page: Page, report: Path, dark: bool) -> None:
    await page.open(address(report), dark=dark)
    await page.value("document.querySelectorAll('details').forEach(e => e.open = true)")
    found = await page.value(CONTRASTS)
    assert {kind for kind, _, _ in found} == {"text", "mark"}
    least = {"text": LEAST_CONTRAST, "mark": LEAST_CONTRAST_OF_MARKS}
    assert [item for item in found if item[2] < least[item[0]]] == []


async def test_it_is_drawn_in_light_in_dark_and_on_paper(page: Page, report: Path) -> None:
    await page.open(address(report), width=400, height=240)
    papers = {}
    for media, dark in (("screen", False), ("screen", True), ("print", True)):
        await page.look(media, dark=dark)
        counted = colours(await page.picture())
        papers[media, dark] = counted.most_common(1)[0][0]
        assert len(counted) > 50  # text and marks, smoothed
    assert papers == {
        ("screen", False): bytes((255, 255, 255)),
        ("screen", True): bytes((20, 23, 27)),
        ("print", True): bytes((255, 255, 255)),
    }


async def test_on_paper_nothing_is_cut_off_and_what_failed_is_unfolded(page: Page, report: Path) -> None:
    await page.open(address(report), width=794)
    await page.look("print")
    assert await page.value(OVERFLOW) == 0
    assert await page.value("document.querySelector('nav').offsetHeight") == 0
    assert await page.value(
        "document.querySelector('.s-failed pre').checkVisibility({contentVisibilityAuto: true})"
    )
    assert (await page.paper()).startswith(b"%PDF-")


async def test_links_lead_somewhere(page: Page, report: Path) -> None:
    await page.open(address(report))
    assert await page.value("document.links.length") > 5
    assert await page.value(DANGLING) == []


async def test_gateways_are_filtered_by_keyboard_and_without_script(page: Page, report: Path) -> None:
    await page.open(address(report))
    every = await page.value(SHOWN)
    assert len(every) == 11
    await page.value("document.getElementById('f-all').focus()")
    await page.press("ArrowRight")
    assert await page.value("document.activeElement.id") == "f-s-failed"
    assert await page.value(SHOWN) == ["s-failed"]
    await page.value("document.getElementById('f-s-ready').click()")
    assert await page.value(SHOWN) == ["s-ready"] * 3


async def test_a_table_that_is_wider_than_the_page_is_scrolled_by_keyboard(page: Page, report: Path) -> None:
    await page.open(address(report), width=PHONE)
    region = "document.querySelector('#refused .scroll')"
    assert await page.value(f"{region}.scrollWidth > {region}.clientWidth && {region}.tabIndex === 0")


async def test_the_large_one_opens_too(page: Page, large_report: Path) -> None:
    await page.open(address(large_report))
    assert (await page.value(OVERFLOW), page.complaints) == (0, [])
    assert await page.value("document.querySelectorAll('#gateways .t').length") == 200
    await page.open(address(large_report), width=PHONE)
    assert await page.value(OVERFLOW) == 0


@pytest.fixture
def broken(report: Path, tmp_path: Path) -> Path:
    """The report with what nothing ever puts there."""
    path = tmp_path / "broken.html"
    script = "<script>document.title = 'run'</script><p style='color: red'>x</p>"
    text = report.read_text(encoding="utf-8").replace("</main>", f"{script}</main>")
    path.write_text(text, encoding="utf-8")
    return path


async def test_its_policy_would_stop_a_script(page: Page, broken: Path) -> None:
    await page.open(address(broken))
    assert await page.value("document.title") != "run"
    assert sum("Content Security Policy" in said for said in page.complaints) == 2
