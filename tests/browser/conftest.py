"""A browser for every test, and the report in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser.devtools import Page, browser
from tests.support.surveys import large, small
from webhook.audit.report.html.report import render


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browser() as shown:
        yield shown


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(render(small()))
    return path


@pytest.fixture(scope="session")
def large_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "large.html"
    path.write_bytes(render(large()))
    return path
