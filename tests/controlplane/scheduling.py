"""Tests that share a control plane on one worker of pytest-xdist, those with planes of their own on one as well.

Import the hook in the outermost conftest: the process that hands out tests reads no other. Groups by mark
(``--dist loadgroup``) would do the same, but are lost without a word with pytest 9.2 and pytest-xdist 3.8.
"""

from typing import Final

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

FOLDERS: Final = ("tests/controlplane/", "tests/live/", "tests/node/")
"""Where such tests lie."""
APART: Final = "tests/live/apart/"
"""Where those lie that start a control plane for each module: more than one at a time would want more memory."""


class WorkersForClusters(LoadScopeScheduling):  # type: ignore[misc]
    """Sends what lies in `FOLDERS` to one worker, `APART` to one, first, and other tests to whoever is idle."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(APART):
            return "apart"
        return "cluster" if nodeid.startswith(FOLDERS) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> WorkersForClusters | None:
    """Take the place of plain ``-n``; another ``--dist`` that was asked for stays."""
    return WorkersForClusters(config, log) if config.getvalue("dist") == "load" else None
