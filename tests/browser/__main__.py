"""`python -m tests.browser fetch`: fetch the browser; `picture FILE`: draw the report's picture for the README."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.browser import programs
from tests.browser.devtools import address, browser
from tests.support.surveys import small
from webhook.audit.report.html.report import render


async def _picture() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_bytes(render(small()))
        async with browser() as shown:
            await shown.open(address(page), width=1180, height=1000)
            return await shown.picture()


def main() -> int:
    """Run one command; errors are one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="fetch the browser if it is missing")
    commands.add_parser("picture", help="draw the report").add_argument("file", type=Path)
    chosen = parser.parse_args()
    try:
        if chosen.command == "fetch":
            sys.stdout.write(f"{programs.fetch()}\n")
        else:
            chosen.file.write_bytes(asyncio.run(_picture()))
    except programs.NotFetchedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
