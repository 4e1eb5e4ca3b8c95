"""What a right on records is worth: whoever holds it has any image run with the Secrets of a Gateway."""

import json
from pathlib import Path

from tests.controlplane.client import until
from tests.live.aftermath import guarded
from tests.live.installation import Replica
from tests.live.people import bind
from tests.live.test_cli import Person
from tests.live.world import Manifest, World, environment

ANY_IMAGE, ANY_HOST = "registry.example.com/any/image:1-slow", "elsewhere.example.com"


async def test_who_may_write_a_record_runs_any_image_on_any_database_with_what_the_gateway_has(
    world: World, controller: Replica, tmp_path: Path
) -> None:
    await guarded(world)
    await bind(world, "schemagate-operate", "olaf", "ClusterRole")
    olaf = Person(world.plane.user_kubeconfig("olaf"), tmp_path)

    async def kubectl(*arguments: str) -> str:
        done = await olaf.runs(str(world.plane.kubectl), "-n", world.namespace, *arguments)
        return done.out.strip()

    for beyond in (("patch", "deployments"), ("create", "jobs"), ("get", "secrets")):
        assert await kubectl("auth", "can-i", *beyond) == "no"
    wanted = {"image": ANY_IMAGE, "jdbcUrl": f"jdbc:mysql://{ANY_HOST}:3306/ssg"}

    async def written() -> bool:
        return "patched" in await kubectl(
            "patch", "gwm", "ssg", "--type=merge", "-p", json.dumps({"spec": wanted})
        )

    await until(written, what="the right is known")

    async def started() -> Manifest | None:
        jobs = [job["spec"]["template"] for job in await world.jobs()]
        found = [template for template in jobs if template["spec"]["containers"][0]["image"] == ANY_IMAGE]
        return found[0] if found else None

    template = await until(started, 60, "its Job runs")
    assert template is not None
    deployed = (await world.get("Deployment", "ssg"))["spec"]["template"]["spec"]
    (container,), (gateway,) = template["spec"]["containers"], deployed["containers"]
    secrets = [source for source in gateway["envFrom"] if "secretRef" in source]
    assert secrets
    assert all(source in container["envFrom"] for source in secrets)
    assert ANY_HOST in environment(template, container["name"])["SSG_DATABASE_JDBC_URL"]
