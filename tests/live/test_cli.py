"""``schemagate migrate``, ``retry`` and ``status`` as people run them, and as a plugin of kubectl."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.controlplane.access import Access
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.kubelet import finish, pod_of
from tests.live.installation import Installation, Replica
from tests.live.test_helm import NAME, release
from tests.live.world import NEW, NEWER, OLD, World
from webhook.policy.names import MIGRATION_JOB

BIN = Path(sys.executable).parent
PATIENCE = 240


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


class Person:
    """Runs the program with a kubeconfig."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
            "KUBECONFIG": str(kubeconfig),
        }

    @asynccontextmanager
    async def starts(self, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
        pipe = asyncio.subprocess.PIPE
        # Where the tests run in a shell's background, Ctrl-C is ignored, and so it is by all that they start.
        listens = "import os, signal, sys; signal.signal(2, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-c", listens, *command),
            stdout=pipe,
            stderr=pipe,
            env=self._environment,
            cwd=self._environment["HOME"],
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def runs(self, *command: str) -> Done:
        async with self.starts(*command) as process:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert "Traceback" not in err.decode()
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())


@pytest.fixture
def person(control_plane: ControlPlane, tmp_path: Path) -> Person:
    return Person(control_plane.admin_kubeconfig, tmp_path)


async def helm_gateway(world: World) -> None:
    """Have the chart's Gateway run, which nobody guards yet."""
    await world.create(await release(world))
    await world.settled(NAME)


async def test_migrate_makes_the_record_and_waits_until_the_rollout_passes(
    world: World, controller: Replica, person: Person
) -> None:
    await helm_gateway(world)
    command = ("schemagate", "migrate", NAME, "-n", world.namespace, "--image", NEW, "--wait")
    done = await person.runs(*command)
    assert done.code == 0, done
    assert f"for {NEW} is complete; a rollout passes now" in done.out
    record = await world.record(NAME)
    assert record["spec"] == {"image": NEW}
    assert "labels" not in record["metadata"]
    assert [item["image"] for item in record["status"]["completedHashes"]] == [NEW, OLD]
    await world.set_image(NAME, NEW, container="gateway")
    # Once more is no more work.
    again = await person.runs(*command)
    assert (again.code, len(await world.jobs())) == (0, 1)


async def test_the_command_of_a_denial_leads_on(world: World, controller: Replica, person: Person) -> None:
    await helm_gateway(world)
    namespace = f"/api/v1/namespaces/{world.namespace}"
    await world.admin.patch(namespace, {"metadata": {"labels": {"schemagate.io/enforce": "reject"}}})
    await world.reaches("Complete", NAME, image=OLD)
    said = await world.denial(NAME, NEW)
    command = said.partition("start it: ")[2].split()
    assert command[:2] == ["schemagate", "migrate"], said
    assert (await person.runs(*command)).code == 0
    await world.set_image(NAME, NEW)


async def test_a_failure_is_told_and_tried_again(
    world: World, controller: Replica, person: Person, control_plane: ControlPlane
) -> None:
    await helm_gateway(world)
    where = (NAME, "-n", world.namespace)
    control_plane.write_log("migrating\npassword=hunter2\nCommunications link failure\n")
    try:
        done = await person.runs("schemagate", "migrate", *where, "--image", f"{NEW}-fail", "--wait")
    finally:
        control_plane.write_log("")
    assert done.code == 1, done
    assert "DatabaseUnreachable: " in done.out
    assert "  | password=***" in done.out
    assert "hunter2" not in done.out + done.err
    assert f"next: mend that, then run: schemagate retry {NAME} -n {world.namespace}" in done.out

    said = (await person.runs("schemagate", "status", *where)).out
    assert "failed: DatabaseUnreachable" in said
    assert "hunter2" not in said

    again = await person.runs("schemagate", "retry", *where, "--wait")
    assert again.code == 1, again
    assert (await world.record(NAME))["status"]["job"]["attempts"] == 2
    assert (await person.runs("schemagate", "retry", *where)).code == 0


async def test_a_wait_ends_by_timeout_and_by_interruption_and_the_migration_goes_on(
    world: World, controller: Replica, person: Person
) -> None:
    await helm_gateway(world)
    where, image = (NAME, "-n", world.namespace), f"{NEWER}-slow"
    begun = await person.runs("schemagate", "migrate", *where, "--image", image)
    assert begun.code == 0, begun
    await world.reaches("Running", NAME, image=image)
    done = await person.runs("schemagate", "migrate", *where, "--image", image, "--wait", "--timeout", "5")
    assert done.code == 1, done
    assert "not complete within 5 s" in done.out
    assert "the migration goes on. Look after it: schemagate status" in done.out
    assert "is Running, Job my-gateway-db-migration-" in done.err

    refused = await person.runs("schemagate", "retry", *where)
    assert (refused.code, refused.out) == (2, "")
    assert "nothing failed that could be tried again; it is Running" in refused.err

    async with person.starts("schemagate", "migrate", *where, "--image", image, "--wait") as process:
        assert process.stderr is not None
        await asyncio.wait_for(process.stderr.readline(), PATIENCE)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert (process.returncode, out) == (130, b"")
    assert b"interrupted; the migration goes on" in err
    (job,) = await world.jobs()
    await finish(world.admin, await pod_of(world.admin, world.namespace, job["metadata"]["name"]))
    await world.reaches("Complete", NAME, image=image)


async def test_a_wait_outlives_an_api_server(
    world: World, controller: Replica, person: Person, control_plane: ControlPlane
) -> None:
    await helm_gateway(world)
    image = f"{NEW}-slow"
    command = ("schemagate", "migrate", NAME, "-n", world.namespace, "--image", image, "--wait")
    async with person.starts(*command) as process:
        await world.reaches("Running", NAME, image=image)
        await asyncio.to_thread(control_plane.restart_api_server)
        (job,) = await world.jobs()
        await finish(world.admin, await pod_of(world.admin, world.namespace, job["metadata"]["name"]))
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, err
    assert b"is complete" in out


async def test_status_for_people_and_programs_and_kubectl(
    world: World, controller: Replica, person: Person, control_plane: ControlPlane
) -> None:
    await helm_gateway(world)
    namespace = world.namespace
    assert (
        await person.runs("schemagate", "status", "-n", namespace)
    ).err == f"no records in namespace {namespace}\n"
    assert (await person.runs("schemagate", "migrate", NAME, "-n", namespace, "--image", NEW, "--wait")).code == 0

    head, line = (await person.runs("schemagate", "status", "-n", namespace)).out.splitlines()
    assert head.split()[:4] == ["NAMESPACE", "NAME", "PHASE", "COMPLETE"]
    assert line.split()[:3] == [namespace, NAME, "Complete"]
    assert " 11.3.0 " in line

    done = await person.runs("schemagate", "status", NAME, "-n", namespace, "-o", "json")
    (row,) = json.loads(done.out)
    assert (row["phase"], row["complete"], row["image"]) == ("Complete", True, NEW)
    assert row["evidence"] == "Job"

    listed = await person.runs(str(control_plane.kubectl), "schemagate", "status", "-A")
    assert listed.code == 0, listed
    assert line.split()[:5] in [found.split()[:5] for found in listed.out.splitlines()]
    helped = await person.runs(str(control_plane.kubectl), "schemagate", "status", "-h")
    assert "Usage: kubectl schemagate status" in helped.out


async def test_a_gateway_resource_that_moves_on_is_not_spoken_over(
    world: World, controller: Replica, person: Person
) -> None:
    await world.operator_gateway(**{MIGRATION_JOB: "enabled"})
    await world.reaches("Complete", image=OLD)
    # Ahead of its Gateway resource an image may be announced.
    where = ("ssg", "-n", world.namespace)
    assert (await person.runs("schemagate", "migrate", *where, "--image", NEW, "--wait")).code == 0
    await world.patch("Gateway", "ssg", {"spec": {"app": {"image": f"{NEWER}-slow"}}})
    done = await person.runs("schemagate", "migrate", *where, "--image", f"{NEW}-fail")
    assert done.code == 2
    assert f"kubectl patch gateways.security.brcmlabs.com ssg -n {world.namespace} --type merge -p" in done.err
    assert (await world.record())["spec"]["image"] == NEW
    # For the image that the Gateway resource names nothing is written.
    waited = await person.runs(
        "schemagate", "migrate", *where, "--image", f"{NEWER}-slow", "--wait", "--timeout", "3"
    )
    assert waited.code == 1
    assert (await world.record())["spec"]["image"] == NEW


async def test_who_has_no_rights_reads_one_line(world: World, control_plane: Access, tmp_path: Path) -> None:
    nobody = Person(control_plane.user_kubeconfig("nobody"), tmp_path)
    for command in (("status", "-A"), ("status", "x"), ("retry", "x"), ("migrate", "x", "--image", "r/x:1")):
        done = await nobody.runs("schemagate", *command)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("schemagate: GET /apis/")
        assert ": 403 " in done.err
        assert 'User "nobody" cannot' in done.err
        assert done.err.count("\n") == 1


async def test_what_is_not_there_is_said(world: World, installation: Installation, person: Person) -> None:
    where = ("ssg", "-n", world.namespace)
    done = await person.runs("schemagate", "migrate", *where, "--image", NEW)
    assert (done.code, done.out) == (2, "")
    assert f"there is no Deployment {world.namespace}/ssg" in done.err
    for command in ("status", "retry"):
        done = await person.runs("schemagate", command, *where)
        assert done.code == 2
        assert f"there is no record {world.namespace}/ssg" in done.err
