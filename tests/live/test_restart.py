"""Controllers that come and go in the middle of a migration."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from tests.controlplane.client import until
from tests.live.installation import Installation, Replica
from tests.live.world import NEW, OLD, World
from webhook.policy.names import MIGRATION_JOB

ASKS = {MIGRATION_JOB: "enabled"}
LEASE = "/apis/coordination.k8s.io/v1/namespaces/schemagate/leases/schemagate-controller"


class Controllers:
    """Controllers of one test; those that still run at its end are stopped."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._started: list[Replica] = []

    async def start(self) -> Replica:
        """Start one and wait until it is ready, which does not mean that it leads."""
        replica = await asyncio.to_thread(self._installation.start, "controller")
        self._started.append(replica)
        return replica

    async def stop(self, replica: Replica) -> None:
        """End one as a kubelet does."""
        await asyncio.to_thread(replica.component.stop, signal.SIGTERM)

    async def stop_all(self) -> None:
        for replica in self._started:
            await self.stop(replica)


@pytest.fixture
async def controllers(no_controller: Installation) -> AsyncIterator[Controllers]:
    made = Controllers(no_controller)
    yield made
    await made.stop_all()


async def test_another_takes_over_at_once_and_goes_on_where_the_first_was(
    world: World, controllers: Controllers
) -> None:
    first = await controllers.start()
    await until(lambda: leads(world, first))
    second = await controllers.start()
    await world.operator_gateway(**ASKS)
    await world.reaches("Complete", image=OLD)
    await world.wants(f"{NEW}-slow")
    before = await world.reaches("Running", image=f"{NEW}-slow")

    await controllers.stop(first)
    await until(lambda: leads(world, second), 10, "the second leads, sooner than the Lease would end")
    await world.finish()
    complete = await world.reaches("Complete", image=f"{NEW}-slow")
    assert complete["job"]["uid"] == before["job"]["uid"]
    assert len(await world.jobs()) == 1


async def test_what_happens_while_nobody_leads_is_caught_up_with(world: World, controllers: Controllers) -> None:
    first = await controllers.start()
    await world.operator_gateway()
    await world.patch("Gateway", "ssg", {"metadata": {"annotations": ASKS}})
    await world.reaches("Complete", image=OLD)
    await world.wants(f"{NEW}-slow")
    await world.reaches("Running", image=f"{NEW}-slow")
    await controllers.stop(first)

    # The Job ends and a rollout is turned away; both are told to who comes next.
    await world.finish()
    await world.denial("ssg", f"{NEW}-slow")
    await controllers.start()
    complete = await world.reaches("Complete", image=f"{NEW}-slow")
    assert complete["completedHashes"][0]["evidence"] == "Job"

    async def counted() -> bool:
        return bool((await world.record())["status"]["rejections"]["count"] == 1)

    await until(counted)
    await world.set_image("ssg", f"{NEW}-slow")
    await world.settled()
    assert len(await world.jobs()) == 1


async def test_a_denial_from_before_there_was_a_record_is_kept(world: World, controllers: Controllers) -> None:
    await world.operator_gateway(**ASKS)
    await world.shut()
    await world.denial("ssg", NEW)
    await controllers.start()
    await world.reaches("Complete", image=OLD)

    async def counted() -> bool:
        return bool((await world.record())["status"].get("rejections", {}).get("count"))

    await until(counted, what="the rejection is in the record")


async def leads(world: World, replica: Replica) -> bool:
    """Tell whether the Lease is this replica's."""
    lease = await world.admin.get(LEASE)
    return bool(lease["spec"].get("holderIdentity") == replica.component.name)
