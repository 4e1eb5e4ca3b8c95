"""Taking schemagate away, in the order of the page and in the wrong one: nothing stays, nothing is held."""

import asyncio
from pathlib import Path

import pytest
import yaml

from tests.controlplane.client import ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.live.installation import MANIFESTS
from tests.live.pages import Page, Reader
from tests.live.report_kinds import KINDS, served
from tests.live.standing import Standing
from tests.live.world import NEW, NEWER, OLD, World
from webhook.policy.names import ENFORCE, HELD, MANAGED_BY, PRODUCT

pytestmark = pytest.mark.timeout(300)
PAGE = Page("emergency.md")
SECTION = "Take schemagate away"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RECORDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gatewaymigrations.schemagate.io"
SLOW = f"{NEW}-slow"


@pytest.fixture
def reader(plane: ControlPlane, tmp_path: Path) -> Reader:
    return Reader(PAGE, plane, tmp_path, dict.fromkeys(PAGE.variables, ""))


async def by_record(site: Standing) -> World:
    """Give a Gateway that is held for a record of its user's."""
    world = await site.world()
    await world.operator_gateway()
    await world.write_record("ssg", mode="Hold")
    await held(world)
    return world


async def by_label(site: Standing) -> World:
    """Give a Gateway that is held for the label of its namespace."""
    world = await site.world()
    await world.operator_gateway()
    namespace = f"/api/v1/namespaces/{world.namespace}"
    await world.admin.patch(namespace, {"metadata": {"labels": {ENFORCE: "hold"}}})
    await held(world)
    return world


async def held(world: World) -> None:
    await world.reaches("Complete", image=OLD)
    await world.would_hold()
    assert (await world.set_image("ssg", SLOW))["spec"]["paused"]
    await world.reaches("Running", image=SLOW)


async def free(world: World) -> None:
    """Check that the Gateway is not held, and rolls out what nobody migrated."""
    found = await world.settled()
    assert HELD not in found["metadata"]["annotations"]
    await world.set_image("ssg", NEWER)
    await world.settled()


async def nothing_left(admin: Client) -> None:
    """Check that nothing of ours is registered or on its way out, and that records are gone with their kind."""

    async def gone() -> bool:
        here = [f"{ADMISSION}/{kind}webhookconfigurations/schemagate" for kind in ("mutating", "validating")]
        return not any([await admin.exists(path) for path in (*here, RECORDS, "/api/v1/namespaces/schemagate")])

    await until(gone, 60, "nothing hangs on a finalizer")
    for plural in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        names = [item["metadata"]["name"] for item in await admin.items(f"{ADMISSION}/{plural}")]
        assert not [name for name in names if name.endswith("schemagate.io")]
    for plural in ("clusterroles", "clusterrolebindings", "rolebindings"):
        found = await admin.items(f"/apis/rbac.authorization.k8s.io/v1/{plural}")
        assert not [item for item in found if item["metadata"]["name"].startswith("schemagate")]
    jobs = [item["metadata"]["name"] for item in await admin.items("/apis/batch/v1/jobs")]
    assert not jobs


async def named(world: World) -> None:
    """Bind the controller's role in a namespace, as the overlay of named namespaces does."""
    (binding,) = yaml.safe_load_all((MANIFESTS.parent / "overlays" / "namespaced" / "namespaces.yaml").read_text())
    binding["metadata"]["namespace"] = world.namespace
    await world.admin.post(
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{world.namespace}/rolebindings", binding
    )


async def reported(world: World, manager: str) -> None:
    """Store a report of every kind, named and labelled after whoever keeps it."""
    for kind in KINDS.values():
        meta = {"name": f"of-{manager}", "labels": {MANAGED_BY: manager}}
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
        await world.admin.post(kind.path(world.namespace), body)


async def test_in_the_order_of_the_page_nothing_is_left(site: Standing, reader: Reader) -> None:
    worlds = [await by_record(site), await by_label(site)]
    await named(worlds[0])
    told = await reader.done(SECTION)
    for world in worlds:
        assert f"{world.namespace}/ssg: released" in told
    async with served(site.admin, *KINDS):
        for world in worlds:
            for manager in (PRODUCT, "somebody"):
                await reported(world, manager)
        await reader.done(SECTION, 1)
        for kind in KINDS.values():
            left = [item["metadata"] for item in await site.admin.items(kind.path())]
            assert {meta["name"] for meta in left} == {"of-somebody"}
    assert await reader.done(SECTION, 2) == "nothing is held\n"
    await site.end(site.webhook, site.controller)  # what the deletion of their Deployments does
    await nothing_left(site.admin)
    for world in worlds:
        await free(world)


async def test_after_the_wrong_order_the_page_run_again_leaves_nothing(site: Standing, reader: Reader) -> None:
    worlds = [await by_record(site), await by_label(site)]
    await site.end(site.webhook, site.controller)
    await site.admin.delete("/api/v1/namespaces/schemagate")
    await site.admin.delete(RECORDS)

    async def away() -> bool:
        return not await site.admin.exists(RECORDS)

    await until(away, 60, "the records are gone")
    for world in worlds:
        with pytest.raises(ApiError, match="failed calling webhook"):
            await world.set_image("ssg", NEWER)
    stuck = await reader.runs(SECTION)
    assert stuck.code != 0
    for world in worlds:
        assert f"{world.namespace}/ssg: still held: PATCH " in stuck.out
    assert (
        "kubectl delete mutatingwebhookconfiguration/schemagate validatingwebhookconfiguration/schemagate"
        in stuck.out
    )
    await reader.done(SECTION, 1)
    told = await reader.done(SECTION, 2)
    for world in worlds:
        assert f"{world.namespace}/ssg: released\n" in told
    await nothing_left(site.admin)
    for world in worlds:
        await free(world)


async def test_a_controller_whose_records_kind_vanishes_lets_go_what_nobody_guards_any_more(
    site: Standing,
) -> None:
    mine, labelled = await by_record(site), await by_label(site)
    await site.admin.delete(RECORDS)

    async def released() -> bool:
        found = await mine.get("Deployment", "ssg")
        return not found["spec"].get("paused") and HELD not in found["metadata"]["annotations"]

    await until(released, 60, "what its record guarded is released")
    await free(mine)
    # The label still asks; without records there is nothing to migrate by, so that it stays held.
    assert (await labelled.get("Deployment", "ssg"))["spec"]["paused"]
    await until(lambda: asyncio.to_thread(site.controller.ready), what="the controller is ready")
    assert "Traceback" not in site.controller.log

    await site.mend()
    await labelled.reaches("Running", image=SLOW, seconds=90)
    await labelled.finish()
    await labelled.settled(seconds=60)
