"""The audit's report of a real cluster: as a person has it written, and as the controller shows it."""

from pathlib import Path

import aiohttp

from tests.controlplane.client import until
from tests.controlplane.cluster import ControlPlane
from tests.live.installation import Installation, Replica
from tests.live.test_cli import Person, helm_gateway
from tests.live.test_helm import NAME
from tests.live.world import NEW, World

SAID = "turned away once (MigrationPending); no migration runs for it"


async def test_a_rollout_that_was_turned_away_is_in_the_report_and_in_the_view(
    world: World, no_controller: Installation, control_plane: ControlPlane, tmp_path: Path
) -> None:
    person = Person(control_plane.admin_kubeconfig, tmp_path)
    controller = no_controller.start("controller", view="true")
    try:
        await helm_gateway(world)
        labels = {"metadata": {"labels": {"schemagate.io/enforce": "reject"}}}
        await world.admin.patch(f"/api/v1/namespaces/{world.namespace}", labels)
        await world.reaches("Complete", NAME)
        await world.denial(NAME, NEW)
        await until(lambda: counted(world))

        target = tmp_path / "report.html"
        done = await person.runs("schemagate", "audit", "report", "-n", world.namespace, "-o", str(target))
        assert (done.code, done.out) == (0, "")
        assert SAID in words(target)
        await until(lambda: shown(controller, f"{world.namespace}/"))
    finally:
        controller.component.stop()


async def counted(world: World) -> bool:
    """Tell whether the record knows of the denial."""
    return bool((await world.record(NAME))["status"].get("rejections", {}).get("count") == 1)


async def shown(controller: Replica, namespace: str) -> bool:
    """Tell whether the view tells of it; its copies may be behind by a moment."""
    async with aiohttp.ClientSession() as session, session.get(f"{controller.ops_url}/audit") as answer:
        assert answer.status == 200
        page = await answer.text()
    return SAID in page and namespace in page


def words(path: Path) -> str:
    return path.read_text(encoding="utf-8")
