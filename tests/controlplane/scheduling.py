"""All tests that share a control plane on one worker of pytest-xdist, those that start their own on another.

Import the hook in the outermost conftest: the process that hands out tests reads no other. Groups by mark
(``--dist loadgroup``) would do the same, but are lost without a word with pytest 9.2 and pytest-xdist 3.8.
"""

from typing import Final

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

APART: Final = ("tests/controlplane/", "tests/live/apart/")
"""Where tests lie that take control planes of their own apart."""
SHARED: Final = ("tests/live/", "tests/node/")
"""Where tests lie that share one."""


class ClustersTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Sends what lies in `APART` to one worker and in `SHARED` to one, and every other test to whoever is idle."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(APART):
            return "apart"
        return "shared" if nodeid.startswith(SHARED) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ClustersTogether | None:
    """Take the place of plain ``-n``; another ``--dist`` that was asked for stays."""
    return ClustersTogether(config, log) if config.getvalue("dist") == "load" else None
