"""What the pages that people read name: links, anchors, commands, words."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
"""The pages of who uses the product."""
LINKED = (*READ, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")
"""All pages whose links have to lead somewhere."""
_FENCED = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEAD = re.compile(r"(?m)^#+ (.+)$")
_SET = re.compile(r"(?m)^([A-Z]+)=(.*)$")


def text_of(page: Path) -> str:
    """Give a page."""
    return page.read_text(encoding="utf-8")


def links(page: Path) -> list[str]:
    """Give the targets of a page's links and pictures, outside of code."""
    return _LINK.findall(_SPAN.sub("", _FENCED.sub("", text_of(page))))


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as GitHub makes them."""
    heads = _HEAD.findall(_FENCED.sub("", text_of(page)))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def spans(page: Path) -> list[str]:
    """Give the code within lines, each on one line."""
    return [" ".join(span.split()) for span in _SPAN.findall(_FENCED.sub("", text_of(page)))]


def lines(page: Path) -> Iterator[str]:
    """Give the commands of a page's shell blocks, each on one line, with variables set as its first block says."""
    blocks = [block for language, block in _FENCED.findall(text_of(page)) if language == "sh"]
    told = {name: shlex.split(value)[0] for block in blocks[:1] for name, value in _SET.findall(block)}
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"\$(\w+)", lambda found: told.get(found[1], found[0]), line)
            command = re.sub(r"\$\{IMAGE##\*:\}", told.get("IMAGE", "").rpartition(":")[2], command)
            if command.strip() and not _SET.match(command):
                yield command


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """Give the words of every call of a program in a page's shell blocks, without comments and redirections."""
    for line in lines(page):
        for part in re.split(r" \| | && ", line):
            words = shlex.split(re.sub(r" >\S+| > \S+", "", part), comments=True)
            if words[:1] == [program]:
                yield words[1:]
