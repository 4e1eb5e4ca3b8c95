"""The kinds of policy reports, as their own projects define them, on the real API server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import yaml

from tests.controlplane import binaries
from tests.controlplane.client import Client, until
from tests.controlplane.objects import install
from webhook.kube.reports import POLICY_REPORTS, REPORTS
from webhook.kube.resources import Resource

KINDS: Final[dict[str, Resource]] = {kind.group: kind for kind in (REPORTS, POLICY_REPORTS)}
_FOLDERS: Final = {"openreports.io": "openreports", "wgpolicyk8s.io": "policyreports"}
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definition(group: str) -> dict[str, Any]:
    """Give the real definition of a group's kind of report, of the version that we write."""
    kind = KINDS[group]
    (module,) = (module for module in binaries.ALL if module.folder == _FOLDERS[group])
    if module.kept is None or not module.kept.is_dir():
        raise binaries.NotBuiltError(f"{module.folder} is not there yet. Run `make controlplane`")
    text = (module.kept / f"{group}_{kind.plural}.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)
    assert kind.version in {version["name"] for version in found["spec"]["versions"]}
    return found


@asynccontextmanager
async def served(admin: Client, *groups: str) -> AsyncIterator[None]:
    """Have the kinds of these groups served, and not any more afterwards."""
    for group in groups:
        await install(admin, definition(group))
        kind = KINDS[group]
        await until(lambda kind=kind: admin.exists(kind.path()), what=f"{kind.plural} are served")  # type: ignore[misc]
    try:
        yield
    finally:
        for group in groups:
            await admin.delete(f"{_DEFINITIONS}/{KINDS[group].plural}.{group}")

            async def gone(kind: Resource = KINDS[group]) -> bool:
                return not await admin.exists(kind.path())

            await until(gone, what=f"{group} is not served any more")
